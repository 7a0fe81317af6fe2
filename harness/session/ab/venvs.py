"""Virtual environments with chosen packages, kept in the cache; the only module that runs `venv` and `pip install`.

An environment cannot be moved, so it is made where it stays; a marker file, written last, says that it is complete.
"""

import hashlib
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.errors import BadArm, Unwritable
from harness.machine import programs
from harness.paths import cache_dir, without_home
from harness.session.ab.arms import Packages
from harness.session.ab.installation import Installation, current_installation

_COMPLETE = "tunebench-complete"
_ALWAYS = ("mlx", "mlx-lm")
# They would make pip install packages elsewhere, or count packages elsewhere as installed.
_UNSET = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
_VERSIONS_SCRIPT = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venv:
    """A complete environment: its interpreter, and the versions of the requested packages and of MLX in it."""

    python: Path
    versions: Mapping[str, str]


def venv(spec: Packages, *, say: Callable[[str], None]) -> Venv:
    """Return an environment with tunebench and the packages of *spec*; reuse one made for equal requirements.

    Packages that *spec* does not pin have the newest version of the time when the environment was made.

    Raises:
        BadArm: if pip finds no compatible versions, or versions that do not satisfy *spec* would be measured.
        Unwritable: if the cache cannot hold it.
    """
    tunebench = current_installation()
    directory = cache_dir().absolute() / "venvs" / _key(spec.requirements, tunebench)
    python = directory / "bin" / "python"
    names = sorted({*_ALWAYS, *spec.names})
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.with_name(f"{directory.name}.lock")):
            versions = _versions(python, names) if (directory / _COMPLETE).is_file() else None
            if versions is None:
                say(f"{spec.text}: making a virtual environment in {without_home(str(directory))}; this takes minutes")
                _make(directory, [*tunebench.words, *spec.requirements], spec.text)
                versions = _versions(python, names) or {}
    except OSError as error:
        remedy = "set TUNEBENCH_CACHE to a directory that can be written and has room"
        raise Unwritable(f"{directory}: {error.strerror or error}; {remedy}") from error
    if unmet := spec.unmet(versions):
        raise BadArm(
            f"environment {spec.text!r}: python -m pytest would measure {', '.join(unmet)}; accepted is what was "
            f"asked for: leave other copies out of PYTHONPATH and the current directory, or delete {directory}"
        )
    return Venv(python=python, versions=versions)


def _key(requirements: Sequence[str], tunebench: Installation) -> str:
    """Return a name made of everything that decides an environment's contents, except the state of the index."""
    interpreter = (sys.version, sys.base_prefix, sysconfig.get_platform())
    parts = [*interpreter, *tunebench.words, tunebench.state, *requirements]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _make(directory: Path, words: Sequence[str], text: str) -> None:
    """Make the environment from scratch; if this is cut short, nothing remains that looks complete."""
    shutil.rmtree(directory, ignore_errors=True)
    working_directory = Path.cwd()
    try:
        made = programs.run([sys.executable, "-m", "venv", str(directory)], directory=working_directory, unset=_UNSET)
        if not made.ok:
            remedy = "install the module venv for it (Debian: python3-venv)"
            raise BadArm(
                f"environment {text!r}: {sys.executable} makes no virtual environment; {remedy}\n  {made.complaint}"
            )
        # One call, so that the resolver sees what tunebench needs beside what was asked for.
        pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        installed = programs.run([*pip, "--progress-bar", "off", *words], directory=working_directory, unset=_UNSET)
        if not installed.ok:
            remedy = "ask for versions that exist and that this tunebench accepts"
            raise BadArm(
                f"environment {text!r}: pip could not install it; {remedy}. It said:\n  {_pip_error(installed)}"
            )
        (directory / _COMPLETE).write_text("\n".join(words) + "\n", encoding="utf-8")
    finally:
        if not (directory / _COMPLETE).is_file():
            shutil.rmtree(directory, ignore_errors=True)


def _pip_error(failed: programs.ProgramResult) -> str:
    """Return pip's error message, with the conflicting requirements that pip prints further up, if any."""
    conflict = re.search(r"^The conflict is caused by:\n((?: .*\n?)+)", failed.output, flags=re.MULTILINE)
    lines = [line.strip() for line in conflict[1].splitlines() if line.strip()] if conflict else []
    return "\n  ".join([*lines, failed.complaint])


def _versions(python: Path, names: Sequence[str]) -> dict[str, str] | None:
    """Return the installed version of each package that *python* finds; None if *python* does not start."""
    done = programs.run([str(python), "-c", _VERSIONS_SCRIPT, *names], directory=Path.cwd())
    lines = (line.split(" ") for line in done.output.splitlines())
    return {name: version for name, version in lines} if done.ok else None  # noqa: C416 - pairs, said so
