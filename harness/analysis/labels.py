"""A metric of several labels as one figure a process.

What has to be decided is the metric over all scenarios: its noise is smaller than that of one scenario, and one
decision is fewer than five. The geometric mean makes each scenario's ratio count the same, whatever its size.

Source: Fleming and Wallace (1986), How not to lie with statistics, CACM 29, 218-221.
"""

from collections.abc import Iterable
from dataclasses import replace
from statistics import geometric_mean

from harness.analysis.stats.estimates import process_values
from harness.results.records import Kind, Metric


def over_labels(metric: Metric | None, labels: Iterable[str | None]) -> Metric | None:
    """Each process's geometric mean over *labels*: ratios of such means are the means of the ratios.

    None where a label was not measured, or a reading is not positive.
    """
    parts = metric.parts() if metric else {}
    label_list = list(labels)
    if metric is None or not all(label in parts for label in label_list):
        return None
    processes = zip(*(process_values(parts[label]) for label in label_list), strict=True)
    values = list(processes)
    if min(map(min, values)) <= 0:
        return None
    return replace(metric, samples=tuple((geometric_mean(medians),) for medians in values), labels=None)


def over_all_labels(metric: Metric) -> Metric | None:
    """Each process's geometric mean over all labels of a time or rate.

    None where the metric has no labels, is no time or rate, or holds a reading that is not above 0.
    """
    if metric.labels is None or metric.samples is None or metric.kind is not Kind.TIMING:
        return None
    return None if min(map(min, metric.samples)) <= 0 else over_labels(metric, metric.parts())
