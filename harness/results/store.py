"""Result files: the one seam between a benchmark session and everything after it.

A run is a directory: run.json for the session, one JSON file a record beside it. A bundle is a run in
one file. Everything is written whole or not at all. While a case has processes still to come, what the
finished ones measured waits under processes/, so that a session that dies loses one process at most.

Schema history (raise SCHEMA, add a line, keep reading the older ones):
    1  first version; fields that were added since have a default
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar, overload

from filelock import FileLock, Timeout

from harness.errors import BadResultFile, HarnessError, Unwritable
from harness.results import codec
from harness.results.records import Bundle, Environment, Record, RunInfo, Sample

SCHEMA = 1
RUN_FILE = "run.json"
REPORT = "report"  # how the names of reports begin, which may lie beside the records
_PROCESSES = "processes"
_LOCK = ".lock"
_SEPARATOR = "+"  # between the parts of a case in a file's name; no part holds one


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """run.json: a session without its records."""

    schema: int
    run: RunInfo
    environment: Environment | None
    earlier_environments: tuple[Environment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """One record in its file, with the run it belongs to."""

    schema: int
    run_id: str
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFile:
    """What one process of a case measured, until the case has its record."""

    schema: int
    run_id: str
    case: str
    number: int  # counted from 1
    identity: dict[str, str]
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versioned:
    """All that is asked of a file of a version to come."""

    schema: int


_T = TypeVar("_T", Bundle, RunFile, RecordFile, ProcessFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in a results directory: runs, and files that could not be read, each with its reason."""

    runs: tuple[Bundle, ...] = ()
    problems: tuple[str, ...] = field(default=())


def write_run(
    directory: Path, run: RunInfo, environment: Environment | None, earlier: tuple[Environment, ...] = ()
) -> None:
    """Write the session's own file into the run's *directory*, which is made if it is not there.

    Raises:
        Unwritable: if the directory cannot be made or written.
    """
    head = RunFile(schema=SCHEMA, run=run, environment=environment, earlier_environments=earlier)
    _write(directory / RUN_FILE, head)


def write_record(directory: Path, run_id: str, record: Record) -> Path:
    """Write one record into the run's *directory*; give its file.

    Raises:
        Unwritable: if it cannot be written.
    """
    path = directory / f"{_file_stem(record.case)}.json"
    _write(path, RecordFile(schema=SCHEMA, run_id=run_id, record=record))
    return path


def drop_processes(directory: Path, case: str) -> None:
    """Forget what the processes of *case* left: its record holds it."""
    for finished in _process_files(directory, case):
        finished.unlink(missing_ok=True)


def write_process(directory: Path, its: ProcessFile) -> None:
    """Keep what one process measured, until its case is done.

    Raises:
        Unwritable: if it cannot be written.
    """
    _write(directory / _PROCESSES / f"{_file_stem(its.case)}-{its.number}.json", its)


def read_processes(directory: Path, case: str) -> tuple[ProcessFile, ...]:
    """What finished processes of *case* left, by their numbers; files that cannot be read are as good as none."""
    found = []
    for path in _process_files(directory, case):
        try:
            found.append(_read(path, ProcessFile))
        except BadResultFile:
            continue
    return tuple(sorted(found, key=lambda its: its.number))


def _process_files(directory: Path, case: str) -> list[Path]:
    stem = _file_stem(case)
    files = (directory / _PROCESSES).glob("*.json")
    return [path for path in files if path.stem.rpartition("-")[0] == stem]


def _file_stem(case: str) -> str:
    return case.replace("/", _SEPARATOR)


def claim(directory: Path) -> FileLock:
    """Make a run's *directory* this session's alone, for as long as the lock given is held, or the session lives.

    Raises:
        HarnessError: if another session is measuring into it.
        Unwritable: if it cannot be made.
    """
    lock = FileLock(directory / _LOCK)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise HarnessError(f"{directory}: another session is measuring into this run; wait for it") from None
    except OSError as error:
        raise unwritable(directory, error) from error
    return lock


def write_text(path: Path, text: str) -> None:
    """Write *text*, whole or not at all.

    Raises:
        Unwritable: if it cannot be written.
    """
    write_bytes(path, text.encode(errors="replace"))  # half a character, as a command line can hold, must not stop it


