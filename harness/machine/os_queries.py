"""Queries to the operating system: the output of a command, the text of a small file. No errors, no long waits.

The result is None for whatever is unknown: the command or file is missing, fails, or takes too long.
"""

import shutil
import subprocess
from pathlib import Path

_ROOT = Path("/")
_TIMEOUT_S = 10.0  # chosen: on a quiet machine no command takes this long


def output(program: str, *arguments: str, directory: Path | None = None) -> str | None:
    """Return the standard output of a command, stripped."""
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
    """Return the text of a file, stripped; *path* is relative to the root of the file system."""
    try:
        return (_ROOT / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def texts(pattern: str) -> list[str]:
    """Return the texts of the readable files that match *pattern*, ordered by name."""
    contents = (text(str(path.relative_to(_ROOT))) for path in sorted(_ROOT.glob(pattern)))
    return [content for content in contents if content is not None]


def number(written: str | None) -> int | None:
    """Parse an integer; None for anything else ("max", "", None)."""
    try:
        return int(written or "")
    except ValueError:
        return None


def free_bytes(directory: Path) -> int | None:
    """Return the free disk space in *directory*, or where it will be created."""
    try:
        existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
        return shutil.disk_usage(existing).free
    except OSError:
        return None
