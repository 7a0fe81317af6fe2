"""Stored baselines: RESULTS/baseline/NAME/0001.json, 0002.json, ... and history.jsonl with one line per save.

These files are committed. The last save whose file exists is the baseline; earlier ones stay until somebody deletes
their files. A file without a line in the history was left by an interrupted save and is not a baseline.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import BadResultFile, UnknownName
from harness.results import codec, store
from harness.results.records import Bundle
from harness.results.run_files import SCHEMA

HISTORY = "history.jsonl"
_FOLDER = "baseline"
AT = "@"  # between a baseline's name and the number of an earlier one; no name and no run id holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Number and run of the baseline that a save replaced."""

    number: int
    run: str

    def __str__(self) -> str:
        return f"number {self.number}, run {self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One line of the history: the run that became the baseline, the time, the reason, and what it replaced."""

    schema: int
    number: int  # counted from 1
    run: str
    saved_at: str  # UTC, ISO 8601
    reason: str
    git: dict[str, Any] | None  # commit of the run, and whether the checkout had changes
    versions: dict[str, str | None]
    replaced: Replaced | None = None
    verdict: str | None = None  # the gate's verdict on this run against the replaced one
    worst: str | None = None  # the greatest change for the worse, with its interval
    accepted: tuple[str, ...] = field(default=())  # metrics that got worse, or seemed to, and were accepted
    dropped: tuple[str, ...] = field(default=())  # cases of the replaced baseline that this one lacks

    @property
    def file(self) -> str:
        """Name of the baseline's file, such as 0001.json."""
        return f"{self.number:04d}.json"


def names(results_dir: Path) -> list[str]:
    """List the names of the baselines under *results_dir*, sorted."""
    return sorted(path.parent.name for path in (results_dir / _FOLDER).glob(f"*/{HISTORY}"))


def directory(results_dir: Path, name: str) -> Path:
    """Return the folder that holds every save of the baseline *name*."""
    return results_dir / _FOLDER / name


def kept(directory: Path) -> tuple[Saved, ...]:
    """List every save whose file still exists, oldest first; the last one is the baseline.

    Raises:
        BadResultFile: if a line of the history cannot be read, since that line may be the last save.
    """
    return tuple(save for save in history(directory / HISTORY) if (directory / save.file).is_file())


def find(results_dir: Path, name: str) -> Path | None:
    """Return the file of the baseline NAME, or of an earlier save NAME@NUMBER; None if there is no such baseline.

    Raises:
        UnknownName: if there is no such number.
        BadResultFile: if the history of the baseline cannot be read.
    """
    name, at, number = name.partition(AT)
    if name not in names(results_dir):
        return None
    folder = directory(results_dir, name)
    saves = {str(save.number): folder / save.file for save in kept(folder)}
    if at or not saves:
        if number not in saves:
            raise UnknownName(f"number of the baseline {name!r}", number, saves, f"({folder})")
        return saves[number]
    return list(saves.values())[-1]


def number(path: Path) -> int | None:
    """Return the number of the baseline stored in the file *path*; None for any other file."""
    return int(path.stem) if path.parent.parent.name == _FOLDER and path.stem.isdigit() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One entry of `tunebench baseline list`; *earlier* counts the older saves whose files still exist."""

    name: str
    bundle: Bundle
    saved: Saved
    earlier: int


def read(results_dir: Path) -> tuple[list[Shelf], list[str]]:
    """Read every baseline; return them with one message for each that cannot be read."""
    shelves, problems = [], []
    for name in names(results_dir):
        folder = directory(results_dir, name)
        try:
            if saves := kept(folder):
                bundle = store.read_run(folder / saves[-1].file)
                shelves.append(Shelf(name=name, bundle=bundle, saved=saves[-1], earlier=len(saves) - 1))
        except BadResultFile as error:
            problems.append(str(error))
    return shelves, problems


def history(path: Path) -> list[Saved]:
    """Read every line of the history file *path*, oldest first.

    Raises:
        BadResultFile: if the file or a line of it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines() if path.is_file() else []
    except OSError as error:
        raise BadResultFile(f"{path}: cannot be read ({error.strerror or error})") from error
    return [_read(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _read(path: Path, number: int, line: bytes) -> Saved:
    try:
        saved = codec.decode(line, Saved)
    except codec.Malformed as error:
        problem = "no line of a baseline's history"
        raise BadResultFile(
            f"{path}, line {number}: {problem} ({error}); restore the file from your commits"
        ) from error
    if saved.schema != SCHEMA:
        raise BadResultFile(f"{path}, line {number}: schema {saved.schema}; this version reads {SCHEMA}")
    return saved
