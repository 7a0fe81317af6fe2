"""Merge the measurements of a case's processes into one record."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.results import metrics
from harness.results.case_id import CaseId
from harness.results.records import Metric, Readings, Record, Sample, Series, Status

_DIFFERENT = "the processes read different things"
_NOTHING = Readings(values=(), reason="one of the processes did not read it")


def merge_samples(case: str, samples: Sequence[Sample], *, started_at: str) -> Record:
    """Merge the samples of a case's processes into a record with status "ok".

    *started_at* is the fallback if no process recorded its start time.
    """
    first = samples[0] if samples else None
    return Record(
        case=case,
        suite=CaseId.parse(case).suite,
        status=Status.OK,
        reason=None,
        started_at=next((sample.started_at for sample in samples if sample.started_at), started_at),
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
    """Merge the readings of several processes into metrics, in the order of the processes.

    A metric that one process could not read counts as not measured, with the reason of that process. A label is kept
    only if every process has it equally often.
    """
    names = dict.fromkeys(name for readings in processes for name in readings)
    return {name: _merged(name, [readings.get(name, _NOTHING) for readings in processes]) for name in names}


def _merged(name: str, processes: Sequence[Readings]) -> Metric:
    reason = next((readings.reason for readings in processes if readings.reason), None)
    if len({readings.labels for readings in processes}) > 1 and all(readings.labels for readings in processes):
        counts = [Counter(readings.labels) for readings in processes]
        shared = {label for label in counts[0] if all(count[label] == counts[0][label] for count in counts)}
        processes = [_only(readings, shared) for readings in processes]
        reason = reason or _DIFFERENT
    if len({readings.labels for readings in processes}) > 1 or not all(readings.values for readings in processes):
        return metrics.metric(name, None, reason=reason or _DIFFERENT)
    return metrics.metric(
        name, tuple(readings.values for readings in processes), labels=processes[0].labels, reason=reason
    )


def _only(readings: Readings, labels: set[str]) -> Readings:
    """Select the readings with these *labels*, sorted by label."""
    pairs = [pair for pair in zip(readings.labels or (), readings.values, strict=True) if pair[0] in labels]
    if not pairs:
        return Readings(values=(), reason=_DIFFERENT)
    pairs.sort(key=lambda pair: pair[0])
    kept, values = zip(*pairs, strict=True)
    return Readings(values=values, labels=kept, reason=readings.reason)


def merge_series(processes: Sequence[dict[str, Series]]) -> dict[str, Series]:
    """Collect the series of all processes: those of the first keep their names, those of process n become NAME.n."""
    merged = dict(processes[0]) if processes else {}
    for number, series in enumerate(processes[1:], start=2):
        merged |= {
            f"{name}.{number}": replace(series_of_name, process=number) for name, series_of_name in series.items()
        }
    return merged
