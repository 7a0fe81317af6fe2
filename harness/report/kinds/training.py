"""Training report: how each fine-tune went, which conditions it met, and commands to use its adapter."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.analysis.finding import Finding, Level
from harness.analysis.judge import STAND_INS
from harness.analysis.training.checklist import ItemOutcome, TrainingFacts, checklist
from harness.analysis.training.trends import Divergence, best_point
from harness.report.cells import text
from harness.report.kinds.training_tables import key_figures, phase_table, spike_table, stage_table, trajectory_table
from harness.report.page import Cell, Listing, Report, Section, State, Table
from harness.report.sections import assemble_report, case_details, run_description, training_charts
from harness.report.sections.analyzed_training import AnalyzedTraining, analyze_training, value_of
from harness.report.sections.disturbances import timings_to_distrust
from harness.report.sections.loss_curves import x_and_y
from harness.report.sections.training_losses import losses_in_order, losses_over_tokens
from harness.report.sections.verdict_rows import headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle, Record, Status, number_in
from harness.units import format_number, format_percent

KIND = "training"
_SUITE = ("training",)
_MOST_TRAININGS = 6  # with a section each; the tables of all metrics hold the others too
_HAS_OVERFITTED = {Divergence.OVERFITTING: True, Divergence.NOT_DETECTED: False, Divergence.UNKNOWN: None}
_FEWEST_REPORTS = 20  # to say that there was no spike; source: rule R11, which asks for as many
_OUTCOMES = {ItemOutcome.PASS: "✓ pass", ItemOutcome.FAIL: "✗ fail", ItemOutcome.UNKNOWN: "? unknown"}


def training(bundles: Sequence[Bundle]) -> Report:
    """Build the report of the trainings in one or more runs."""
    runs = assemble_report.runs_of(bundles)
    columns = runs.columns["training"]
    records = [column.record for column in columns]
    with_curves = [column for column in columns if "train_loss" in column.record.series]
    trainings = [analyze_training(column) for column in with_curves][:_MOST_TRAININGS]
    several = len(trainings) > 1
    judged = judge_suite("training", columns)
    chart = losses_over_tokens([(analyzed.column.name, analyzed.record) for analyzed in trainings]) if several else None
    over_tokens = Section(
        name="losses",
        title="Losses over tokens",
        text="Losses per token compare only within one tokenizer.",
        figures=(chart,) if chart else (),
    )
    limits_bytes = {bundle.run.id: _memory_limit(bundle) for bundle in bundles}
    evaluations = {column.name: column.record for column in runs.columns["evaluation"]}
    sections = [
        run_description.runs(bundles),
        run_description.not_ok(records),
        run_description.contradictions(bundles),
        timings_to_distrust(bundles, _SUITE),
        *(
            _training_section(
                analyzed,
                limit_bytes=limits_bytes[analyzed.column.run],
                evaluation=evaluations.get(analyzed.column.name),
                number=number,
                several=several,
            )
            for number, analyzed in enumerate(trainings, start=1)
        ),
        over_tokens,
        losses_in_order(columns),
        metric_section(judged, title="All metrics", name="metrics"),
        run_description.configuration({"training": columns}),
        case_details.memory(runs.columns, suites=_SUITE),
        case_details.artifacts(records),
        run_description.notes_of(records),
        run_description.environments(bundles),
    ]
    lines = [*map(_losses_in_words, trainings), *headline(judged)]
    return assemble_report.assemble(KIND, runs, sections, headline=lines, suites=_SUITE)


def _memory_limit(bundle: Bundle) -> float | None:
    """Return the memory of the run's machine in bytes; None where it was not recorded."""
    return number_in(bundle.environment and bundle.environment.os, "memory_bytes")


def _training_section(
    analyzed: AnalyzedTraining, *, limit_bytes: float | None, evaluation: Record | None, number: int, several: bool
) -> Section:
    """Section about one training: charts, tables, findings and commands."""
    name, record = analyzed.column.name, analyzed.record
    suffix = f"-{number}-{name}" if several else ""
    charts = (
        training_charts.training_analysis(name, record, analyzed.spikes, analyzed.phases, limit_bytes),
        training_charts.loss_curve_detailed(name, record, analyzed.spikes, analyzed.phases),
    )
    tables = (
        key_figures(analyzed, limit_bytes),
        _checklist_table(_conditions(analyzed, limit_bytes, evaluation), name),
        phase_table(analyzed),
        spike_table(analyzed),
        stage_table(analyzed),
        trajectory_table(analyzed),
    )
    windows = f"Train loss in windows of {analyzed.window} iterations. " if analyzed.window > 1 else ""
    return Section(
        name=f"training-{number}",
        title=f"Training {name}",
        text=f"{windows}Losses in nat/token over real targets, of the first process.",
        findings=tuple(_findings(analyzed)),
        figures=tuple(replace(chart, name=f"{chart.name}{suffix}") for chart in charts if chart),
        tables=tuple(table for table in tables if table.rows),
        listings=tuple(_next_steps(record)),
    )


