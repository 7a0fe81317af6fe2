"""Typed values to JSON and back. The only module that knows the JSON library of results and messages.

Dataclasses are written field by field and checked on the way in, their own `__post_init__` included.
Their fields are never NaN or infinite (`records` sees to it), so the JSON is strict.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


class Malformed(ValueError):
    """Text that is not JSON, or not of the wanted type."""


def encode(value: object, *, indent: int = 0) -> bytes:
    """Write *value* as JSON; with *indent*, over several lines."""
    text = msgspec.json.encode(value)
    return msgspec.json.format(text, indent=indent) + b"\n" if indent else text


def decode(text: bytes, kind: type[_T]) -> _T:
    """Read a value of type *kind*.

    Raises:
        Malformed: with the place and what was expected there.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def plain(value: object) -> Any:
    """Give *value* as dicts, lists, texts and numbers, as it reads back from a file."""
    return msgspec.json.decode(msgspec.json.encode(value))


def json_schema(kinds: Sequence[type]) -> dict[str, Any]:
    """Describe a file that holds one of *kinds*, as JSON Schema, draft 2020-12."""
    references, definitions = msgspec.json.schema_components(kinds)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "anyOf": list(references),
        "$defs": {name: normalized(definition) for name, definition in definitions.items()},
    }


def normalized(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schema of one class in a form that is the same for every release of msgspec and of Python.

    Docstrings are dedented and empty defaults left out: msgspec 0.23 and Python 3.13 dedent, earlier ones do not;
    msgspec 0.23 writes the default of a field made by `dict` or `list`, earlier ones do not.
    """
    result = dict(definition)
    if "description" in result:
        result["description"] = inspect.cleandoc(result["description"])
    if "properties" in result:
        result["properties"] = {
            name: {key: value for key, value in field.items() if key != "default" or value not in ([], {})}
            for name, field in result["properties"].items()
        }
    return result
