"""How evenly a case runs: the tail of the time between tokens, and the spread of one thing done again. Pure."""

from collections.abc import Sequence
from statistics import median

from harness.markdown import inert
from harness.records import Metric
from harness.stats import coefficient_of_variation, process_values, quantile
from harness.tables import Column, Section, Table
from harness.units import NOT_MEASURED, format_percent, format_value

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}


def latency(columns: Sequence[Column]) -> Section:
    """Percentiles of the inter-token latency, a row a case and scenario."""
    rows = []
    for column in columns:
        metric = column.record.metrics.get("itl_s")
        for label, samples in (metric.parts() if metric else {}).items():
            cells = [median(quantile(process, share) for process in samples) for share in _SHARES.values()]
            count = f"{len(samples)} × {len(samples[0])}"
            rows.append((column.name, inert(label or ""), *(format_value(cell, "s") for cell in cells), count))
    return Section(
        title="Inter-token latency",
        text="Percentiles within a process; the median of the processes. Few intervals tell little of a p99.",
        table=Table(columns=("case", "scenario", *_SHARES, "processes × intervals"), rows=tuple(rows)),
    )


def steadiness(columns: Sequence[Column]) -> Section:
    """Coefficients of variation of decoding one prompt: within a process, and from process to process."""
    rows = [
        (column.name, _within(metric), _between(metric))
        for column in columns
        if (metric := column.record.metrics.get("repeat_decode_tokens_per_s")) is not None
    ]
    return Section(
        title="Steadiness",
        text="Coefficient of variation (standard deviation with n - 1 over mean) of `repeat_decode_tokens_per_s`: "
        "one prompt answered again and again. What the model does is the same each time; the spread is the machine's.",
        table=Table(columns=("case", "within a process (median)", "from process to process"), rows=tuple(rows)),
    )


def _within(metric: Metric) -> str:
    spreads = [its for process in metric.samples or () if (its := coefficient_of_variation(process)) is not None]
    return format_percent(median(spreads)) if spreads else NOT_MEASURED


def _between(metric: Metric) -> str:
    spread = coefficient_of_variation(process_values(metric.samples)) if metric.samples else None
    return NOT_MEASURED if spread is None else format_percent(spread)
