"""The inference report: loading, speed by scenario, latency, long contexts, steadiness, resources. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from harness.analysis.judge import Design
from harness.analysis.report_policy import Policy
from harness.analysis.stats.estimates import process_values, quantile
from harness.report.cells import Column, Footnotes, change_cell, computed, metric_cell, none, text
from harness.report.page import Report, Section, Table
from harness.report.sections import choices, outputs, page_frame, record_charts, run_facts
from harness.report.sections.disturbances import trust
from harness.report.sections.latency import latency, steadiness
from harness.report.sections.verdict_rows import Judged, headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle

KIND = "inference"
_SUITE = ("inference",)
# Section -> its metrics, in the order of the report.
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
_SUSTAINED_FROM = 0.5  # of an answer: what a long answer settles to; source: reports rule for "sustained"
_PEAK = 0.05  # quantile of the intervals: their 95th percentile of speed, which one lucky interval does not make


def inference(bundles: Sequence[Bundle], policy: Policy) -> Report:
    """Turn one or more runs into a report of how the models run."""
    runs = page_frame.runs_of(bundles)
    columns = runs.columns["inference"]
    judged = {name: judge_suite("inference", columns, metrics) for name, _, metrics in _PARTS}
    sections = [
        run_facts.runs(bundles),
        run_facts.not_ok([column.record for column in columns]),
        run_facts.contradictions(bundles),
        trust(bundles, _SUITE),
        *(_part(name, title, judged[name], columns) for name, title, _ in _PARTS),
        throughput(columns),
        latency(columns),
        context(columns),
        steadiness(columns, policy.rating),
        run_facts.configuration({"inference": columns}),
        choices.costs(runs),
        choices.use_cases(choices.decide(runs, policy), policy),
        choices.comparability({"inference": columns}, runs),
        outputs.answers(columns),
        run_facts.environments(bundles),
    ]
    every = replace(judged["speed"], rows=tuple(row for its in judged.values() for row in its.rows))
    lines = headline(every)
    return page_frame.report(KIND, runs, sections, headline=lines, suites=_SUITE)


def _part(name: str, title: str, judged: Judged, columns: Sequence[Column]) -> Section:
    """A group of metrics, with its figure where it has one."""
    named = [(column.name, column.record) for column in columns]
    draw = {"speed": record_charts.speed_by_scenario, "loading": record_charts.memory_by_phase}.get(name)
    chart = draw(named) if draw else None
    return replace(metric_section(judged, title=title, name=name), figures=(chart,) if chart else ())


def throughput(columns: Sequence[Column]) -> Section:
    """What a case reaches at its best, and what a long answer settles to."""
    rows = []
    for column in columns:
        metric = column.record.metrics.get("itl_s")
        for label, samples in (metric.parts() if metric else {}).items():
            best = _rate([quantile(process, _PEAK) for process in samples])
            late = _rate([median(process[int(_SUSTAINED_FROM * len(process)) :]) for process in samples])
            count = text(f"{len(samples)} × {len(samples[0])}")
            cells = (computed(best, "token/s"), computed(late, "token/s"))
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


def _rate(intervals_s: Sequence[float]) -> float | None:
    """The median speed of processes with these times a token; None where one took no time."""
    return median(1 / its for its in intervals_s) if min(intervals_s) > 0 else None


def context(columns: Sequence[Column]) -> Section:
    """How much of its speed a case keeps as the context gets longer (rule R18)."""
    notes = Footnotes()
    rows = []
    for column in columns:
        metric = column.record.metrics.get("context_decode_tokens_per_s")
        parts = metric.parts() if metric else {}
        ordered = sorted(parts, key=record_charts.depth)
        first = parts[ordered[0]] if ordered else ()
        for label in ordered:
            samples = parts[label]
            before, after = process_values(first), process_values(samples)
            kept = none() if samples is first else change_cell(before, after, design=Design.PAIRED)
            rows.append((text(column.name), text(label or ""), metric_cell(metric, label, notes), kept))
    chart = record_charts.context_scaling([(column.name, column.record) for column in columns])
    heads = ("case", "tokens before", "decode", "change against the shortest")
    table = Table(columns=heads, rows=tuple(rows), notes=tuple(notes.texts), caption="Decoding after a long context")
    return Section(
        name="context",
        title="Context scaling",
        text="Decoding right after a context of so many tokens.",
        figures=(chart,) if chart and rows else (),
        tables=(table,),
    )
