"""A metric over all its labels: each process reduced to the geometric mean of what it read of each. Pure.

What has to be decided is the metric over all scenarios: its noise is smaller than that of one scenario, and one
decision is fewer than five. The geometric mean makes each scenario's ratio count the same, whatever its size.

Source: Fleming and Wallace (1986), How not to lie with statistics, CACM 29, 218-221.
"""

from dataclasses import replace
from statistics import geometric_mean, median

from harness.records import Kind, Metric


def over_labels(metric: Metric) -> Metric | None:
    """The metric without labels; None where it has none, is no time or rate, or read something that is not above 0."""
    parts = metric.parts()
    if metric.labels is None or metric.samples is None or metric.kind is not Kind.TIMING:
        return None
    if min(map(min, metric.samples)) <= 0:
        return None
    samples = tuple(
        (geometric_mean(median(readings) for readings in process),) for process in zip(*parts.values(), strict=True)
    )
    return replace(metric, samples=samples, labels=None)
