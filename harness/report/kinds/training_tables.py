"""Tables about one training: key figures, phases, spikes, stages and the trajectory of its losses."""

from collections.abc import Iterator, Sequence

from harness.analysis.training.peak_memory import last_rise
from harness.analysis.training.trends import best_point, loss_reduction, thirds, time_to_target
from harness.report.cells import change, computed, none, plain, text
from harness.report.page import Cell, Table
from harness.report.sections.analyzed_training import AnalyzedTraining, value_at, value_of
from harness.report.sections.loss_curves import points, tokens_at, x_and_y
from harness.results.records import number_in
from harness.units import format_number

_MOST_ITERATIONS = 40  # rows of the trajectory, beside those that mark a spike, a best or an end

_KeyFigure = tuple[Cell, Cell, Cell]  # name, value, and what the value is of


def key_figures(training: AnalyzedTraining, limit_bytes: float | None) -> Table:
    """Table of losses, work, speed and memory; a figure that was not measured has no row."""
    figures = (*_loss_figures(training), *_work_figures(training), *_size_figures(training, limit_bytes))
    rows = [figure for figure in figures if figure[1].value is not None]
    if training.column.published:  # the explanations below hold only for figures that tunebench measured
        rows = [(name, value, text("as printed, or from what is printed")) for name, value, _ in rows]
    caption = f"Key figures of {training.column.name}"
    return Table(columns=("figure", "value", "of"), rows=tuple(rows), caption=caption)


def _loss_figures(training: AnalyzedTraining) -> Iterator[_KeyFigure]:
    for name, curve in (("train loss", training.train), ("validation loss", training.val)):
        lowest = best_point(*x_and_y(curve))
        if lowest is not None:
            (first_x, first), (last_x, last) = curve[0], curve[-1]
            yield _figure(f"{name}, first", first, "nat/token", f"iteration {first_x:,.0f}")
            yield _figure(f"{name}, best", lowest.y, "nat/token", f"iteration {lowest.x:,.0f}")
            yield _figure(f"{name}, final", last, "nat/token", f"iteration {last_x:,.0f}")
            yield _figure(f"{name}, reduction", loss_reduction(first, last), "share", "first to final, one split")
    if training.val:
        target = time_to_target(*x_and_y(training.val))
        yield _figure("time to target, iterations", target, "iteration", "validation within 2 % of its best")


def _work_figures(training: AnalyzedTraining) -> Iterator[_KeyFigure]:
    record = training.record
    settings = record.key.settings if record.key else {}
    iterations = value_of(record, "train_iterations")
    rows = number_in(record.key and record.key.dataset, "rows", "train")
    batch = number_in(settings, "batch_size")
    yield _figure("iterations", iterations, "iteration", "batches seen")
    yield _figure("updates", value_of(record, "train_updates"), "update", "of the optimizer")
    if iterations and rows and batch:
        yield _figure("epochs", iterations * batch / rows, "", f"{rows:,.0f} rows, batches of {batch:,.0f}")
    tokens = next(iter(tokens_at(record, [training.train[-1][0]]) or ()), None)
    yield _figure("tokens", tokens, "token", "real, unpadded")
    yield _figure("throughput", value_of(record, "train_tokens_per_s"), "token/s", "steady steps; validation apart")
    for label in ("lowest", "highest"):  # a published report may print no more than these two
        yield _figure(f"throughput, {label}", value_of(record, "train_tokens_per_s", label), "token/s", "as printed")
    wall_s = value_of(record, "train_wall_s")
    tokens_per_s = tokens / wall_s if tokens and wall_s else None
    yield _figure("throughput end to end", tokens_per_s, "token/s", "tokens over wall time")
    yield _figure("iterations a second", value_of(record, "train_steps_per_s"), "step/s", "steady steps")
    yield _figure("wall time", wall_s, "s", "first step to last, validation and saving included")
    if training.clock is not None:
        yield _figure("wall time accounted for", training.clock.accounted_s, "s", "sum of its measured parts")


def _size_figures(training: AnalyzedTraining, limit_bytes: float | None) -> Iterator[_KeyFigure]:
    record = training.record
    trainable, total = (value_of(record, f"{kind}_parameters") for kind in ("trainable", "total"))
    yield _figure("trainable parameters", trainable, "parameter", "counted")
    if trainable and total:
        yield _figure("trainable share", trainable / total, "share", f"of {total:,.0f}")
    yield _figure("adapter", value_of(record, "adapter_bytes"), "byte", "saved file")
    peak_bytes, load_bytes = (value_of(record, "peak_active_bytes", label) for label in ("train", "load"))
    yield _figure("peak memory", peak_bytes, "byte", "live arrays while training")
    if peak_bytes and load_bytes:
        added_bytes = peak_bytes - load_bytes
        yield _figure("training on top of the loaded model", added_bytes, "byte", "peak less what loading peaked at")
    footprint_bytes = value_of(record, "peak_footprint_bytes", "train")
    used_bytes = footprint_bytes or peak_bytes
    if used_bytes and limit_bytes:
        meter = "process footprint" if footprint_bytes else "live arrays alone"
        headroom = 1 - used_bytes / limit_bytes
        yield _figure("memory headroom", headroom, "share", f"of the machine's memory, by the {meter}")
    rise = last_rise(*x_and_y(points(record.series.get("active_bytes"))))
    yield _figure("high-water mark of memory last rose", rise, "iteration", "live arrays; a maximum cannot fall")


