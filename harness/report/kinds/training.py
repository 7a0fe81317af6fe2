"""The training report: how a fine-tune went, step by step, and what to do with it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.analysis.finding import Finding, Level
from harness.analysis.judge import STAND_INS
from harness.analysis.training.checklist import TrainingFacts
from harness.analysis.training.peak_memory import last_rise
from harness.analysis.training.trends import Divergence, best_point, loss_reduction, thirds, time_to_target
from harness.report.cells import change, computed, none, plain, text
from harness.report.page import Cell, Listing, Report, Section, Table
from harness.report.sections import choices, outputs, page_frame, record_charts, run_facts, training_charts
from harness.report.sections.disturbances import trust
from harness.report.sections.loss_curves import apart, points, tokens_at
from harness.report.sections.training_course import Course, at, course_of, value_of
from harness.report.sections.verdict_rows import headline, judge_suite
from harness.report.sections.verdict_tables import metric_section
from harness.results.records import Bundle, Record, Status, number_in
from harness.units import format_number, format_percent

KIND = "training"
_SUITE = ("training",)
_MOST_COURSES = 6  # told one by one; of more, the tables above have all
_MOST_MARKS = 40
_HAS_OVERFITTED = {Divergence.OVERFITTING: True, Divergence.NOT_DETECTED: False, Divergence.UNKNOWN: None}
_FEWEST_REPORTS = 20  # to say that there was no spike; source: rule R11, which asks for as many


def training(bundles: Sequence[Bundle]) -> Report:
    """Turn one or more runs into a report of their trainings."""
    runs = page_frame.runs_of(bundles)
    columns = runs.columns["training"]
    courses = [course_of(column) for column in columns if "train_loss" in column.record.series][:_MOST_COURSES]
    judged = judge_suite("training", columns)
    chart = (
        record_charts.losses_over_tokens([(its.column.name, its.record) for its in courses])
        if len(courses) > 1
        else None
    )
    over_tokens = Section(
        name="losses",
        title="Losses over tokens",
        text="Losses per token compare only within one tokenizer.",
        figures=(chart,) if chart else (),
    )
    limits = {bundle.run.id: _memory_limit(bundle) for bundle in bundles}
    tested = {its.name: its.record for its in runs.columns["evaluation"]}
    sections = [
        run_facts.runs(bundles),
        run_facts.not_ok([column.record for column in columns]),
        run_facts.contradictions(bundles),
        trust(bundles, _SUITE),
        *(
            _told(number, its, limits[its.column.run], tested.get(its.column.name), several=len(courses) > 1)
            for number, its in enumerate(courses, start=1)
        ),
        over_tokens,
        outputs.in_order(columns),
        metric_section(judged, title="All metrics", name="metrics"),
        run_facts.configuration({"training": columns}),
        outputs.memory(runs.columns, suites=_SUITE),
        outputs.artifacts([column.record for column in columns]),
        run_facts.notes_of([column.record for column in columns]),
        run_facts.environments(bundles),
    ]
    lines = [*(_sentence(its) for its in courses), *headline(judged)]
    return page_frame.report(KIND, runs, sections, headline=lines, suites=_SUITE)


def _memory_limit(bundle: Bundle) -> float | None:
    """What the machine has, where it is known."""
    return number_in(bundle.environment and bundle.environment.os, "memory_bytes")


def _told(number: int, course: Course, limit_bytes: float | None, tested: Record | None, *, several: bool) -> Section:
    """One training: figures, tables, findings."""
    suffix = f"-{number}-{course.column.name}" if several else ""
    name, record = course.column.name, course.record
    charts = (
        training_charts.training_analysis(name, record, course.spikes, course.phases, limit_bytes),
        training_charts.loss_curve_detailed(name, record, course.spikes, course.phases),
    )
    tables = (
        _key_figures(course, limit_bytes),
        choices.checked(_conditions(course, limit_bytes, tested), name),
        _phases(course),
        _spikes(course),
        _thirds(course),
        _trajectory(course),
    )
    reports = f"Train loss in windows of {course.window} iterations. " if course.window > 1 else ""
    return Section(
        name=f"training-{number}",
        title=f"Training {name}",
        text=f"{reports}Losses in nat/token over real targets, of the first process.",
        findings=tuple(_findings(course)),
        figures=tuple(replace(chart, name=f"{chart.name}{suffix}") for chart in charts if chart),
        tables=tuple(table for table in tables if table.rows),
        listings=tuple(_next_steps(record)),
    )


def _sentence(course: Course) -> str:
    """What became of the losses, in one line."""
    its = course.val or course.train
    kind = "validation" if course.val else "training"
    lowest = best_point(*apart(its))
    assert lowest is not None, "a course has at least one loss"
    return (
        f"{course.column.name}: {kind} loss {format_number(its[0][1])} at first, {format_number(lowest.y)} at best "
        f"(iteration {format_number(lowest.x, whole=True)}), {format_number(its[-1][1])} in the end."
    )


def _key_figures(course: Course, limit_bytes: float | None) -> Table:
    rows = [row for row in (*_losses(course), *_work(course), *_size(course, limit_bytes)) if row[1].value is not None]
    if course.column.published:  # what our words say of a figure holds of ours
        rows = [(name, value, text("as printed, or from what is printed")) for name, value, _ in rows]
    return Table(columns=("figure", "value", "of"), rows=tuple(rows), caption=f"Key figures of {course.column.name}")


_Row = tuple[Cell, Cell, Cell]


def _losses(course: Course) -> Iterator[_Row]:
    for what, its in (("train loss", course.train), ("validation loss", course.val)):
        lowest = best_point(*apart(its))
        if lowest is not None:
            yield _row(f"{what}, first", its[0][1], "nat/token", f"iteration {its[0][0]:,.0f}")
            yield _row(f"{what}, best", lowest.y, "nat/token", f"iteration {lowest.x:,.0f}")
            yield _row(f"{what}, final", its[-1][1], "nat/token", f"iteration {its[-1][0]:,.0f}")
            yield _row(
                f"{what}, reduction", loss_reduction(its[0][1], its[-1][1]), "share", "first to final, one split"
            )
    if course.val:
        target = time_to_target(*apart(course.val))
        yield _row("time to target, iterations", target, "iteration", "validation within 2 % of its best")


def _work(course: Course) -> Iterator[_Row]:
    record = course.record
    settings = record.key.settings if record.key else {}
    iterations = value_of(record, "train_iterations")
    rows = number_in(record.key and record.key.dataset, "rows", "train")
    batch = number_in(settings, "batch_size")
    yield _row("iterations", iterations, "iteration", "batches seen")
    yield _row("updates", value_of(record, "train_updates"), "update", "of the optimizer")
    if iterations and rows and batch:
        yield _row("epochs", iterations * batch / rows, "", f"{rows:,.0f} rows, batches of {batch:,.0f}")
    seen = next(iter(tokens_at(record, [course.train[-1][0]]) or ()), None)
    yield _row("tokens", seen, "token", "real, unpadded")
    yield _row("throughput", value_of(record, "train_tokens_per_s"), "token/s", "steady steps; validation apart")
    for label in ("lowest", "highest"):  # all that a published report may print
        yield _row(f"throughput, {label}", value_of(record, "train_tokens_per_s", label), "token/s", "as printed")
    wall_s = value_of(record, "train_wall_s")
    yield _row("throughput end to end", seen / wall_s if seen and wall_s else None, "token/s", "tokens over wall time")
    yield _row("iterations a second", value_of(record, "train_steps_per_s"), "step/s", "steady steps")
    yield _row("wall time", wall_s, "s", "first step to last, validation and saving included")
    if course.clock is not None:
        yield _row("wall time accounted for", course.clock.accounted_s, "s", "sum of its measured parts")


def _size(course: Course, limit_bytes: float | None) -> Iterator[_Row]:
    record = course.record
    trainable, total = (value_of(record, f"{which}_parameters") for which in ("trainable", "total"))
    yield _row("trainable parameters", trainable, "parameter", "counted")
    if trainable and total:
        yield _row("trainable share", trainable / total, "share", f"of {total:,.0f}")
    yield _row("adapter", value_of(record, "adapter_bytes"), "byte", "saved file")
    peak, load = (value_of(record, "peak_active_bytes", label) for label in ("train", "load"))
    yield _row("peak memory", peak, "byte", "live arrays while training")
    if peak and load:
        yield _row("training on top of the loaded model", peak - load, "byte", "peak less what loading peaked at")
    footprint = value_of(record, "peak_footprint_bytes", "train")
    if (footprint or peak) and limit_bytes:
        which = "process footprint" if footprint else "live arrays alone"
        used = (footprint or peak or 0.0) / limit_bytes
        yield _row("memory headroom", 1 - used, "share", f"of the machine's memory, by the {which}")
    rise = last_rise(*apart(points(record.series.get("active_bytes"))))
    yield _row("high-water mark of memory last rose", rise, "iteration", "live arrays; a maximum cannot fall")


def _row(name: str, value: float | None, unit: str, of: str) -> _Row:
    return text(name), computed(value, unit), text(of)


def _conditions(course: Course, limit_bytes: float | None, tested: Record | None) -> TrainingFacts:
    """What the checklist goes by."""
    record = course.record
    settings = record.key.settings if record.key else {}
    test_rows, copies = (number_in(tested and tested.data, "test", name) for name in ("rows", "rows_in_training"))
    done, planned = value_of(record, "train_iterations"), number_in(settings, "iters")
    peak = value_of(record, "peak_footprint_bytes", "train") or value_of(record, "peak_active_bytes", "train")
    lowest = best_point(*apart(course.val))
    enough = len(course.train) >= _FEWEST_REPORTS
    learns = record.key is None or record.key.weights.source not in STAND_INS  # losses of the others say nothing
    return TrainingFacts(
        iterations_done=None if done is None else int(done),
        iterations_planned=None if planned is None else int(planned),
        losses=None if course.column.published else len(record.series["train_loss"].x),
        diverged=record.reason if record.status is Status.DIVERGED else None,
        val_loss_first=course.val[0][1] if learns and course.val else None,
        val_loss_final=course.val[-1][1] if learns and course.val else None,
        best_iteration=None if lowest is None else int(lowest.x),
        final_iteration=int(course.val[-1][0]) if course.val else None,
        overfitting=_HAS_OVERFITTED[course.overfitting.verdict] if learns else None,
        overfitting_words=course.overfitting.reason,
        spikes=len(course.spikes) if enough else None,
        spikes_recovered=sum(its.recovered is not None for its in course.spikes) if enough else None,
        peak_bytes=peak or value_of(record, "peak_active_bytes"),
        limit_bytes=limit_bytes,
        swap_growth_bytes=value_of(record, "swap_growth_bytes"),
        clock_off_share=course.clock.share_off if course.clock else None,
        test_rows=None if test_rows is None else int(test_rows),
        overlapping_rows=None if copies is None else int(copies),
        checked_rows=None if test_rows is None else int(test_rows),
        seeds=1 if "seed" in settings else None,
    )


def _phases(course: Course) -> Table:
    rows = [
        (
            text(its.name),
            text(f"{its.start:,.0f} – {its.end:,.0f}"),
            computed(its.first, "nat/token"),
            computed(its.last, "nat/token"),
            change(its.change),
        )
        for its in course.phases
    ]
    heads = ("phase", "iterations", "train loss, beginning", "end", "change")
    return Table(columns=heads, rows=tuple(rows), caption=f"Phases of {course.column.name}, by rule R11")


def _spikes(course: Course) -> Table:
    rows = [
        (
            text(f"Spike {number}"),
            *(computed(x, "iteration") for x in (its.onset, its.peak)),
            computed(its.peak_value, "nat/token"),
            computed(its.baseline, "nat/token"),
            none() if its.ratio is None else text(f"{format_number(its.ratio)} times"),
            computed(its.half_recovered, "iteration"),
            text("not by the end") if its.recovered is None else computed(its.recovered, "iteration"),
        )
        for number, its in enumerate(course.spikes, start=1)
    ]
    heads = ("spike", "onset", "peak", "loss at peak", "level before", "peak over level", "half recovered", "recovered")
    return Table(columns=heads, rows=tuple(rows), caption=f"Spikes of {course.column.name}, by rules R9 and R10")


def _thirds(course: Course) -> Table:
    rows = [
        (
            text(name),
            text(f"{its.start:,.0f} – {its.end:,.0f}"),
            change(its.change),
            text(its.pace.value),
        )
        for name, its in zip(("early", "middle", "late"), thirds(*apart(course.train)), strict=False)
    ]
    heads = ("stage", "iterations", "change of train loss", "in words")
    caption = f"Stages of {course.column.name}, by rule R12: 20 % or more is rapid, 5 % or more steady"
    return Table(columns=heads, rows=tuple(rows), caption=caption)


def _trajectory(course: Course) -> Table:
    """First and last, every validation (thinned), and each peak, recovery and best."""
    train, val = dict(course.train), dict(course.val)
    memory = dict(points(course.record.series.get("active_bytes") or course.record.series.get("peak_bytes")))
    marks = sorted(val) if len(train) > _MOST_MARKS else sorted({*train, *val})
    kept = set(marks[:: -(-len(marks) // _MOST_MARKS)] if marks else ())
    speed = dict(points(course.record.series.get("train_tokens_per_s")))
    kept |= {
        x for its in course.spikes for x in (its.onset, its.peak, its.half_recovered, its.recovered) if x is not None
    }
    for curve in (train, val):
        if curve:
            kept |= {min(curve), max(curve), min(curve, key=lambda x: (curve[x], x))}
    iterations = sorted(kept)
    tokens: Sequence[float | None] = tokens_at(course.record, iterations) or [None] * len(iterations)
    rows = [
        (
            plain(x, "iteration"),
            plain(train.get(x), "nat/token"),
            plain(val.get(x), "nat/token"),
            plain(seen, "token"),
            computed(at(memory, x), "byte"),
            *((plain(speed.get(x), "token/s"),) if speed else ()),
        )
        for x, seen in zip(iterations, tokens, strict=True)
    ]
    heads = ["iteration", "train loss, nat/token", "validation loss, nat/token", "tokens", "memory"]
    heads += ["token/s"] if speed else []
    return Table(columns=tuple(heads), rows=tuple(rows), caption=f"Trajectory of {course.column.name}")


def _findings(course: Course) -> Iterator[Finding]:
    subject, its = course.record.case, course.overfitting
    numbers = {"since": its.since, "val_best": its.val_best, "val_final": its.val_final}
    level = Level.WARNING if its.verdict is Divergence.OVERFITTING else Level.NOTE
    verdict = "overfitting cannot be told" if its.verdict is Divergence.UNKNOWN else its.verdict.value
    yield Finding(rule="R8", level=level, subject=subject, text=f"{verdict}: {its.reason}", numbers=numbers)
    if course.clock is not None and not course.clock.reconciled:
        off = format_percent(abs(course.clock.share_off))
        words = (
            f"{off} of the wall time is not in any measured part"
            if course.clock.share_off > 0
            else f"the measured parts add up to {off} more than the wall time"
        )
        yield Finding(rule="R14", level=Level.WARNING, subject=subject, text=words)
    if course.record.status is not Status.OK:
        words = f"ended {course.record.status.value}: {course.record.reason}"
        yield Finding(rule="R20", level=Level.WARNING, subject=subject, text=words)


def _next_steps(record: Record) -> Iterator[Listing]:
    """Commands that use what the training left, with the paths as they are, from the run's directory."""
    adapters = sorted(
        {its.path.rpartition("/")[0] for its in record.artifacts if its.path.endswith("adapters.safetensors")}
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
