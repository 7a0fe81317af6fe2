"""Prepares an environment of an A/B comparison to be measured.

The current environment is used as it is; packages and commits are prepared in the cache by `venvs` and `worktrees`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import BadArm
from harness.paths import without_home
from harness.session import worker_process
from harness.session.ab.arms import ArmSpec, Packages, PreparedArm, Revision, Same, Variables
from harness.session.ab.venvs import venv
from harness.session.ab.worktrees import worktree


def make(spec: ArmSpec, *, say: Callable[[str], None]) -> PreparedArm:
    """Prepare the environment that *spec* describes; *say* gets a line about every step that is slow or may surprise.

    Raises:
        BadArm: if the environment cannot be prepared.
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


def _here(text: str, variables: Mapping[str, str], facts: Mapping[str, object]) -> PreparedArm:
    """Return the current interpreter and directory, with *variables* added."""
    return PreparedArm(text=text, python=Path(sys.executable), directory=Path.cwd(), variables=variables, facts=facts)


def _with_variables(spec: Variables) -> PreparedArm:
    if fixed := sorted(spec.variables.keys() & worker_process.ENVIRONMENT.keys()):
        raise BadArm(
            f"environment {spec.text!r}: every measurement has its own {', '.join(fixed)} "
            f"({', '.join(f'{name}={worker_process.ENVIRONMENT[name]}' for name in fixed)}), "
            "whatever is set; leave it out"
        )
    stored = {name: without_home(value) for name, value in spec.variables.items()}
    return _here(spec.text, spec.variables, {"kind": "env", "variables": stored})


def _with_packages(spec: Packages, *, say: Callable[[str], None]) -> PreparedArm:
    environment = venv(spec, say=say)
    facts = {"kind": "pip", "requirements": list(spec.requirements), "versions": dict(environment.versions)}
    return PreparedArm(text=spec.text, python=environment.python, directory=Path.cwd(), variables={}, facts=facts)


def _at_revision(spec: Revision, *, say: Callable[[str], None]) -> PreparedArm:
    """Return the current interpreter with the code of the commit first on its path."""
    checkout = worktree(spec, say=say)
    path = os.pathsep.join([str(checkout.root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return PreparedArm(
        text=spec.text,
        python=Path(sys.executable),
        directory=checkout.directory,
        variables={"PYTHONPATH": path},
        facts={"kind": "git", "revision": spec.revision, "commit": checkout.commit},
    )
