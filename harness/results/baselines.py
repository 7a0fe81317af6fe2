"""Stored baselines: RESULTS/baseline/NAME/0001.json, 0002.json, ... and history.jsonl, a line a save. Committed.

The last save whose file is there is the baseline; the earlier ones stay until somebody deletes their files. A file
without a line is what an interrupted save left, and is no baseline.
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
    """The baseline that a save replaced: its number and its run."""

    number: int
    run: str

    def __str__(self) -> str:
        return f"number {self.number}, run {self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A line of the history: which run became the baseline, when, why, and what it replaced."""

    schema: int
    number: int  # counted from 1
    run: str
    saved_at: str  # UTC, ISO 8601
    reason: str
    git: dict[str, Any] | None  # of the run: its commit, and whether there were changes
    versions: dict[str, str | None]
    replaced: Replaced | None = None
    verdict: str | None = None  # the gate's on this run against that one
    worst: str | None = None  # the greatest change for the worse, with its interval
    accepted: tuple[str, ...] = field(default=())  # what got worse, or looked so, and was accepted
    dropped: tuple[str, ...] = field(default=())  # cases that the one before held

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.number:04d}.json"


def names(results_dir: Path) -> list[str]:
    """Name every baseline under *results_dir*."""
    return sorted(path.parent.name for path in (results_dir / _FOLDER).glob(f"*/{HISTORY}"))


def directory(results_dir: Path, name: str) -> Path:
    """Where the baselines of that name lie."""
    return results_dir / _FOLDER / name


def kept(directory: Path) -> tuple[Saved, ...]:
    """Every save whose file is still there, oldest first: the last one is the baseline.

    Raises:
        BadResultFile: if a line of the history cannot be read: it may be the one that counts.
    """
    return tuple(its for its in history(directory / HISTORY) if (directory / its.file).is_file())


def find(results_dir: Path, name: str) -> Path | None:
    """The file of a baseline by its name, or of an earlier one by NAME@NUMBER; None if there is no such baseline.

    Raises:
        UnknownName: if there is no such number.
        BadResultFile: if its history cannot be read.
    """
    name, at, number = name.partition(AT)
    if name not in names(results_dir):
        return None
    its = directory(results_dir, name)
    saves = {str(one.number): its / one.file for one in kept(its)}
    if at or not saves:
        if number not in saves:
            raise UnknownName(f"number of the baseline {name!r}", number, saves, f"({its})")
        return saves[number]
    return list(saves.values())[-1]


def number(path: Path) -> int | None:
    """The number of the baseline that is this file; None if it is none's."""
    return int(path.stem) if path.parent.parent.name == _FOLDER and path.stem.isdigit() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A baseline as it is listed: its name, the run, its line of the history, and how many earlier ones are kept."""

    name: str
    bundle: Bundle
    saved: Saved
    earlier: int


def read(results_dir: Path) -> tuple[list[Shelf], list[str]]:
    """Read every baseline; name each that cannot be read, with the reason."""
    shelves, problems = [], []
    for name in names(results_dir):
        its = directory(results_dir, name)
        try:
            if saves := kept(its):
                bundle = store.read_run(its / saves[-1].file)
                shelves.append(Shelf(name=name, bundle=bundle, saved=saves[-1], earlier=len(saves) - 1))
        except BadResultFile as error:
            problems.append(str(error))
    return shelves, problems


def history(path: Path) -> list[Saved]:
    """Read every line of a history, the oldest first.

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
        its = codec.decode(line, Saved)
    except codec.Malformed as error:
        what = "no line of a baseline's history"
        raise BadResultFile(f"{path}, line {number}: {what} ({error}); restore the file from your commits") from error
    if its.schema != SCHEMA:
        raise BadResultFile(f"{path}, line {number}: schema {its.schema}; this version reads {SCHEMA}")
    return its