def _losses_in_words(analyzed: AnalyzedTraining) -> str:
    """State the first, best and last validation loss in a sentence; the training loss if nothing was validated."""
    curve = analyzed.val or analyzed.train
    kind = "validation" if analyzed.val else "training"
    lowest = best_point(*x_and_y(curve))
    assert lowest is not None, "a training with a curve has at least one loss"
    return (
        f"{analyzed.column.name}: {kind} loss {format_number(curve[0][1])} at first, {format_number(lowest.y)} at best "
        f"(iteration {format_number(lowest.x, as_integer=True)}), {format_number(curve[-1][1])} in the end."
    )


def _conditions(analyzed: AnalyzedTraining, limit_bytes: float | None, evaluation: Record | None) -> TrainingFacts:
    """Collect the facts that the checklist tests."""
    record = analyzed.record
    settings = record.key.settings if record.key else {}
    test_rows, copies = (
        number_in(evaluation and evaluation.data, "test", name) for name in ("rows", "rows_in_training")
    )
    done, planned = value_of(record, "train_iterations"), number_in(settings, "iters")
    peak_bytes = value_of(record, "peak_footprint_bytes", "train") or value_of(record, "peak_active_bytes", "train")
    lowest = best_point(*x_and_y(analyzed.val))
    enough = len(analyzed.train) >= _FEWEST_REPORTS
    learns = record.key is None or record.key.weights.source not in STAND_INS  # losses of stand-ins mean nothing
    return TrainingFacts(
        iterations_done=None if done is None else int(done),
        iterations_planned=None if planned is None else int(planned),
        losses=None if analyzed.column.published else len(record.series["train_loss"].x),
        diverged=record.reason if record.status is Status.DIVERGED else None,
        val_loss_first=analyzed.val[0][1] if learns and analyzed.val else None,
        val_loss_final=analyzed.val[-1][1] if learns and analyzed.val else None,
        best_iteration=None if lowest is None else int(lowest.x),
        final_iteration=int(analyzed.val[-1][0]) if analyzed.val else None,
        overfitting=_HAS_OVERFITTED[analyzed.overfitting.verdict] if learns else None,
        overfitting_words=analyzed.overfitting.reason,
        spikes=len(analyzed.spikes) if enough else None,
        spikes_recovered=sum(spike.recovered is not None for spike in analyzed.spikes) if enough else None,
        peak_bytes=peak_bytes or value_of(record, "peak_active_bytes"),
        limit_bytes=limit_bytes,
        swap_growth_bytes=value_of(record, "swap_growth_bytes"),
        clock_off_share=analyzed.clock.share_off if analyzed.clock else None,
        test_rows=None if test_rows is None else int(test_rows),
        overlapping_rows=None if copies is None else int(copies),
        checked_rows=None if test_rows is None else int(test_rows),
        seeds=1 if "seed" in settings else None,
    )


def _checklist_table(conditions: TrainingFacts, name: str) -> Table:
    """Table of the conditions that a training met or missed, shown in place of a grade (rule R20)."""
    rows = [
        (
            text(item.name),
            Cell(text=_OUTCOMES[item.outcome], state=State.VERDICT),
            text(item.numbers),
            text(item.rule),
        )
        for item in checklist(conditions)
    ]
    heads = ("condition", "outcome", "numbers", "rule")
    return Table(columns=heads, rows=tuple(rows), caption=f"Checklist of {name}")


def _findings(analyzed: AnalyzedTraining) -> Iterator[Finding]:
    """Report overfitting, a wall time that does not match its parts, and an end that is not ok."""
    subject, overfitting = analyzed.record.case, analyzed.overfitting
    numbers = {"since": overfitting.since, "val_best": overfitting.val_best, "val_final": overfitting.val_final}
    level = Level.WARNING if overfitting.verdict is Divergence.OVERFITTING else Level.NOTE
    unknown = overfitting.verdict is Divergence.UNKNOWN
    verdict = "overfitting cannot be told" if unknown else overfitting.verdict.value
    yield Finding(rule="R8", level=level, subject=subject, text=f"{verdict}: {overfitting.reason}", numbers=numbers)
    if analyzed.clock is not None and not analyzed.clock.reconciled:
        off = format_percent(abs(analyzed.clock.share_off))
        words = (
            f"{off} of the wall time is not in any measured part"
            if analyzed.clock.share_off > 0
            else f"the measured parts add up to {off} more than the wall time"
        )
        yield Finding(rule="R14", level=Level.WARNING, subject=subject, text=words)
    if analyzed.record.status is not Status.OK:
        words = f"ended {analyzed.record.status.value}: {analyzed.record.reason}"
        yield Finding(rule="R20", level=Level.WARNING, subject=subject, text=words)


def _next_steps(record: Record) -> Iterator[Listing]:
    """List commands that try or fuse the trained adapter, with paths relative to the run's directory."""
    adapters = sorted(
        {file.path.rpartition("/")[0] for file in record.artifacts if file.path.endswith("adapters.safetensors")}
    )
    repository = record.key.weights.repository if record.key else None
    if adapters and repository and record.key and record.key.weights.source in {"hub", "pypi"}:
        lines = [
            line
            for path in adapters
            for line in (
                f"mlx_lm.generate --model {repository} --adapter-path {path} --prompt '...'",
                f"mlx_lm.fuse --model {repository} --adapter-path {path} --save-path {path}-fused",
            )
        ]
        yield Listing(title="From the run's directory: try it, or fuse it", text="\n".join(lines))
