"""A metric of several labels as one figure a process. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import geometric_mean

from harness.records import Metric
from harness.stats import process_values


def over_labels(metric: Metric | None, labels: Iterable[str | None]) -> Metric | None:
    """Each process's geometric mean over *labels*: ratios of such means are the means of the ratios.

    None where a label was not measured, or a reading is not positive.

    Source: Fleming and Wallace (1986), How not to lie with statistics, CACM 29(3), 218-221.
    """
    parts = metric.parts() if metric else {}
    wanted = list(labels)
    if metric is None or not all(label in parts for label in wanted):
        return None
    processes = zip(*(process_values(parts[label]) for label in wanted), strict=True)
    values = list(processes)
    if min(map(min, values)) <= 0:
        return None
    return replace(metric, samples=tuple((geometric_mean(its),) for its in values), labels=None)
