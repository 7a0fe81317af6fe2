"""A metric over stored runs: one series a case, part and comparability key, a point a run, oldest first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.analysis.judge import STAND_IN, STAND_INS, TOLERANCE, obstacles
from harness.analysis.stats.change_points import Shift, Shifts, shifts
from harness.analysis.stats.estimates import process_values
from harness.results.metrics import BY_TOKEN
from harness.results.records import Better, Bundle, Key, Kind, Metric, Record, Status

_MACHINE = ("processor", "cores", "threads", "cpu_limit_cores")
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """A run's value: the median of its processes' medians, in the metric's unit."""

    run: str
    started_at: str
    commit: str  # short; "+" after it: with changes; "unknown" where it is not known
    versions: dict[str, str | None]
    value: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A series of comparable points. *differs* says what tells it from the other series of its case; "" if alone."""

    case: str
    label: str | None
    unit: str
    better: Better
    differs: str
    points: tuple[HistoryPoint, ...]
    shifts: tuple[Shift, ...]
    why_not: str | None  # why no change points were looked for

    @property
    def name(self) -> str:
        """The case, the part and what tells the series from others."""
        return f"{self.case} {self.part}".rstrip()

    @property
    def part(self) -> str:
        """What of the case it is; "" if all of it."""
        return " ".join(filter(None, (self.label, f"({self.differs})" if self.differs else "")))

    def worse(self, shift: Shift) -> bool | None:
        """Whether a change is for the worse; None where neither way is better."""
        return None if self.better is Better.NONE else (shift.change > 0) == (self.better is Better.LOWER)

    @property
    def worsened(self) -> bool:
        """Whether the newest change is for the worse."""
        return bool(self.shifts) and self.worse(self.shifts[-1]) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """One run's readings of one part, with all that has to be equal in a series."""

    point: HistoryPoint
    key: Key
    machine: dict[str, Any]
    metric: Metric


def timelines(bundles: Sequence[Bundle], metric: str) -> list[Timeline]:
    """Every series of *metric* in these runs, by case and part. Cases that are not ok and published figures are out."""
    parts: dict[tuple[str, str | None], list[_One]] = {}
    for bundle in sorted(bundles, key=lambda its: (its.run.started_at, its.run.id)):
        for record in bundle.records if bundle.run.published is None else ():
            for label, one in _ones(bundle, record, metric):
                parts.setdefault((record.case, label), []).append(one)
    return [
        line for (case, label), ones in sorted(parts.items(), key=str) for line in _lines(case, label, metric, ones)
    ]


def _ones(bundle: Bundle, record: Record, name: str) -> Iterator[tuple[str | None, _One]]:
    metric = record.metrics.get(name)
    if metric is None or record.key is None or record.status is not Status.OK:
        return
    environment = bundle.environment
    for label, samples in metric.parts().items():
        point = HistoryPoint(
            run=bundle.run.id,
            started_at=bundle.run.started_at,
            commit=_commit(bundle.run.git),
            versions={its: environment.packages.get(its) if environment else None for its in ("mlx-lm", "mlx")},
            value=median(process_values(samples)),
            processes=len(samples),
        )
        yield label, _One(point=point, key=record.key, machine=_machine(bundle), metric=metric)


def _commit(git: dict[str, Any] | None) -> str:
    commit = (git or {}).get("commit")
    return f"{str(commit)[:8]}{'+' if (git or {}).get('dirty') else ''}" if commit else "unknown"


def _machine(bundle: Bundle) -> dict[str, Any]:
    """What makes a machine the same one; memory to the GiB, as its system may report some pages more or less."""
    os = bundle.environment.os if bundle.environment else {}
    memory = os.get("memory_bytes")
    return {fact: os.get(fact) for fact in _MACHINE} | {
        "memory_gib": round(memory / _GIB) if isinstance(memory, int) else None
    }


def _lines(case: str, label: str | None, name: str, ones: Sequence[_One]) -> Iterator[Timeline]:
    groups: list[list[_One]] = []
    for one in ones:
        group = next((its for its in groups if not _differences(its[0], one, name)), None)
        groups.append([one]) if group is None else group.append(one)
    firsts = [group[0] for group in groups]
    fields = list(dict.fromkeys(its for one in firsts[1:] for its in _differences(firsts[0], one, name)))
    for group in groups:
        differs = ", ".join(f"{field} {_value(group[0], field)}" for field in fields)
        yield _timeline(case, label, differs, group)


def _differences(a: _One, b: _One, name: str) -> list[str]:
    """What keeps two runs of one case out of one series: what the judge says, the machine, the weights, the adapter."""
    found = [its for its in obstacles(a.key, b.key, b.metric, by_token=name in BY_TOKEN) if its != STAND_IN]
    found += [f"machine.{fact}" for fact in a.machine if a.machine[fact] != b.machine[fact]]
    found += ["weights.sha256"] if a.key.weights.sha256 != b.key.weights.sha256 else []
    return found + (["adapter"] if a.key.adapter != b.key.adapter else [])


def _value(one: _One, field: str) -> str:
    """What a series has in a field that differs: short enough for a heading."""
    part, _, name = field.partition(".")
    if part == "machine":
        return str(one.machine[name])
    if part == "weights":
        return one.key.weights.sha256[:8]
    value = getattr(one.key, part)
    value = value.get(name) if name and isinstance(value, dict) else value
    return str(value)[:40]


def _timeline(case: str, label: str | None, differs: str, group: Sequence[_One]) -> Timeline:
    its = group[-1]
    if its.key.weights.source in STAND_INS and its.metric.kind in {Kind.LOSS, Kind.QUALITY}:
        looked = Shifts(why_not=f"{STAND_IN}: nothing is said of their losses and quality")
    else:
        looked = shifts([one.point.value for one in group], TOLERANCE[its.metric.kind])
    return Timeline(
        case=case,
        label=label,
        unit=its.metric.unit,
        better=its.metric.better,
        differs=differs,
        points=tuple(one.point for one in group),
        shifts=looked.found,
        why_not=looked.why_not,
    )