def _figure(name: str, value: float | None, unit: str, meaning: str) -> _KeyFigure:
    return text(name), computed(value, unit), text(meaning)


def phase_table(training: AnalyzedTraining) -> Table:
    """Table of the phases of the training loss (rule R11)."""
    rows = [
        (
            text(phase.name),
            text(f"{phase.start:,.0f} – {phase.end:,.0f}"),
            computed(phase.first, "nat/token"),
            computed(phase.last, "nat/token"),
            change(phase.change),
        )
        for phase in training.phases
    ]
    heads = ("phase", "iterations", "train loss, beginning", "end", "change")
    return Table(columns=heads, rows=tuple(rows), caption=f"Phases of {training.column.name}, by rule R11")


def spike_table(training: AnalyzedTraining) -> Table:
    """Table of the spikes of the training loss, with onset, peak and recovery (rules R9 and R10)."""
    rows = [
        (
            text(f"Spike {number}"),
            *(computed(x, "iteration") for x in (spike.onset, spike.peak)),
            computed(spike.peak_value, "nat/token"),
            computed(spike.baseline, "nat/token"),
            none() if spike.ratio is None else text(f"{format_number(spike.ratio)} times"),
            computed(spike.half_recovered, "iteration"),
            text("not by the end") if spike.recovered is None else computed(spike.recovered, "iteration"),
        )
        for number, spike in enumerate(training.spikes, start=1)
    ]
    heads = ("spike", "onset", "peak", "loss at peak", "level before", "peak over level", "half recovered", "recovered")
    return Table(columns=heads, rows=tuple(rows), caption=f"Spikes of {training.column.name}, by rules R9 and R10")


def stage_table(training: AnalyzedTraining) -> Table:
    """Table of the early, middle and late third of the training loss, with the pace of each (rule R12)."""
    rows = [
        (
            text(name),
            text(f"{stage.start:,.0f} – {stage.end:,.0f}"),
            change(stage.change),
            text(stage.pace.value),
        )
        for name, stage in zip(("early", "middle", "late"), thirds(*x_and_y(training.train)), strict=False)
    ]
    heads = ("stage", "iterations", "change of train loss", "in words")
    caption = f"Stages of {training.column.name}, by rule R12: 20 % or more is rapid, 5 % or more steady"
    return Table(columns=heads, rows=tuple(rows), caption=caption)


def trajectory_table(training: AnalyzedTraining) -> Table:
    """Table of losses, tokens and memory at evenly spaced validations, and at every end, best, peak and recovery."""
    record = training.record
    train, val = dict(training.train), dict(training.val)
    memory_bytes = dict(points(record.series.get("active_bytes") or record.series.get("peak_bytes")))
    tokens_per_s = dict(points(record.series.get("train_tokens_per_s")))
    candidates = sorted(val) if len(train) > _MOST_ITERATIONS else sorted({*train, *val})
    kept = set(candidates[:: -(-len(candidates) // _MOST_ITERATIONS)] if candidates else ())
    for spike in training.spikes:
        kept |= {x for x in (spike.onset, spike.peak, spike.half_recovered, spike.recovered) if x is not None}
    for curve in (train, val):
        if curve:
            kept |= {min(curve), max(curve), min(curve, key=lambda x: (curve[x], x))}
    iterations = sorted(kept)
    tokens: Sequence[float | None] = tokens_at(record, iterations) or [None] * len(iterations)
    rows = [
        (
            plain(x, "iteration"),
            plain(train.get(x), "nat/token"),
            plain(val.get(x), "nat/token"),
            plain(total, "token"),
            computed(value_at(memory_bytes, x), "byte"),
            *((plain(tokens_per_s.get(x), "token/s"),) if tokens_per_s else ()),
        )
        for x, total in zip(iterations, tokens, strict=True)
    ]
    heads = ["iteration", "train loss, nat/token", "validation loss, nat/token", "tokens", "memory"]
    heads += ["token/s"] if tokens_per_s else []
    return Table(columns=tuple(heads), rows=tuple(rows), caption=f"Trajectory of {training.column.name}")
