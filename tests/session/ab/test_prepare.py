import os
import sys
from pathlib import Path

import pytest

from harness.errors import BadArm
from harness.session import worker_process
from harness.session.ab import prepare
from harness.session.ab.arms import PreparedArm, parse
from harness.session.ab.venvs import Venv
from harness.session.ab.worktrees import Worktree


def quiet(line):
    raise AssertionError(line)


def make(text):
    return prepare.make(parse(text), say=quiet)


def test_the_same_environment_is_this_interpreter_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    python = Path(sys.executable)
    assert make("same") == PreparedArm(
        text="same", python=python, directory=tmp_path, variables={}, facts={"kind": "same"}
    )


def test_variables_are_added_to_it_and_stored_without_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/homes/me")
    variables = {"MLX_A": "1", "B": "/homes/me/x"}
    assert make("env:MLX_A=1,B=/homes/me/x") == PreparedArm(
        text="env:MLX_A=1,B=/homes/me/x",
        python=Path(sys.executable),
        directory=tmp_path,
        variables=variables,
        facts={"kind": "env", "variables": {"MLX_A": "1", "B": "~/x"}},
    )


@pytest.mark.parametrize("name", worker_process.ENVIRONMENT)
def test_a_variable_that_would_not_reach_the_measurement_is_refused(name):
    with pytest.raises(
        BadArm, match=f"every measurement has its own {name} .*{name}={worker_process.ENVIRONMENT[name]}.*; leave"
    ):
        make(f"env:A=1,{name}=other")


def test_packages_are_a_venv_s_python_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    versions = {"mlx-lm": "0.31.3", "mlx": "0.31"}
    monkeypatch.setattr(prepare, "venv", lambda spec, *, say: Venv(python=Path("/v/bin/python"), versions=versions))
    assert make("pip:mlx-lm==0.31.3") == PreparedArm(
        text="pip:mlx-lm==0.31.3",
        python=Path("/v/bin/python"),
        directory=tmp_path,
        variables={},
        facts={"kind": "pip", "requirements": ["mlx-lm==0.31.3"], "versions": versions},
    )


@pytest.mark.parametrize(("before", "path"), [(None, "/w"), ("", "/w"), ("/mine", f"/w{os.pathsep}/mine")])
def test_a_revision_is_this_interpreter_which_finds_its_code_first(monkeypatch, before, path):
    if before is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", before)
    checkout = Worktree(root=Path("/w"), directory=Path("/w/inner"), commit="c" * 40)
    monkeypatch.setattr(prepare, "worktree", lambda spec, *, say: checkout)
    assert make("git:main") == PreparedArm(
        text="git:main",
        python=Path(sys.executable),
        directory=Path("/w/inner"),
        variables={"PYTHONPATH": path},
        facts={"kind": "git", "revision": "main", "commit": "c" * 40},
    )
