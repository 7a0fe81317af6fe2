"""JSON Lines, one object per line. All problems of a file are reported at once, each with its line."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import BadConfig

_Value = TypeVar("_Value")
_Parsed = TypeVar("_Parsed")


def read_lines(path: Path, parse: Callable[[dict[str, Any]], _Parsed]) -> tuple[_Parsed, ...]:
    """Parse every line of *path*. Blank lines are accepted at the end of the file and nowhere else.

    A byte order mark and Windows line endings are accepted.

    Raises:
        BadConfig: naming every line that is no object, or for which *parse* raises ValueError.
    """
    content = read_bytes(path).removeprefix(BOM_UTF8).rstrip()
    return read_each(str(path), "line", content.split(b"\n") if content else [], lambda line: parse(_object(line)))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of *path*.

    Raises:
        BadConfig: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), [f"it cannot be read: {error.strerror}; give a JSON Lines file"]) from error


def read_each(
    source: str, item: str, values: Iterable[_Value], parse: Callable[[_Value], _Parsed]
) -> tuple[_Parsed, ...]:
    """Parse every value. Errors name the *source* and, of each bad value, the *item* and its number from 1.

    Raises:
        BadConfig: naming every value for which *parse* raises ValueError; or if there are no values.
    """
    parsed, problems = [], []
    for number, value in enumerate(values, start=1):
        try:
            parsed.append(parse(value))
        except ValueError as error:
            problems.append(f"{item} {number}: {error}")
    if not parsed and not problems:
        problems.append(f"there is no {item} in it; give one or more")
    if problems:
        raise BadConfig(source, problems)
    return tuple(parsed)


def canonical(value: object) -> bytes:
    """Return *value* as JSON with sorted keys: equal values give equal bytes."""
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
