"""Run directories: the one place where a benchmark session and everything after it meet.

A run's directory holds run.json for the session and one JSON file per record. A bundle is a whole run in one file.
While a case still has processes to come, the measurements of the finished ones wait under processes/, so that a
session that dies loses one process at most. `run_files` has the types of these files and their schema.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BadResultFile, HarnessError
from harness.results import run_files
from harness.results.atomic_write import unwritable
from harness.results.records import Bundle, Environment, Record, RunInfo
from harness.results.run_files import SCHEMA, ProcessFile, RecordFile, RunFile

RUN_FILE = "run.json"
REPORT = "report"  # prefix of the names of reports, which may lie beside the records
_PROCESSES = "processes"
_LOCK = ".lock"
_SEPARATOR = "+"  # between the parts of a case in a file's name; no part holds one
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRuns:
    """Runs that were read, and one message for each file that could not be read."""

    runs: tuple[Bundle, ...] = ()
    problems: tuple[str, ...] = field(default=())


def write_run(
    directory: Path, run: RunInfo, environment: Environment | None, earlier: tuple[Environment, ...] = ()
) -> None:
    """Write run.json into the run's *directory*, which is created if it is missing.

    Raises:
        Unwritable: if the directory cannot be made or written.
    """
    head = RunFile(schema=SCHEMA, run=run, environment=environment, earlier_environments=earlier)
    run_files.write(directory / RUN_FILE, head)


def write_record(directory: Path, run_id: str, record: Record) -> Path:
    """Write one record into the run's *directory*; return the path of its file.

    Raises:
        Unwritable: if it cannot be written.
    """
    path = directory / f"{_file_stem(record.case)}.json"
    run_files.write(path, RecordFile(schema=SCHEMA, run_id=run_id, record=record))
    return path


def write_process(directory: Path, process_file: ProcessFile) -> None:
    """Store the measurements of one process until its case is done.

    Raises:
        Unwritable: if it cannot be written.
    """
    stem = _file_stem(process_file.case)
    run_files.write(directory / _PROCESSES / f"{stem}-{process_file.number}.json", process_file)


def read_processes(directory: Path, case: str) -> tuple[ProcessFile, ...]:
    """Read what finished processes of *case* stored, by number; ignore files that cannot be read."""
    process_files = []
    for path in _process_paths(directory, case):
        try:
            process_files.append(run_files.read(path, ProcessFile))
        except BadResultFile:
            continue
    return tuple(sorted(process_files, key=lambda process_file: process_file.number))


def drop_processes(directory: Path, case: str) -> None:
    """Delete the process files of *case*, once its record holds the same measurements."""
    for path in _process_paths(directory, case):
        path.unlink(missing_ok=True)


def _process_paths(directory: Path, case: str) -> list[Path]:
    stem = _file_stem(case)
    paths = (directory / _PROCESSES).glob("*.json")
    return [path for path in paths if path.stem.rpartition("-")[0] == stem]


def _file_stem(case: str) -> str:
    return case.replace("/", _SEPARATOR)


def claim(directory: Path) -> FileLock:
    """Lock a run's *directory* for this session, until the returned lock is released or the session ends.

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


def read_head(directory: Path) -> RunFile:
    """Read a run's run.json alone.

    Raises:
        BadResultFile: if it is missing, torn, foreign, or of a schema this version does not know.
    """
    return run_files.read(directory / RUN_FILE, RunFile)


def read_run(path: Path) -> Bundle:
    """Read a run directory or a bundle file. A run that was written reads back equal.

    Raises:
        BadResultFile: if a file is missing, torn, foreign, or of a schema this version does not know.
    """
    if not path.is_dir():
        return run_files.read(path, Bundle)
    head = read_head(path)
    records, problems = _read_records(path, head)
    if problems:
        raise BadResultFile(problems[0])
    return _bundle(head, records)


