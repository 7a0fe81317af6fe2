"""What several processes measured, as one record. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.results import metrics
from harness.results.records import Metric, Readings, Record, Sample, Series, Status

_DIFFERENT = "the processes read different things"
_NOTHING = Readings(values=(), reason="one of the processes did not read it")


def merge_samples(case: str, samples: Sequence[Sample], *, started_at: str) -> Record:
    """Turn what the processes of a case measured into its record, as one that ended well, at *started_at* at latest."""
    first = samples[0] if samples else None
    return Record(
        case=case,
        suite=case.partition("/")[0],
        status=Status.OK,
        reason=None,
        started_at=next((its.started_at for its in samples if its.started_at), started_at),
        wall_s=round(sum(sample.wall_s for sample in samples), 3),
        key=first.key if first else None,
        metrics=merge_readings([sample.readings for sample in samples]),
        series=merge_series([sample.series for sample in samples]),
        outputs=first.outputs if first else (),
        artifacts=tuple(artifact for sample in samples for artifact in sample.artifacts),
        notes=tuple(dict.fromkeys(note for sample in samples for note in sample.notes)),
        data=first.data if first else None,
    )


def merge_readings(processes: Sequence[dict[str, Readings]]) -> dict[str, Metric]:
    """Turn the readings of several processes into metrics, in the order of the processes.

    A metric one of the processes could not read is not measured, for its reason. Of labels that not every
    process has, as often as the others, none is kept.
    """
    names = dict.fromkeys(name for readings in processes for name in readings)
    return {name: _merged(name, [readings.get(name, _NOTHING) for readings in processes]) for name in names}


def _merged(name: str, its: Sequence[Readings]) -> Metric:
    reason = next((one.reason for one in its if one.reason), None)
    if len({one.labels for one in its}) > 1 and all(one.labels for one in its):
        counts = [Counter(one.labels) for one in its]
        shared = {label for label in counts[0] if all(count[label] == counts[0][label] for count in counts)}
        its = [_only(one, shared) for one in its]
        reason = reason or _DIFFERENT
    if len({one.labels for one in its}) > 1 or not all(one.values for one in its):
        return metrics.metric(name, None, reason=reason or _DIFFERENT)
    return metrics.metric(name, tuple(one.values for one in its), labels=its[0].labels, reason=reason)


def _only(readings: Readings, labels: set[str]) -> Readings:
    """The readings of these *labels*, in the order of the labels."""
    pairs = [its for its in zip(readings.labels or (), readings.values, strict=True) if its[0] in labels]
    if not pairs:
        return Readings(values=(), reason=_DIFFERENT)
    pairs.sort(key=lambda its: its[0])
    kept, values = zip(*pairs, strict=True)
    return Readings(values=values, labels=kept, reason=readings.reason)


def merge_series(processes: Sequence[dict[str, Series]]) -> dict[str, Series]:
    """Keep the first process's series under their names, and those of process n as name.n."""
    merged = dict(processes[0]) if processes else {}
    for number, series in enumerate(processes[1:], start=2):
        merged |= {f"{name}.{number}": replace(its, process=number) for name, its in series.items()}
    return merged
