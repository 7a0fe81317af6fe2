"""History of a metric over stored runs: one series for each case, label and comparability key, oldest run first."""

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
    """One run in a series. *value* is the median of the medians of its processes, in the unit of the metric."""

    run: str
    started_at: str
    commit: str  # shortened; "+" at its end means uncommitted changes; "unknown" if there is none
    versions: dict[str, str | None]
    value: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A series of comparable runs. *differs* tells it from the other series of its case; "" if it is the only one."""

    case: str
    label: str | None
    unit: str
    better: Better
    differs: str
    points: tuple[HistoryPoint, ...]
    shifts: tuple[Shift, ...]
    why_not: str | None  # why no change points were searched for

    @property
    def name(self) -> str:
        """Case, label and what distinguishes the series."""
        return f"{self.case} {self.part}".rstrip()

    @property
    def part(self) -> str:
        """Label and what distinguishes the series; "" if it is the only one of its case."""
        return " ".join(filter(None, (self.label, f"({self.differs})" if self.differs else "")))

    def worse(self, shift: Shift) -> bool | None:
        """Return True if a shift is for the worse; None if the metric has no better direction."""
        return None if self.better is Better.NONE else (shift.change > 0) == (self.better is Better.LOWER)

    @property
    def worsened(self) -> bool:
        """True if the newest shift is for the worse."""
        return bool(self.shifts) and self.worse(self.shifts[-1]) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One run's readings of one label, with the facts that must be equal within a series."""

    point: HistoryPoint
    key: Key
    machine: dict[str, Any]
    metric: Metric


def timelines(bundles: Sequence[Bundle], metric: str) -> list[Timeline]:
    """Return every series of *metric*, by case and label. Failed cases and published figures are left out."""
    parts: dict[tuple[str, str | None], list[_Reading]] = {}
    for bundle in sorted(bundles, key=lambda bundle: (bundle.run.started_at, bundle.run.id)):
        for record in bundle.records if bundle.run.published is None else ():
            for label, reading in _readings(bundle, record, metric):
                parts.setdefault((record.case, label), []).append(reading)
    return [
        timeline
        for (case, label), readings in sorted(parts.items(), key=str)
        for timeline in _split_by_key(case, label, metric, readings)
    ]


def _readings(bundle: Bundle, record: Record, name: str) -> Iterator[tuple[str | None, _Reading]]:
    metric = record.metrics.get(name)
    if metric is None or record.key is None or record.status is not Status.OK:
        return
    environment = bundle.environment
    for label, samples in metric.parts().items():
        point = HistoryPoint(
            run=bundle.run.id,
            started_at=bundle.run.started_at,
            commit=_commit(bundle.run.git),
            versions={name: environment.packages.get(name) if environment else None for name in ("mlx-lm", "mlx")},
            value=median(process_values(samples)),
            processes=len(samples),
        )
        yield label, _Reading(point=point, key=record.key, machine=_machine(bundle), metric=metric)


def _commit(git: dict[str, Any] | None) -> str:
    commit = (git or {}).get("commit")
    return f"{str(commit)[:8]}{'+' if (git or {}).get('dirty') else ''}" if commit else "unknown"


def _machine(bundle: Bundle) -> dict[str, Any]:
    """Return the facts that identify a machine; memory in whole GiB, as reports vary by a few pages."""
    os = bundle.environment.os if bundle.environment else {}
    memory = os.get("memory_bytes")
    return {fact: os.get(fact) for fact in _MACHINE} | {
        "memory_gib": round(memory / _GIB) if isinstance(memory, int) else None
    }


def _split_by_key(case: str, label: str | None, name: str, readings: Sequence[_Reading]) -> Iterator[Timeline]:
    groups: list[list[_Reading]] = []
    for reading in readings:
        group = next((group for group in groups if not _differences(group[0], reading, name)), None)
        groups.append([reading]) if group is None else group.append(reading)
    firsts = [group[0] for group in groups]
    fields = list(dict.fromkeys(field for first in firsts[1:] for field in _differences(firsts[0], first, name)))
    for group in groups:
        differs = ", ".join(f"{field} {_value(group[0], field)}" for field in fields)
        yield _timeline(case, label, differs, group)


def _differences(a: _Reading, b: _Reading, name: str) -> list[str]:
    """Return what keeps two runs out of one series: obstacles of the judge, the machine, the weights, the adapter."""
    fields = [
        obstacle for obstacle in obstacles(a.key, b.key, b.metric, by_token=name in BY_TOKEN) if obstacle != STAND_IN
    ]
    fields += [f"machine.{fact}" for fact in a.machine if a.machine[fact] != b.machine[fact]]
    fields += ["weights.sha256"] if a.key.weights.sha256 != b.key.weights.sha256 else []
    return fields + (["adapter"] if a.key.adapter != b.key.adapter else [])


def _value(reading: _Reading, field: str) -> str:
    """Return the value of a differing field, shortened for a heading."""
    part, _, name = field.partition(".")
    if part == "machine":
        return str(reading.machine[name])
    if part == "weights":
        return reading.key.weights.sha256[:8]
    value = getattr(reading.key, part)
    value = value.get(name) if name and isinstance(value, dict) else value
    return str(value)[:40]


def _timeline(case: str, label: str | None, differs: str, group: Sequence[_Reading]) -> Timeline:
    newest = group[-1]
    if newest.key.weights.source in STAND_INS and newest.metric.kind in {Kind.LOSS, Kind.QUALITY}:
        change_points = Shifts(why_not=f"{STAND_IN}: nothing is said of their losses and quality")
    else:
        change_points = shifts([reading.point.value for reading in group], TOLERANCE[newest.metric.kind])
    return Timeline(
        case=case,
        label=label,
        unit=newest.metric.unit,
        better=newest.metric.better,
        differs=differs,
        points=tuple(reading.point for reading in group),
        shifts=change_points.found,
        why_not=change_points.why_not,
    )
