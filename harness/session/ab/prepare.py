"""Makes an environment of an A/B comparison ready to be measured.

What is there already is taken as it is; packages and commits come from the cache, by `venvs` and `worktrees`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import BadArm
from harness.paths import without_home
from harness.session import worker_process
from harness.session.ab.arms import Arm, Packages, Revision, Same, Spec, Variables
from harness.session.ab.venvs import venv
from harness.session.ab.worktrees import worktree


def make(spec: Spec, *, say: Callable[[str], None]) -> Arm:
    """Give what *spec* asks for; *say* hears of what takes long, or may surprise.

    Raises:
        BadArm: if it cannot be had.
        Unwritable: if the cache cannot hold it.
    """
    match spec:
        case Same():
            return _here(spec.text, {}, {"kind": "same"})
        case Variables():
            return _with_variables(spec)
        case Packages():
            return _with_packages(spec, say=say)
        case Revision():
            return _at_revision(spec, say=say)


def _here(text: str, variables: Mapping[str, str], facts: Mapping[str, object]) -> Arm:
    """Give the interpreter and the directory that are in use."""
    return Arm(text=text, python=Path(sys.executable), directory=Path.cwd(), variables=variables, facts=facts)


def _with_variables(spec: Variables) -> Arm:
    if fixed := sorted(spec.variables.keys() & worker_process.ENVIRONMENT.keys()):
        raise BadArm(
            f"environment {spec.text!r}: every measurement has its own {', '.join(fixed)} "
            f"({', '.join(f'{name}={worker_process.ENVIRONMENT[name]}' for name in fixed)}), "
            "whatever is set; leave it out"
        )
    shown = {name: without_home(value) for name, value in spec.variables.items()}
    return _here(spec.text, spec.variables, {"kind": "env", "variables": shown})


def _with_packages(spec: Packages, *, say: Callable[[str], None]) -> Arm:
    its = venv(spec, say=say)
    facts = {"kind": "pip", "requirements": list(spec.requirements), "versions": dict(its.versions)}
    return Arm(text=spec.text, python=its.python, directory=Path.cwd(), variables={}, facts=facts)


def _at_revision(spec: Revision, *, say: Callable[[str], None]) -> Arm:
    """Give this interpreter, which finds the code of the commit before any other."""
    its = worktree(spec, say=say)
    path = os.pathsep.join([str(its.root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return Arm(
        text=spec.text,
        python=Path(sys.executable),
        directory=its.directory,
        variables={"PYTHONPATH": path},
        facts={"kind": "git", "revision": spec.revision, "commit": its.commit},
    )
