"""Asks the operating system: the output of a command, the text of a small file. Never raises, never waits long.

Unknown is None throughout: a command or file that is not there, fails, says nothing or takes too long.
"""

import shutil
import subprocess
from pathlib import Path

_ROOT = Path("/")
_TIMEOUT_S = 10.0  # chosen: a command that takes this long tells nothing of a quiet machine


def output(program: str, *arguments: str, directory: Path | None = None) -> str | None:
    """Give what a command prints, without the blanks around it."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH
            [path, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def text(path: str) -> str | None:
    """Give what is in the file *path*, counted from the root of the file system."""
    try:
        return (_ROOT / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def texts(pattern: str) -> list[str]:
    """Give what is in the files that *pattern* matches, in the order of their names; those that can be read."""
    found = (text(str(path.relative_to(_ROOT))) for path in sorted(_ROOT.glob(pattern)))
    return [its for its in found if its is not None]


def number(written: str | None) -> int | None:
    """Read a whole number; None for anything else ("max", "", None)."""
    try:
        return int(written or "")
    except ValueError:
        return None


def free_bytes(directory: Path) -> int | None:
    """Give the free space where *directory* is, or will be made."""
    try:
        there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
        return shutil.disk_usage(there).free
    except OSError:
        return None
