import subprocess
import sys

import pytest

from harness.machine import os_queries


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(os_queries, "_ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program `it` on the path, of which only the body is left to write."""

    def write(body):
        path = tmp_path / "it"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return write


def test_a_command_gives_what_it_prints(program):
    program('echo; echo "  $1 and $2"; echo unheard >&2')
    assert os_queries.output("it", "one", "two") == "one and two"


def test_a_command_runs_where_it_is_told_to(program, tmp_path):
    program("pwd")
    (tmp_path / "inner").mkdir()
    assert os_queries.output("it", directory=tmp_path / "inner") == str(tmp_path / "inner")


@pytest.mark.parametrize("body", ["echo words; exit 1", "kill -9 $$"])
def test_a_command_that_fails_gives_nothing(program, body):
    program(body)
    assert os_queries.output("it") is None


def test_a_command_that_is_not_there_gives_nothing():
    assert os_queries.output("tunebench-no-such-program") is None


def test_a_command_in_a_directory_that_is_gone_gives_nothing(program, tmp_path):
    program("pwd")
    assert os_queries.output("it", directory=tmp_path / "gone") is None


def test_a_command_that_does_not_end_is_given_up(program, monkeypatch):
    program("exec /bin/sleep 60")
    monkeypatch.setattr(os_queries, "_TIMEOUT_S", 0.05)
    assert os_queries.output("it") is None


def test_a_command_gets_a_time_limit_and_no_input(monkeypatch):
    seen = {}

    def run(command, **options):
        seen.update(options)
        return subprocess.CompletedProcess(command, 0, stdout="")

    monkeypatch.setattr(subprocess, "run", run)
    assert os_queries.output(sys.executable) == ""
    assert 0 < seen["timeout"] <= 10
    assert seen["stdin"] == subprocess.DEVNULL


def test_words_that_are_no_text_are_read_all_the_same(program):
    program(r"printf '\377ok'")
    assert os_queries.output("it") == "�ok"


def test_a_file_gives_its_text_and_one_that_cannot_be_read_nothing(root):
    (root / "sys").mkdir()
    (root / "sys" / "one").write_bytes(b" words\xff\n")
    assert os_queries.text("sys/one") == "words�"
    assert os_queries.text("sys/two") is None
    assert os_queries.text("sys") is None


def test_files_that_match_are_read_in_the_order_of_their_names(root):
    for name in ("zone1", "zone0", "other"):
        (root / name).mkdir()
        (root / name / "temp").write_text(f"{name}\n")
    (root / "zone2" / "temp").mkdir(parents=True)
    assert os_queries.texts("zone*/temp") == ["zone0", "zone1"]


@pytest.mark.parametrize(("written", "value"), [("12", 12), ("-1", -1), ("max", None), ("", None), (None, None)])
def test_a_number_is_whole_or_none(written, value):
    assert os_queries.number(written) == value


def test_free_space_is_that_of_the_place_where_a_directory_will_be(tmp_path, monkeypatch):
    asked = []

    def disk_usage(path):
        asked.append(path)
        return type("Usage", (), {"free": 7})()

    monkeypatch.setattr(os_queries.shutil, "disk_usage", disk_usage)
    assert os_queries.free_bytes(tmp_path / "not" / "yet") == 7
    assert os_queries.free_bytes(tmp_path) == 7
    monkeypatch.chdir(tmp_path)
    assert os_queries.free_bytes(os_queries.Path("results")) == 7
    assert asked == [tmp_path] * 3


def test_free_space_that_the_system_does_not_tell_is_none(tmp_path, monkeypatch):
    def disk_usage(path):
        raise PermissionError

    monkeypatch.setattr(os_queries.shutil, "disk_usage", disk_usage)
    assert os_queries.free_bytes(tmp_path) is None
