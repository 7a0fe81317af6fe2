"""Convert typed values to JSON and back. Only this module imports the JSON library of results and messages.

Dataclasses are written field by field. Reading checks every type and runs `__post_init__`. No field is NaN or infinite
(`records` refuses them), so the JSON is strict.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


class Malformed(ValueError):
    """Text that is not JSON, or JSON that does not fit the expected type."""


def encode(value: object, *, indent: int = 0) -> bytes:
    """Write *value* as JSON: on one line, or on several lines if *indent* is above 0."""
    text = msgspec.json.encode(value)
    return msgspec.json.format(text, indent=indent) + b"\n" if indent else text


def decode(text: bytes, kind: type[_T]) -> _T:
    """Read a value of type *kind*.

    Raises:
        Malformed: if it does not fit; the message names the place and the expected type.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def plain(value: object) -> Any:
    """Convert *value* to the dicts, lists, strings and numbers that its JSON holds."""
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
