"""Inference report: loading, speed by scenario, latency, long contexts, steadiness and resources."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from harness.analysis.judge import Design
from harness.analysis.report_policy import Policy
from harness.analysis.stats.estimates import process_values, quantile
from harness.report.cells import Column, Footnotes, change_cell, computed, metric_cell, none, text
from harness.report.page import Report, Section, Table
from harness.report.sections import (
    assemble_report,
    case_comparison,
    case_details,
    inference_charts,
    run_description,
    use_cases,
)
from harness.report.sections.disturbances import timings_to_distrust
from harness.report.sections.latency import latency, steadiness
from harness.report.sections.verdict_rows import Judged, headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle

KIND = "inference"
_SUITE = ("inference",)
# Name, title and metrics of each section, in the order of the report.
_PARTS = (
    ("loading", "Loading and memory", ("load_s", "disk_bytes", "total_parameters", "peak_active_bytes")),
    (
        "speed",
        "Speed by scenario",
        ("decode_tokens_per_s", "summary_decode_tokens_per_s", "prefill_tokens_per_s", "batch_decode_tokens_per_s"),
    ),
    ("response", "Latency of a response", ("ttft_s", "tpot_s", "response_s")),
    ("resources", "Resources", ("cpu_percent", "mbu", "energy_j_per_token", "swap_growth_bytes")),
)
_SUSTAINED_FROM = 0.5  # of an answer: the second half shows the speed that a long answer settles to
_PEAK = 0.05  # quantile of the intervals: the 95th percentile of speed, which one lucky interval does not raise


def inference(bundles: Sequence[Bundle], policy: Policy) -> Report:
    """Build the report of the inference cases in one or more runs."""
    runs = assemble_report.runs_of(bundles)
    columns = runs.columns["inference"]
    judged = {name: judge_suite("inference", columns, metrics) for name, _, metrics in _PARTS}
    sections = [
        run_description.runs(bundles),
        run_description.not_ok([column.record for column in columns]),
        run_description.contradictions(bundles),
        timings_to_distrust(bundles, _SUITE),
        *(_metric_group(name, title, judged[name], columns) for name, title, _ in _PARTS),
        throughput(columns),
        latency(columns),
        context(columns),
        steadiness(columns, policy.rating),
        run_description.configuration({"inference": columns}),
        case_comparison.costs(runs),
        use_cases.use_cases(use_cases.recommendations(runs, policy), policy),
        case_comparison.comparability({"inference": columns}, runs),
        case_details.answers(columns),
        run_description.environments(bundles),
    ]
    all_metrics = replace(judged["speed"], rows=tuple(row for group in judged.values() for row in group.rows))
    return assemble_report.assemble(KIND, runs, sections, headline=headline(all_metrics), suites=_SUITE)


def _metric_group(name: str, title: str, judged: Judged, columns: Sequence[Column]) -> Section:
    """Section with a group of metrics, and with a chart for speed and for loading."""
    cases = [(column.name, column.record) for column in columns]
    draw = {"speed": inference_charts.speed_by_scenario, "loading": inference_charts.memory_by_phase}.get(name)
    chart = draw(cases) if draw else None
    return replace(metric_section(judged, title=title, name=name), figures=(chart,) if chart else ())


def throughput(columns: Sequence[Column]) -> Section:
    """Section with the peak speed within an answer, and with the speed that a long answer settles to."""
    rows = []
    for column in columns:
        metric = column.record.metrics.get("itl_s")
        for label, samples in (metric.parts() if metric else {}).items():
            peak = _median_rate([quantile(process, _PEAK) for process in samples])
            late_halves = [process[int(_SUSTAINED_FROM * len(process)) :] for process in samples]
            sustained = _median_rate([median(half) for half in late_halves])
            count = text(f"{len(samples)} × {len(samples[0])}")
            cells = (computed(peak, "token/s"), computed(sustained, "token/s"))
            rows.append((text(column.name), text(label or ""), *cells, count))
    heads = ("case", "scenario", "peak (95th percentile)", "sustained (second half)", "processes × intervals")
    return Section(
        name="throughput",
        title="Peak and sustained throughput",
        text="From the intervals between tokens: the 95th percentile of the speed, and the median of the second half "
        "of an answer; the median of the processes. How speed varies along an answer, not which model is faster.",
        tables=(Table(columns=heads, rows=tuple(rows), caption="Throughput along an answer"),),
        detail=True,
    )


def _median_rate(intervals_s: Sequence[float]) -> float | None:
    """Median speed of processes that took these seconds per token; None where a process took no time."""
    return median(1 / interval_s for interval_s in intervals_s) if min(intervals_s) > 0 else None


def context(columns: Sequence[Column]) -> Section:
    """Section with the decoding speed after longer and longer contexts (rule R18)."""
    notes = Footnotes()
    rows = []
    for column in columns:
        metric = column.record.metrics.get("context_decode_tokens_per_s")
        parts = metric.parts() if metric else {}
        ordered = sorted(parts, key=inference_charts.depth)
        shortest = parts[ordered[0]] if ordered else ()
        for label in ordered:
            samples = parts[label]
            baseline, values = process_values(shortest), process_values(samples)
            change = none() if samples is shortest else change_cell(baseline, values, design=Design.PAIRED)
            rows.append((text(column.name), text(label or ""), metric_cell(metric, label, notes), change))
    chart = inference_charts.context_scaling([(column.name, column.record) for column in columns])
    heads = ("case", "tokens before", "decode", "change against the shortest")
    table = Table(columns=heads, rows=tuple(rows), notes=tuple(notes.texts), caption="Decoding after a long context")
    return Section(
        name="context",
        title="Context scaling",
        text="Decoding right after a context of so many tokens.",
        figures=(chart,) if chart and rows else (),
        tables=(table,),
    )
