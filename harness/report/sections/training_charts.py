"""Charts of one training: an analysis in four panels, and its loss with every phase and spike named.

Both are returned as values, without drawing them, and are made of the series of the first process.
"""

from collections.abc import Sequence
from itertools import groupby
from statistics import median

from harness.analysis.training.phases import Phase
from harness.analysis.training.spikes import Spike
from harness.report.figures.charts import Chart, Curve, Dash, Mark, Panel, Rule, ShadedSpan
from harness.report.sections.chart_captions import iteration, loss_in_words, sentences
from harness.report.sections.loss_curves import best, gap, level_near, points, running_median, window_of
from harness.results.records import Record, Series
from harness.units import format_number, format_value

_GIB = 2.0**30
_TRAIN, _VAL, _THIRD, _OTHER, _GREY = range(5)  # colors
_MOST_DESCRIBED = 3  # spikes
_PHASE_COLORS = {"Spike": _VAL, "Recovery": _OTHER, "Plateau": _GREY, "Steady": _THIRD, "Drift": _VAL}


def training_analysis(
    name: str,
    record: Record,
    spikes: Sequence[Spike],
    phases: Sequence[Phase],
    memory_limit_bytes: float | None,
) -> Chart | None:
    """Draw one training in four panels: losses, validation and gap, speed, memory."""
    panels = (_losses(record, spikes), _gap(record, spikes), _speed(record), _memory(record, memory_limit_bytes))
    if not any(panel.lines for panel in panels):
        return None
    return Chart(
        name="training_analysis",
        title=f"Training analysis of {name}",
        caption=(
            "Losses in nat/token on a logarithmic axis; validation and gap on an even one. The gap is the validation "
            "loss minus the median of the five nearest training losses; inside a spike none is given. Rates are of "
            "steps, validation apart, relative to their median; of more than 200 steps, running medians of a 50th of "
            f"them. Memory in GiB (2^30 bytes) after each step. {_process_in_words(record)}"
        ),
        alt=_description(record, spikes, phases),
        panels=panels,
        columns=2,
    )


def loss_curve_detailed(name: str, record: Record, spikes: Sequence[Spike], phases: Sequence[Phase]) -> Chart | None:
    """Draw the loss of one training with its phases, spikes and best validation named, and the learning rate below."""
    train, val, rate = (record.series.get(series_name) for series_name in ("train_loss", "val_loss", "learning_rate"))
    if not (train or val):
        return None
    highest = sorted(range(len(spikes)), key=lambda i: -(spikes[i].ratio or 0))[:_MOST_DESCRIBED]
    marks = [mark for i in sorted(highest) for mark in _spike_marks(spikes[i], i + 1, len(spikes), train)]
    bands = [
        ShadedSpan(label=phase.name, start=phase.start, end=phase.end, color=_color(phase.name)) for phase in phases
    ]
    count = f"Of {len(spikes)} spikes the {_MOST_DESCRIBED} highest are described. "
    left_out = count if len(spikes) > _MOST_DESCRIBED else ""
    panels = (
        Panel(
            title="Loss",
            x_label="iteration",
            y_label="nat/token",
            log_y=True,
            lines=_curves(train, val),
            spans=tuple(bands or _spans(spikes)),
            marks=(*marks, *_best(val)),
            empty="not measured: no losses",
        ),
        Panel(
            title="Learning rate",
            x_label="iteration",
            y_label="",
            lines=(Curve(label="", x=rate.x, y=rate.y, color=_TRAIN),) if rate else (),
            empty="the learning rate was not recorded",
        ),
    )
    return Chart(
        name="loss_curve_detailed",
        title=f"Loss of {name}",
        caption=f"nat/token, logarithmic; one point a step. {left_out}{_process_in_words(record)}",
        alt=_description(record, spikes, phases),
        panels=panels,
    )


def _losses(record: Record, spikes: Sequence[Spike]) -> Panel:
    train, val = record.series.get("train_loss"), record.series.get("val_loss")
    return Panel(
        title="Loss",
        x_label="iteration",
        y_label="nat/token",
        log_y=True,
        lines=_curves(train, val),
        spans=_spans(spikes),
        marks=_best(val),
        empty="not measured: no losses",
    )


def _gap(record: Record, spikes: Sequence[Spike]) -> Panel:
    train, val = record.series.get("train_loss"), record.series.get("val_loss")
    lines: list[Curve] = []
    if val:
        lines.append(_line("validation", val, _VAL))
    if train and val:
        gaps = zip(val.x, gap(train, val), strict=True)
        for calm, stretch in groupby(gaps, lambda point: not any(s.onset <= point[0] <= s.end for s in spikes)):
            if calm:
                x, y = zip(*stretch, strict=True)
                label = "gap to training" if len(lines) == 1 else ""
                lines.append(Curve(label=label, x=x, y=y, color=_THIRD, marker=True))
    return Panel(
        title="Validation and gap",
        x_label="iteration",
        y_label="nat/token",
        lines=tuple(lines),
        empty="not measured: no validation",
    )