def write_bytes(path: Path, data: bytes) -> None:
    """Write *data*, whole or not at all.

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
    try:
        with path.open("wb") as stream:
            stream.write(data)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> Unwritable:
    """The refusal of a place that cannot be written."""
    return Unwritable(f"{path}: {error.strerror or error}; choose another place, or make room")


def read_head(directory: Path) -> RunFile:
    """Read the session's own file alone.

    Raises:
        BadResultFile: if it is missing, torn, foreign, or of a schema this version does not know.
    """
    return _read(directory / RUN_FILE, RunFile)


def read_run(path: Path) -> Bundle:
    """Read a run directory or a bundle file. What was written reads back equal.

    Raises:
        BadResultFile: if a file is missing, torn, foreign, or of a schema this version does not know.
    """
    if not path.is_dir():
        return _read(path, Bundle)
    head = read_head(path)
    records, problems = _read_records(path, head)
    if problems:
        raise BadResultFile(problems[0])
    return _bundle(head, records)


def read_metric(path: Path, metric: str, case: str | None = None) -> Found:
    """Read of a run or a bundle only the records that hold *metric*, and of them only that.

    *case* is one, or a pattern with *, ? or [; None: all of them. A file that cannot be read is named, and skipped.
    Records without the metric are not even decoded.

    Raises:
        BadResultFile: if there is no run, or its own file cannot be read.
    """
    whole = case if case is not None and not _PATTERN & set(case) else None
    needles = [f'"{its}"'.encode() for its in (metric, whole) if its is not None]
    problems: list[str] = []
    if path.is_dir():
        head = read_head(path)
        records, problems = _read_records(path, head, needles)
        bundle = _bundle(head, records)
    else:
        bundle = _read(path, Bundle)
    wanted = (its for its in bundle.records if metric in its.metrics and _meant(case, its.case))
    return Found(runs=(replace(bundle, records=tuple(_only(its, metric) for its in wanted)),), problems=tuple(problems))


_PATTERN = frozenset("*?[")


def _meant(asked: str | None, case: str) -> bool:
    return asked in {None, case} or fnmatchcase(case, str(asked))


def _only(record: Record, metric: str) -> Record:
    one = {metric: record.metrics[metric]}
    return replace(record, metrics=one, series={}, outputs=(), artifacts=(), notes=(), identity={}, data=None)


def salvage(directory: Path) -> Found:
    """Read all of one run that can be read; name every file that cannot.

    Raises:
        BadResultFile: if there is no run, or its run.json cannot be read.
    """
    head = read_head(directory)
    records, problems = _read_records(directory, head)
    return Found(runs=(_bundle(head, records),), problems=tuple(problems))


def find_runs(results_dir: Path) -> Found:
    """Read every run under *results_dir*, oldest first. A file that cannot be read is named, and skipped."""
    runs: list[Bundle] = []
    problems: list[str] = []
    for directory in run_directories(results_dir):
        try:
            its = salvage(directory)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        problems += its.problems
        runs += its.runs
    runs.sort(key=lambda bundle: (bundle.run.started_at, bundle.run.id))
    return Found(runs=tuple(runs), problems=tuple(problems))


def _read_records(directory: Path, head: RunFile, needles: Sequence[bytes] = ()) -> tuple[list[Record], list[str]]:
    """Read the records of a run; name each file that is torn, foreign, of another run, or a second one of its case.

    A whole file without all of *needles* is passed over.
    """
    records: dict[str, Record] = {}
    problems = []
    for file in _record_files(directory):
        try:
            its = _read(file, RecordFile, needles)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        if its is None:
            continue
        if its.run_id != head.run.id:
            problems.append(f"{file}: of the run {its.run_id!r}, not of {head.run.id!r}; move it away")
        elif its.record.case in records:
            problems.append(f"{file}: a second record of {its.record.case}; keep one")
        else:
            records[its.record.case] = its.record
    return list(records.values()), problems


def _bundle(head: RunFile, records: Iterable[Record]) -> Bundle:
    """Join a run's files, its records in the order their first processes ran."""
    place = {turn: number for number, turn in enumerate(head.run.order)}
    ordered = sorted(records, key=lambda its: (place.get(f"{its.case}#1", -1), its.started_at, its.case))
    return Bundle(
        schema=head.schema,
        run=head.run,
        environment=head.environment,
        records=tuple(ordered),
        earlier_environments=head.earlier_environments,
    )


def run_directories(results_dir: Path) -> list[Path]:
    """Name the directory of every run under *results_dir*."""
    return sorted(path.parent for path in results_dir.glob(f"*/{RUN_FILE}"))


def _record_files(directory: Path) -> Iterator[Path]:
    names = (path for path in sorted(directory.glob("*.json")) if path.name != RUN_FILE)
    return (path for path in names if not path.name.startswith(REPORT))


def _write(path: Path, value: object) -> None:
    write_text(path, codec.encode(value, indent=1).decode())


@overload
def _read(path: Path, kind: type[_T]) -> _T: ...
@overload
def _read(path: Path, kind: type[_T], needles: Sequence[bytes]) -> _T | None: ...
def _read(path: Path, kind: type[_T], needles: Sequence[bytes] = ()) -> _T | None:
    try:
        text = path.read_bytes()
        if text.rstrip().endswith(b"}") and not all(needle in text for needle in needles):
            return None
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
