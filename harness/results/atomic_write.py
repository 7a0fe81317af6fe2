"""Write a file so that a reader finds either the old content or the whole new one, never a part of it."""

import os
from pathlib import Path

from harness.errors import Unwritable


def write_text(path: Path, text: str) -> None:
    """Write *text* as UTF-8, whole or not at all.

    Raises:
        Unwritable: if it cannot be written.
    """
    write_bytes(path, text.encode(errors="replace"))  # half a character, as a command line can hold, must not stop it


def write_bytes(path: Path, data: bytes) -> None:
    """Write *data*, whole or not at all; create missing folders.

    Raises:
        Unwritable: if it cannot be written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):  # /dev/stdout: written into, never replaced
        _write_into(path, data)
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True) if partial.parent.is_dir() else None
        raise unwritable(path, error) from error


def _write_into(path: Path, data: bytes) -> None:
    """Write into an existing link or device, which must not be replaced by a file."""
    try:
        with path.open("wb") as stream:
            stream.write(data)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> Unwritable:
    """Make the error for a place that cannot be written, from what the operating system reported."""
    return Unwritable(f"{path}: {error.strerror or error}; choose another place, or make room")
