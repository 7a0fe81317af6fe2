import getpass
import json
import platform
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import psutil
import pytest

from harness import environment


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, and a way to ask git about it."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    directory = tmp_path / "checkout"
    (directory / "inner").mkdir(parents=True)

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    (directory / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "one")
    return directory, git


def test_a_checkout_without_changes_is_its_commit(repository):
    directory, git = repository
    expected = {"commit": git("log", "-1", "--format=%H"), "dirty": False}
    assert environment.git_state(directory) == expected
    assert environment.git_state(directory / "inner") == expected


def test_a_changed_file_makes_a_checkout_dirty(repository):
    directory, git = repository
    (directory / "file").write_text("two")
    assert environment.git_state(directory) == {"commit": git("log", "-1", "--format=%H"), "dirty": True}
    git("add", "file")
    assert environment.git_state(directory)["dirty"] is True


def test_results_that_nobody_committed_do_not_make_a_checkout_dirty(repository):
    directory, _ = repository
    (directory / "results.json").write_text("{}")
    assert environment.git_state(directory)["dirty"] is False


def test_outside_a_checkout_there_is_no_state(repository):
    assert environment.git_state(repository[0].parent) is None


def test_a_checkout_without_a_commit_has_no_state(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True, capture_output=True)
    assert environment.git_state(tmp_path) is None


def test_without_git_there_is_no_state(repository, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert environment.git_state(repository[0]) is None


def test_a_directory_that_is_gone_has_no_state(repository):
    assert environment.git_state(repository[0] / "gone") is None


def test_a_git_that_does_not_answer_gives_no_state(repository, monkeypatch):
    def silent(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", silent)
    assert environment.git_state(repository[0]) is None


def test_versions_are_those_of_what_is_imported_and_none_for_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGES", (*environment._PACKAGES, "tunebench-no-such-package"))
    versions = environment.packages()
    assert versions["numpy"] == np.__version__
    assert versions["mlx"] == mx.__version__
    assert versions["tunebench-no-such-package"] is None
    assert {"tunebench", "mlx-lm", "mlx-cpu", "mlx-metal", "transformers"} <= versions.keys()


def test_the_machine_is_described(monkeypatch):
    facts = environment.operating_system()
    assert (facts["system"], facts["machine"]) == (platform.system(), platform.machine())
    assert facts["python"] == platform.python_version()
    assert facts["threads"] >= (facts["cores"] or 1) >= 1
    assert facts["memory_bytes"] > 2**28


def test_the_processor_is_the_model_s_name(monkeypatch):
    text = "processor\t: 0\nmodel name\t: Some CPU @ 2: fast\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2: fast\n"
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: text)
    assert environment._processor() == "Some CPU @ 2: fast"


def test_a_system_without_proc_names_its_processor_itself_or_not_at_all(monkeypatch):
    def missing(self, encoding):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert environment._processor() == "arm"
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert environment._processor() is None


@pytest.mark.parametrize(
    ("battery", "expected"),
    [(None, None), (SimpleNamespace(power_plugged=True), False), (SimpleNamespace(power_plugged=False), True)],
)
def test_a_machine_on_its_battery_is_told(monkeypatch, battery, expected):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    facts = environment.load_and_power()
    assert facts["on_battery"] is expected
    assert facts.keys() == {"load_average_1min", "memory_available_bytes", "swap_used_bytes", "on_battery"}
    assert 0 < facts["memory_available_bytes"] <= psutil.virtual_memory().total


def test_the_compiler_names_itself_in_a_line(tmp_path, monkeypatch):
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'g++ (Some) 99.1' && echo 'no warranty'\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.compiler() == "g++ (Some) 99.1"
    compiler.unlink()
    assert environment.compiler() is None


def test_nobody_s_name_is_among_the_facts():
    facts = [environment.operating_system(), environment.packages(), environment.load_and_power()]
    values = {str(value) for table in facts for value in table.values()}
    assert not {getpass.getuser(), socket.gethostname(), str(Path.home())} & values
    assert str(Path.home()) not in json.dumps(facts) or str(Path.home()) == "/"
