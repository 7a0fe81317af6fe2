"""Types of the JSON files in a run's directory, and the schema number that each file carries.

`write` and `read` handle one file; `store` knows which files make up a run.

Schema history (raise SCHEMA, add a line, keep reading the older ones):
    1  first version; fields that were added since have a default
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

from harness.errors import BadResultFile
from harness.results import codec
from harness.results.atomic_write import write_text
from harness.results.records import Bundle, Environment, Record, RunInfo, Sample

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """Content of run.json: the session and its machine, without the records."""

    schema: int
    run: RunInfo
    environment: Environment | None
    earlier_environments: tuple[Environment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """Content of a record's file: one record and the id of its run."""

    schema: int
    run_id: str
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFile:
    """Measurements of one process of a case, kept until the record of the case is written."""

    schema: int
    run_id: str
    case: str
    number: int  # counted from 1
    identity: dict[str, str]
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class _SchemaOnly:
    """Part of a file that is read even if its schema is unknown."""

    schema: int


_T = TypeVar("_T", Bundle, RunFile, RecordFile, ProcessFile)


def write(path: Path, content: object) -> None:
    """Write *content* as indented JSON, whole or not at all.

    Raises:
        Unwritable: if it cannot be written.
    """
    write_text(path, codec.encode(content, indent=1).decode())


@overload
def read(path: Path, kind: type[_T]) -> _T: ...
@overload
def read(path: Path, kind: type[_T], needles: Sequence[bytes]) -> _T | None: ...
def read(path: Path, kind: type[_T], needles: Sequence[bytes] = ()) -> _T | None:
    """Read a file of type *kind*; return None for a complete file that lacks one of *needles*, without decoding it.

    Raises:
        BadResultFile: if it is missing, torn, foreign, or of a schema this version does not know.
    """
    try:
        text = path.read_bytes()
        if text.rstrip().endswith(b"}") and not all(needle in text for needle in needles):
            return None
        content = codec.decode(text, kind)
    except OSError as error:
        raise BadResultFile(f"{path}: cannot be read ({error.strerror or error})") from error
    except codec.Malformed as error:
        _refuse_schema(path, _schema_of(text))
        raise BadResultFile(f"{path}: not a result of this program ({error}); move it away or measure again") from error
    _refuse_schema(path, content.schema)
    return content


def _schema_of(text: bytes) -> int:
    """Return the schema that a file states, or ours if it states none."""
    try:
        return codec.decode(text, _SchemaOnly).schema
    except codec.Malformed:
        return SCHEMA


def _refuse_schema(path: Path, schema: int) -> None:
    if schema != SCHEMA:
        raise BadResultFile(f"{path}: schema {schema}; this version reads {SCHEMA}. Update tunebench.")