def read_metric(path: Path, metric: str, case: str | None = None) -> StoredRuns:
    """Read *metric* alone from the records of a run or a bundle that hold it.

    *case* is a case id or a pattern with *, ? or [; None selects every case. A file that cannot be read is named, and
    skipped. Records without the metric are not even decoded.

    Raises:
        BadResultFile: if there is no run, or its own file cannot be read.
    """
    exact_case = case if case is not None and not _WILDCARDS & set(case) else None
    needles = [f'"{name}"'.encode() for name in (metric, exact_case) if name is not None]
    problems: list[str] = []
    if path.is_dir():
        head = read_head(path)
        records, problems = _read_records(path, head, needles)
        bundle = _bundle(head, records)
    else:
        bundle = run_files.read(path, Bundle)
    matching = (record for record in bundle.records if metric in record.metrics and _matches(record.case, case))
    reduced = tuple(_with_metric_alone(record, metric) for record in matching)
    return StoredRuns(runs=(replace(bundle, records=reduced),), problems=tuple(problems))


def _matches(case: str, pattern: str | None) -> bool:
    return pattern in {None, case} or fnmatchcase(case, str(pattern))


def _with_metric_alone(record: Record, metric: str) -> Record:
    metrics = {metric: record.metrics[metric]}
    return replace(record, metrics=metrics, series={}, outputs=(), artifacts=(), notes=(), identity={}, data=None)


def salvage(directory: Path) -> StoredRuns:
    """Read every readable file of one run; name the others.

    Raises:
        BadResultFile: if there is no run, or its run.json cannot be read.
    """
    head = read_head(directory)
    records, problems = _read_records(directory, head)
    return StoredRuns(runs=(_bundle(head, records),), problems=tuple(problems))


def find_runs(results_dir: Path) -> StoredRuns:
    """Read every run under *results_dir*, oldest first. A file that cannot be read is named, and skipped."""
    runs: list[Bundle] = []
    problems: list[str] = []
    for directory in run_directories(results_dir):
        try:
            stored = salvage(directory)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        problems += stored.problems
        runs += stored.runs
    runs.sort(key=lambda bundle: (bundle.run.started_at, bundle.run.id))
    return StoredRuns(runs=tuple(runs), problems=tuple(problems))


def _read_records(directory: Path, head: RunFile, needles: Sequence[bytes] = ()) -> tuple[list[Record], list[str]]:
    """Read a run's records; describe each file that is torn, foreign, of another run, or a second one of its case.

    A complete file that lacks one of *needles* is skipped.
    """
    records: dict[str, Record] = {}
    problems = []
    for path in _record_paths(directory):
        try:
            record_file = run_files.read(path, RecordFile, needles)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        if record_file is None:
            continue
        record = record_file.record
        if record_file.run_id != head.run.id:
            problems.append(f"{path}: of the run {record_file.run_id!r}, not of {head.run.id!r}; move it away")
        elif record.case in records:
            problems.append(f"{path}: a second record of {record.case}; keep one")
        else:
            records[record.case] = record
    return list(records.values()), problems


def _bundle(head: RunFile, records: Iterable[Record]) -> Bundle:
    """Join a run's files, with the records in the order in which their first processes ran."""
    turn_numbers = {turn: number for number, turn in enumerate(head.run.order)}
    ordered = sorted(
        records, key=lambda record: (turn_numbers.get(f"{record.case}#1", -1), record.started_at, record.case)
    )
    return Bundle(
        schema=head.schema,
        run=head.run,
        environment=head.environment,
        records=tuple(ordered),
        earlier_environments=head.earlier_environments,
    )


def run_directories(results_dir: Path) -> list[Path]:
    """List the directory of every run under *results_dir*, sorted by name."""
    return sorted(path.parent for path in results_dir.glob(f"*/{RUN_FILE}"))


def _record_paths(directory: Path) -> Iterator[Path]:
    paths = (path for path in sorted(directory.glob("*.json")) if path.name != RUN_FILE)
    return (path for path in paths if not path.name.startswith(REPORT))
