"""Result files: the one seam between a benchmark session and everything after it.

A run is a directory: run.json for the session, one JSON file a record beside it. A bundle is a run in
one file. Everything is written whole or not at all.

Schema history (raise SCHEMA, add a line, keep reading the older ones):
    1  first version
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness import codec
from harness.errors import BadResultFile, UnknownName, Unwritable
from harness.records import Bundle, Environment, Record, RunInfo

SCHEMA = 1
RUN_FILE = "run.json"
_SEPARATOR = "+"  # between the parts of a case in a file's name; no part holds one
LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """run.json: a session without its records."""

    schema: int
    run: RunInfo
    environment: Environment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """One record in its file, with the run it belongs to."""

    schema: int
    run_id: str
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versioned:
    """All that is asked of a file of a version to come."""

    schema: int


_T = TypeVar("_T", Bundle, RunFile, RecordFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in a results directory: runs, and files that could not be read, each with its reason."""

    runs: tuple[Bundle, ...] = ()
    problems: tuple[str, ...] = field(default=())


def write_run(directory: Path, run: RunInfo, environment: Environment | None) -> None:
    """Write the session's own file into the run's *directory*, which is made if it is not there.

    Raises:
        Unwritable: if the directory cannot be made or written.
    """
    _write(directory / RUN_FILE, RunFile(schema=SCHEMA, run=run, environment=environment))


def write_record(directory: Path, run_id: str, record: Record) -> Path:
    """Write one record into the run's *directory*; give its file.

    Raises:
        Unwritable: if it cannot be written.
    """
    path = directory / f"{record.case.replace('/', _SEPARATOR)}.json"
    _write(path, RecordFile(schema=SCHEMA, run_id=run_id, record=record))
    return path


def write_text(path: Path, text: str) -> None:
    """Write *text*, whole or not at all.

    Raises:
        Unwritable: if it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    data = text.encode(errors="replace")  # half a character, as a command line can hold, must not stop the writing
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True) if partial.parent.is_dir() else None
        raise Unwritable(f"{path}: {error.strerror or error}; choose another place, or make room") from error


def read_run(path: Path) -> Bundle:
    """Read a run directory or a bundle file. What was written reads back equal.

    Raises:
        BadResultFile: if a file is missing, torn, foreign, or of a schema this version does not know.
    """
    if not path.is_dir():
        return _read(path, Bundle)
    head = _read(path / RUN_FILE, RunFile)
    records, problems = _read_records(path, head)
    if problems:
        raise BadResultFile(problems[0])
    return _bundle(head, records)


def find_runs(results_dir: Path) -> Found:
    """Read every run under *results_dir*, oldest first. A file that cannot be read is named, and skipped."""
    runs, problems = [], []
    for directory in _run_directories(results_dir):
        try:
            head = _read(directory / RUN_FILE, RunFile)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        records, unread = _read_records(directory, head)
        problems += unread
        runs.append(_bundle(head, records))
    runs.sort(key=lambda bundle: (bundle.run.started_at, bundle.run.id))
    return Found(runs=tuple(runs), problems=tuple(problems))


def _read_records(directory: Path, head: RunFile) -> tuple[list[Record], list[str]]:
    """Read the records of a run; name each file that is torn, foreign, of another run, or a second one of its case."""
    records: dict[str, Record] = {}
    problems = []
    for file in _record_files(directory):
        try:
            its = _read(file, RecordFile)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        if its.run_id != head.run.id:
            problems.append(f"{file}: of the run {its.run_id!r}, not of {head.run.id!r}; move it away")
        elif its.record.case in records:
            problems.append(f"{file}: a second record of {its.record.case}; keep one")
        else:
            records[its.record.case] = its.record
    return list(records.values()), problems


def _bundle(head: RunFile, records: Iterable[Record]) -> Bundle:
    """Join a run's files, its records in the order they were measured."""
    ordered = sorted(records, key=lambda record: (record.started_at, record.case))
    return Bundle(schema=head.schema, run=head.run, environment=head.environment, records=tuple(ordered))


def locate(name: str, results_dir: Path) -> Path:
    """Find a run by its id, a unique prefix of it, a path, or "latest".

    Raises:
        UnknownName: if nothing, or more than one run, answers to it.
    """
    as_path = Path(name)
    if name and (_exists(as_path / RUN_FILE) or _exists(as_path)):
        return as_path
    directories = {path.name: path for path in _run_directories(results_dir)}
    if name in directories:
        return directories[name]
    if name == LATEST and directories:
        return max(directories.values(), key=_started_at)
    matches = [path for run_id, path in directories.items() if name and run_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    hint = f"({results_dir}) More than one begins so." if matches else f"({results_dir}) `tunebench runs` lists them."
    raise UnknownName("run", name, directories, hint)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any file's
        return False


def _started_at(directory: Path) -> tuple[str, str]:
    """When a run began; one that cannot be read counts as the oldest."""
    try:
        return _read(directory / RUN_FILE, RunFile).run.started_at, directory.name
    except BadResultFile:
        return "", directory.name


def _run_directories(results_dir: Path) -> list[Path]:
    return sorted(path.parent for path in results_dir.glob(f"*/{RUN_FILE}"))


def _record_files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.glob("*.json")) if path.name != RUN_FILE)


def _write(path: Path, value: object) -> None:
    write_text(path, codec.encode(value, indent=1).decode())


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        text = path.read_bytes()
        value = codec.decode(text, kind)
    except OSError as error:
        raise BadResultFile(f"{path}: cannot be read ({error.strerror or error})") from error
    except codec.Malformed as error:
        _refuse_schema(path, _schema_of(text))
        raise BadResultFile(f"{path}: not a result of this program ({error}); move it away or measure again") from error
    _refuse_schema(path, value.schema)
    return value


def _schema_of(text: bytes) -> int:
    """The schema a file says it has; ours, if it does not say."""
    try:
        return codec.decode(text, _Versioned).schema
    except codec.Malformed:
        return SCHEMA


def _refuse_schema(path: Path, schema: int) -> None:
    if schema != SCHEMA:
        raise BadResultFile(f"{path}: schema {schema}; this version reads {SCHEMA}. Update tunebench.")
