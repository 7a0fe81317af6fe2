"""JSON Lines: an object a line. What is wrong with a file is told line by line, all of it at once."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import BadConfig

_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


def read_lines(path: Path, parse: Callable[[dict[str, Any]], _Read]) -> tuple[_Read, ...]:
    """Every line of *path*, as *parse* reads its object. Blank lines may end the file, and stand nowhere else.

    A byte order mark and the line ends of Windows are accepted.

    Raises:
        BadConfig: naming every line that is no object, or that *parse* refuses with a ValueError.
    """
    content = read_bytes(path).removeprefix(BOM_UTF8).rstrip()
    return read_each(str(path), "line", content.split(b"\n") if content else [], lambda line: parse(_object(line)))


def read_bytes(path: Path) -> bytes:
    """The bytes of *path*.

    Raises:
        BadConfig: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), [f"it cannot be read: {error.strerror}; give a JSON Lines file"]) from error


def read_each(where: str, what: str, values: Iterable[_Given], parse: Callable[[_Given], _Read]) -> tuple[_Read, ...]:
    """Every value as *parse* reads it. In errors, *where* names the whole of them, *what* and a number each.

    Raises:
        BadConfig: naming every value that *parse* refuses with a ValueError; or that there is none.
    """
    read, problems = [], []
    for number, value in enumerate(values, start=1):
        try:
            read.append(parse(value))
        except ValueError as error:
            problems.append(f"{what} {number}: {error}")
    if not read and not problems:
        problems.append(f"there is no {what} in it; give one or more")
    if problems:
        raise BadConfig(where, problems)
    return tuple(read)


def canonical(value: object) -> bytes:
    """*value* as JSON, the same for equal values whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, default=str).encode()


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode()) if line.strip() else None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not line.strip():
        raise ValueError("blank; leave it out")
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, not an object; give {{...}}, all of it on the line")  # noqa: TRY004 - a problem of the line
    return value
