"""What several processes read, as one record's metrics and series. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from harness import metrics
from harness.records import Metric, Readings, Series


def merge_readings(processes: Sequence[dict[str, Readings]]) -> dict[str, Metric]:
    """Turn the readings of several processes into metrics, in the order of the processes.

    A metric one of the processes could not read is not measured, for its reason.
    """
    merged = {}
    for name in dict.fromkeys(name for readings in processes for name in readings):
        its = [readings[name] for readings in processes if name in readings]
        reason = next((one.reason for one in its if one.reason), None)
        alike = len({one.labels for one in its}) == 1
        if alike and all(one.values for one in its):
            samples = tuple(one.values for one in its)
            merged[name] = metrics.metric(name, samples, labels=its[0].labels, reason=reason)
        else:
            merged[name] = metrics.metric(name, None, reason=reason or "the processes read different things")
    return merged


def merge_series(processes: Sequence[dict[str, Series]]) -> dict[str, Series]:
    """Keep the first process's series under their names, and those of process n as name.n."""
    merged = dict(processes[0]) if processes else {}
    for number, series in enumerate(processes[1:], start=2):
        merged |= {f"{name}.{number}": replace(its, process=number) for name, its in series.items()}
    return merged
