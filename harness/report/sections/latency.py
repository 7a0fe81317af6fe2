"""How evenly a case runs: the tail of the time between tokens, and the spread of one thing done again. Pure."""

from collections.abc import Sequence
from statistics import median

from harness.analysis.report_policy import Rating
from harness.analysis.stats.estimates import coefficient_of_variation, process_values, quantile
from harness.report.cells import Column, Footnotes, computed, metric_cell, text
from harness.report.page import Cell, Section, Table
from harness.results.records import Metric
from harness.units import format_percent

_FEWEST = 10  # answers of which a spread is worth a word; source: rule R20
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}


def latency(columns: Sequence[Column]) -> Section:
    """Percentiles of the inter-token latency, a row a case and scenario."""
    rows = []
    for column in columns:
        metric = column.record.metrics.get("itl_s")
        for label, samples in (metric.parts() if metric else {}).items():
            middles = [median(quantile(process, share) for process in samples) for share in _SHARES.values()]
            cells = (computed(middle, "s") for middle in middles)
            count = text(f"{len(samples)} × {len(samples[0])}")
            rows.append((text(column.name), text(label or ""), *cells, count))
    heads = ("case", "scenario", *_SHARES, "processes × intervals")
    return Section(
        name="latency",
        title="Inter-token latency",
        text="Percentiles within a process; the median of the processes. Few intervals tell little of a p99.",
        tables=(Table(columns=heads, rows=tuple(rows), caption="Inter-token latency"),),
        detail=True,
    )


def steadiness(columns: Sequence[Column], rating: Rating) -> Section:
    """Coefficients of variation of decoding one prompt: within a process, and from process to process."""
    notes = Footnotes()
    rows = [
        (text(column.name), _within(metric, notes), _between(metric, notes), text(_word(metric, rating)))
        for column in columns
        if (metric := column.record.metrics.get("repeat_decode_tokens_per_s")) is not None
    ]
    heads = ("case", "within a process (median)", "from process to process", "in words")
    return Section(
        name="steadiness",
        title="Steadiness",
        text="Coefficient of variation (standard deviation with n - 1 over mean) of repeat_decode_tokens_per_s: "
        "one prompt answered again and again. What the model does is the same each time; the spread is the machine's. "
        f"Words are policy, from {_FEWEST} answers on: {_bins(rating)}.",
        tables=(Table(columns=heads, rows=tuple(rows), notes=tuple(notes.texts), caption="Steadiness"),),
    )


def _within(metric: Metric, notes: Footnotes) -> Cell:
    if metric.samples is None:
        return metric_cell(metric, None, notes)
    spreads = [its for process in metric.samples if (its := coefficient_of_variation(process)) is not None]
    return computed(median(spreads) if spreads else None, "share")


def _between(metric: Metric, notes: Footnotes) -> Cell:
    if metric.samples is None:
        return metric_cell(metric, None, notes)
    return computed(coefficient_of_variation(process_values(metric.samples)), "share")


def _word(metric: Metric, rating: Rating) -> str:
    """The policy's word for the spread within a process; none for a few answers."""
    processes = metric.samples or ()
    spreads = [its for process in processes if (its := coefficient_of_variation(process)) is not None]
    if not spreads or sum(map(len, processes)) < _FEWEST:
        return f"too few answers (n={sum(map(len, processes))})"
    return rating.word(median(spreads))


def _bins(rating: Rating) -> str:
    return ", ".join([*(f"below {format_percent(its.below)} {its.word}" for its in rating.steps), rating.otherwise])