def _speed(record: Record) -> Panel:
    steps, tokens = record.series.get("step_s"), record.series.get("real_tokens")
    lines: list[Curve] = []
    if steps and tokens:
        by_iteration = dict(points(tokens))
        rates = [(x, by_iteration[x] / step_s) for x, step_s in points(steps) if step_s > 0 and x in by_iteration]
        lines += _relative("token/s", rates, _TRAIN)
    if steps:
        rates = [(x, 1 / step_s) for x, step_s in points(steps) if step_s > 0]
        lines += _relative("it/s", rates, _THIRD)
    return Panel(
        title="Speed",
        x_label="iteration",
        y_label="of its median",
        lines=tuple(lines),
        empty="not measured: no step times",
    )


def _relative(label: str, rates: Sequence[tuple[float, float]], color: int) -> list[Curve]:
    """Curve of rates divided by their median, so that two units fit one axis. The label states the median."""
    center = median([rate for _, rate in rates]) if rates else 0.0
    if center <= 0:
        return []
    x = tuple(number for number, _ in rates)
    y = tuple(running_median([rate / center for _, rate in rates], window_of(len(rates))))
    return [Curve(label=f"{label} (median {format_number(center)})", x=x, y=y, color=color)]


def _memory(record: Record, limit_bytes: float | None) -> Panel:
    kinds = (("active_bytes", "arrays in use", _TRAIN), ("footprint_bytes", "process", _OTHER))
    lines = tuple(
        Curve(label=label, x=series.x, y=tuple(size_bytes / _GIB for size_bytes in series.y), color=color)
        for name, label, color in kinds
        if (series := record.series.get(name))
    )
    limit = (Rule(text=f"limit {format_value(limit_bytes, 'byte')}", y=limit_bytes / _GIB),) if limit_bytes else ()
    return Panel(
        title="Memory",
        x_label="iteration",
        y_label="GiB",
        lines=lines,
        rules=limit,
        empty="not measured: no memory after steps",
    )


def _curves(train: Series | None, val: Series | None) -> tuple[Curve, ...]:
    lines = [Curve(label="training", x=train.x, y=train.y, color=_TRAIN)] if train else []
    return (*lines, _line("validation", val, _VAL)) if val else tuple(lines)


def _line(label: str, series: Series, color: int) -> Curve:
    return Curve(label=label, x=series.x, y=series.y, color=color, dash=Dash.DASHED, marker=True)


def _best(val: Series | None) -> tuple[Mark, ...]:
    if not val:
        return ()
    x, loss = best(val)
    return (Mark(text=f"best validation {format_number(loss)} at {format_number(x, as_integer=True)}", x=x, y=loss),)


def _spans(spikes: Sequence[Spike]) -> tuple[ShadedSpan, ...]:
    return tuple(
        ShadedSpan(label=_spike_name(number, len(spikes)).capitalize(), start=spike.onset, end=spike.end, color=_VAL)
        for number, spike in enumerate(spikes, 1)
    )


def _spike_marks(spike: Spike, number: int, count: int, train: Series | None) -> list[Mark]:
    """Mark the onset, the peak, the half recovery and the recovery of a spike."""
    if train is None:
        return []
    prefix = f"{_spike_name(number, count)} " if count > 1 else ""
    events = [("onset", spike.onset, level_near(train, spike.onset))]
    if spike.peak_value is not None:
        events.append((f"peak {format_number(spike.peak_value)}", spike.peak, spike.peak_value))
    for word, x in (("half recovered", spike.half_recovered), ("recovered", spike.recovered)):
        if x is not None:
            events.append((word, x, level_near(train, x)))
    return [Mark(text=f"{prefix}{word} at {format_number(x, as_integer=True)}", x=x, y=y) for word, x, y in events]


def _spike_name(number: int, count: int) -> str:
    return f"spike {number}" if count > 1 else "spike"


def _color(phase: str) -> int:
    return _PHASE_COLORS.get(phase.partition(" ")[0], _TRAIN)


def _description(record: Record, spikes: Sequence[Spike], phases: Sequence[Phase]) -> str:
    return sentences([*_losses_in_words(record), *map(_spike_in_words, spikes), _phases_in_words(phases)])


def _losses_in_words(record: Record) -> list[str]:
    """State how the training loss moved and where the validation loss was lowest."""
    train, val = record.series.get("train_loss"), record.series.get("val_loss")
    clauses = [loss_in_words("Training loss", train)] if train else []
    if val:
        x, loss = best(val)
        clauses.append(f"Best validation loss {format_number(loss)} at {iteration(x)}")
    return clauses


def _spike_in_words(spike: Spike) -> str:
    if spike.peak_value is None or spike.ratio is None:
        return f"A spike begins at {iteration(spike.onset)}"
    back = "not recovered by the end" if spike.recovered is None else f"recovered at {iteration(spike.recovered)}"
    height = f"{format_number(spike.peak_value)} nat/token, {format_number(spike.ratio)} times the level before"
    return f"A spike begins at {iteration(spike.onset)} and peaks at {iteration(spike.peak)} with {height}; {back}"


def _phases_in_words(phases: Sequence[Phase]) -> str:
    ranges = (
        f"{phase.name} ({format_number(phase.start, as_integer=True)} to {format_number(phase.end, as_integer=True)})"
        for phase in phases
    )
    return f"Phases: {', '.join(ranges)}" if phases else ""


def _process_in_words(record: Record) -> str:
    return f"Process 1 of {record.processes}." if record.processes > 1 else "n = 1 process."
