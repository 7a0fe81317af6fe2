"""Comparison report: everything that was measured of several cases, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.analysis.report_policy import Policy
from harness.inputs.cases import SUITES
from harness.report.cells import Column
from harness.report.figures.charts import Chart
from harness.report.page import Report, Section
from harness.report.sections import (
    assemble_report,
    case_comparison,
    case_details,
    inference_charts,
    run_description,
    training_losses,
    use_cases,
)
from harness.report.sections.chart_captions import NamedRecords
from harness.report.sections.disturbances import timings_to_distrust
from harness.report.sections.latency import latency, steadiness
from harness.report.sections.verdict_rows import headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle

KIND = "comparison"
_MOST_NAMES = 30  # written beside the dots of a chart


def compare(bundles: Sequence[Bundle], policy: Policy) -> Report:
    """Build the report that compares the cases of one or more runs."""
    runs = assemble_report.runs_of(bundles)
    columns, records = runs.columns, runs.records
    judged = {suite: judge_suite(suite, columns[suite]) for suite in SUITES}
    recommended = use_cases.recommendations(runs, policy)
    sections = [
        run_description.runs(bundles),
        run_description.not_ok(records),
        run_description.contradictions(bundles),
        timings_to_distrust(bundles),
        metric_section(judged["training"]),
        _with_chart(
            training_losses.trajectory(columns["training"]), training_losses.losses_over_tokens, columns["training"]
        ),
        metric_section(judged["evaluation"]),
        _with_chart(metric_section(judged["inference"]), inference_charts.speed_by_scenario, columns["inference"]),
        latency(columns["inference"]),
        steadiness(columns["inference"], policy.rating),
        _quality_and_speed([*columns["evaluation"], *columns["inference"]]),
        case_comparison.costs(runs),
        use_cases.use_cases(recommended, policy),
        use_cases.evidence(recommended),
        run_description.configuration(columns),
        case_comparison.comparability(columns, runs),
        _with_chart(case_details.memory(columns), inference_charts.memory_by_phase, columns["inference"]),
        case_details.answers(columns["evaluation"]),
        run_description.notes_of(records),
        run_description.environments(bundles),
    ]
    lines = [line for suite in judged.values() for line in headline(suite)]
    return assemble_report.assemble(KIND, runs, sections, headline=lines)


def _with_chart(section: Section, draw: Callable[[NamedRecords], Chart | None], columns: Sequence[Column]) -> Section:
    """Add the chart of these columns to *section*, unless the section is empty or there is nothing to draw."""
    chart = None if section.empty else draw([(column.name, column.record) for column in columns])
    return replace(section, figures=(chart,)) if chart else section


def _quality_and_speed(columns: Sequence[Column]) -> Section:
    names = list(dict.fromkeys(column.name for column in columns))[:_MOST_NAMES]
    cases = [(column.name, column.record) for column in columns if column.name in names]
    chart = inference_charts.quality_against_speed(cases)
    return Section(name="quality-and-speed", title="Quality against speed", figures=(chart,) if chart else ())
