"""Stored baselines: RESULTS/baseline/NAME/0001.json, 0002.json, ... and history.jsonl, a line a save. Committed.

The last save whose file is there is the baseline; the earlier ones stay until somebody deletes their files. A file
without a line is what an interrupted save left, and is no baseline.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness import codec, store
from harness.errors import BadConfig, BadResultFile, HarnessError, NotABaseline, UnknownName
from harness.gating import keeping
from harness.gating.policyfile import read_gate_policy
from harness.gating.verdicts import GateVerdict
from harness.meters import utc_now
from harness.records import Bundle
from harness.settings import check_name
from harness.versions import LIBRARIES

DEFAULT = "default"
HISTORY = "history.jsonl"
_FOLDER = "baseline"
_LOCK = ".baseline.lock"  # beside the folder: nothing of it is committed
_PATIENCE_S = 60.0
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
    return tuple(its for its in _history(directory / HISTORY) if (directory / its.file).is_file())


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


def save(bundle: Bundle, name: str, reason: str, results_dir: Path, *, accept: bool = False) -> Saved:
    """Make a run the baseline of that name, and give its line of the history.

    A run that the gate calls a regression against the present baseline is taken only where *accept* says so; so is one
    that it cannot judge and that looks worse than the tolerance.

    Raises:
        BadConfig: if the name is none, or the reason is empty.
        NotABaseline: if the run must not become one; nothing is written.
        HarnessError: if the present baseline cannot be read, another save does not end, or nothing can be written.
    """
    check_name("--name", name)
    if not reason.strip():
        raise BadConfig("--reason", ["it is empty; say why this run is to be the baseline"])
    where = f"the run {bundle.run.id} does not become the baseline {name!r}"
    if problems := keeping.faults(bundle):
        raise NotABaseline(where, problems)
    its = directory(results_dir, name)
    with _alone(results_dir):
        line = _line(bundle, reason.strip(), its)
        if line.accepted and not accept:
            raise NotABaseline(f"{where}: {_against(line)}", line.accepted, _REMEDY)
        _write(its, line, bundle)
    return line


_REMEDY = "if that is meant: --accept-regression; the history says so"


def _against(line: Saved) -> str:
    """Why a run is not simply taken, in words."""
    if line.verdict == GateVerdict.REGRESSION.value:
        return f"a regression against {line.replaced}"
    return f"it cannot be judged against {line.replaced} ({line.verdict}), and looks worse by more than the tolerance"


def _line(bundle: Bundle, reason: str, its: Path) -> Saved:
    """The line of a save, before anything is written.

    Raises:
        NotABaseline: if the run is the baseline already.
    """
    saves = kept(its)
    packages = bundle.environment.packages if bundle.environment else {}
    line = Saved(
        schema=store.SCHEMA,
        number=_next_number(its),
        run=bundle.run.id,
        saved_at=utc_now(),
        reason=reason,
        git=bundle.run.git,
        versions={library: packages.get(library) for library in LIBRARIES},
    )
    if not saves:
        return line
    present = store.read_run(its / saves[-1].file)
    if _same_state(present, bundle):
        where = f"the run {bundle.run.id} does not become the baseline {its.name!r}"
        raise NotABaseline(where, [f"it is that already, number {saves[-1].number}; nothing was written"])
    standing = keeping.against(present, bundle, read_gate_policy(), line.saved_at)
    return replace(
        line,
        replaced=Replaced(number=saves[-1].number, run=present.run.id),
        verdict=standing.verdict.value,
        worst=standing.worst,
        accepted=standing.worse,
        dropped=tuple(keeping.dropped(present, bundle)),
    )


def _same_state(a: Bundle, b: Bundle) -> bool:
    """Whether both are one run; one that was gone on with since has ended anew."""
    return (a.run.id, a.run.finished_at) == (b.run.id, b.run.finished_at)


def _next_number(its: Path) -> int:
    """One more than any number ever used: a deleted baseline does not give its number to another."""
    used = [one.number for one in _history(its / HISTORY)]
    used += [int(path.stem) for path in its.glob("*.json") if path.stem.isdecimal()]
    return max(used, default=0) + 1


def _write(its: Path, line: Saved, bundle: Bundle) -> None:
    """Write the run, and then the line that makes it the baseline."""
    history = its / HISTORY
    before = history.read_bytes() if history.is_file() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    store.write_bytes(its / line.file, codec.encode(keeping.slim(bundle)) + b"\n")
    try:
        store.write_bytes(history, before + codec.encode(line) + b"\n")
    except HarnessError:
        (its / line.file).unlink(missing_ok=True)
        raise


def _history(path: Path) -> list[Saved]:
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
    if its.schema != store.SCHEMA:
        raise BadResultFile(f"{path}, line {number}: schema {its.schema}; this version reads {store.SCHEMA}")
    return its


@contextmanager
def _alone(results_dir: Path) -> Iterator[None]:
    """Keep two saves apart: the second is judged against what the first wrote."""
    lock = FileLock(results_dir / _LOCK)
    try:
        results_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise HarnessError(f"{results_dir}: another baseline has been being saved for a minute; try again") from None
    except OSError as error:
        raise store.unwritable(results_dir, error) from error
    try:
        yield
    finally:
        lock.release()
