"""Sections about evenness: percentiles of the inter-token latency, and variation between repeated answers."""

from collections.abc import Sequence
from statistics import median

from harness.analysis.report_policy import Rating
from harness.analysis.stats.estimates import coefficient_of_variation, process_values, quantile
from harness.report.cells import Column, Footnotes, computed, metric_cell, text
from harness.report.page import Cell, Section, Table
from harness.results.records import Metric
from harness.units import format_percent

_FEWEST_ANSWERS = 10  # before a variation is put into words; source: rule R20
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}


def latency(columns: Sequence[Column]) -> Section:
    """Section with percentiles of the inter-token latency, with a row per case and scenario."""
    rows = []
    for column in columns:
        metric = column.record.metrics.get("itl_s")
        for label, samples in (metric.parts() if metric else {}).items():
            medians_s = [median(quantile(process, share) for process in samples) for share in _QUANTILES.values()]
            cells = (computed(median_s, "s") for median_s in medians_s)
            count = text(f"{len(samples)} × {len(samples[0])}")
            rows.append((text(column.name), text(label or ""), *cells, count))
    heads = ("case", "scenario", *_QUANTILES, "processes × intervals")
    return Section(
        name="latency",
        title="Inter-token latency",
        text="Percentiles within a process; the median of the processes. Few intervals tell little of a p99.",
        tables=(Table(columns=heads, rows=tuple(rows), caption="Inter-token latency"),),
        detail=True,
    )


def steadiness(columns: Sequence[Column], rating: Rating) -> Section:
    """Section with the coefficient of variation of decoding one prompt, within a process and between processes."""
    notes = Footnotes()
    rows = [
        (text(column.name), _within(metric, notes), _between(metric, notes), text(_variation_in_words(metric, rating)))
        for column in columns
        if (metric := column.record.metrics.get("repeat_decode_tokens_per_s")) is not None
    ]
    heads = ("case", "within a process (median)", "from process to process", "in words")
    return Section(
        name="steadiness",
        title="Steadiness",
        text="Coefficient of variation (standard deviation with n - 1 over mean) of repeat_decode_tokens_per_s: "
        "one prompt answered again and again. What the model does is the same each time; the spread is the machine's. "
        f"Words are policy, from {_FEWEST_ANSWERS} answers on: {_rating_in_words(rating)}.",
        tables=(Table(columns=heads, rows=tuple(rows), notes=tuple(notes.texts), caption="Steadiness"),),
    )


def _within(metric: Metric, notes: Footnotes) -> Cell:
    if metric.samples is None:
        return metric_cell(metric, None, notes)
    variations = _variations(metric.samples)
    return computed(median(variations) if variations else None, "share")


def _between(metric: Metric, notes: Footnotes) -> Cell:
    if metric.samples is None:
        return metric_cell(metric, None, notes)
    return computed(coefficient_of_variation(process_values(metric.samples)), "share")


def _variations(samples: Sequence[Sequence[float]]) -> list[float]:
    """Coefficients of variation of the processes that have one."""
    variations = map(coefficient_of_variation, samples)
    return [variation for variation in variations if variation is not None]


def _variation_in_words(metric: Metric, rating: Rating) -> str:
    """Rate the variation within a process by the policy's words; of few answers, state their number instead."""
    samples = metric.samples or ()
    variations, answers = _variations(samples), sum(map(len, samples))
    if not variations or answers < _FEWEST_ANSWERS:
        return f"too few answers (n={answers})"
    return rating.word(median(variations))


def _rating_in_words(rating: Rating) -> str:
    return ", ".join([*(f"below {format_percent(step.below)} {step.word}" for step in rating.steps), rating.otherwise])
