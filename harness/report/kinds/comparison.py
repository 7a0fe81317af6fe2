"""The comparison: everything that was measured of several cases, side by side. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.analysis.report_policy import Policy
from harness.inputs.cases import SUITES
from harness.report.cells import Column
from harness.report.figures.charts import Chart
from harness.report.page import Report, Section
from harness.report.sections import choices, outputs, page_frame, record_charts, run_facts
from harness.report.sections.disturbances import trust
from harness.report.sections.latency import latency, steadiness
from harness.report.sections.verdict_rows import headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle

KIND = "comparison"
_MOST_NAMES = 30  # beside dots


def compare(bundles: Sequence[Bundle], policy: Policy) -> Report:
    """Turn one or more runs into a report."""
    runs = page_frame.runs_of(bundles)
    columns, records = runs.columns, runs.records
    judged = {suite: judge_suite(suite, columns[suite]) for suite in SUITES}
    decided = choices.decide(runs, policy)
    sections = [
        run_facts.runs(bundles),
        run_facts.not_ok(records),
        run_facts.contradictions(bundles),
        trust(bundles),
        metric_section(judged["training"]),
        _with(outputs.trajectory(columns["training"]), record_charts.losses_over_tokens, columns["training"]),
        metric_section(judged["evaluation"]),
        _with(metric_section(judged["inference"]), record_charts.speed_by_scenario, columns["inference"]),
        latency(columns["inference"]),
        steadiness(columns["inference"], policy.rating),
        _quality_and_speed([*columns["evaluation"], *columns["inference"]]),
        choices.costs(runs),
        choices.use_cases(decided, policy),
        choices.evidence(decided),
        run_facts.configuration(columns),
        choices.comparability(columns, runs),
        _with(outputs.memory(columns), record_charts.memory_by_phase, columns["inference"]),
        outputs.answers(columns["evaluation"]),
        run_facts.notes_of(records),
        run_facts.environments(bundles),
    ]
    return page_frame.report(KIND, runs, sections, headline=[line for its in judged.values() for line in headline(its)])


def _with(
    section: Section, draw: Callable[[record_charts.Columns], Chart | None], columns: Sequence[Column]
) -> Section:
    """A section with its figure; one without figures to show gets none."""
    chart = None if section.empty else draw([(column.name, column.record) for column in columns])
    return replace(section, figures=(chart,)) if chart else section


def _quality_and_speed(columns: Sequence[Column]) -> Section:
    names = list(dict.fromkeys(column.name for column in columns))[:_MOST_NAMES]
    its = [(column.name, column.record) for column in columns if column.name in names]
    chart = record_charts.quality_against_speed(its)
    return Section(name="quality-and-speed", title="Quality against speed", figures=(chart,) if chart else ())
