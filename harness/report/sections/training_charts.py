"""The two figures of one training: its analysis in four panels, and its loss with every phase and spike named.

Values, made of the series of a case's first process.
"""

from collections.abc import Sequence
from itertools import groupby
from statistics import median

from harness.analysis.training.phases import Phase
from harness.analysis.training.spikes import Spike
from harness.report.figures.charts import Chart, Curve, Dash, Mark, Panel, Rule, ShadedSpan
from harness.report.sections.loss_curves import (
    best,
    gap,
    iteration,
    level_near,
    running_median,
    sentences,
    told,
    window_of,
)
from harness.results.records import Record, Series
from harness.units import format_number, format_value

_GIB = 2.0**30
_TRAIN, _VAL, _THIRD, _OTHER, _GREY = range(5)  # colours
_MOST_TOLD = 3  # spikes with words of their own
_PHASES = {"Spike": _VAL, "Recovery": _OTHER, "Plateau": _GREY, "Steady": _THIRD, "Drift": _VAL}


def training_analysis(
    name: str,
    record: Record,
    spikes: Sequence[Spike],
    phases: Sequence[Phase],
    memory_limit_bytes: float | None,
) -> Chart | None:
    """One training in four panels: losses, validation and gap, speed, memory."""
    panels = (_losses(record, spikes), _gap(record, spikes), _speed(record), _memory(record, memory_limit_bytes))
    if not any(its.lines for its in panels):
        return None
    return Chart(
        name="training_analysis",
        title=f"Training analysis of {name}",
        caption=(
            "Losses in nat/token on a logarithmic axis; validation and gap on an even one. The gap is the validation "
            "loss minus the median of the five nearest training losses; inside a spike none is given. Rates are of "
            "steps, validation apart, relative to their median; of more than 200 steps, running medians of a 50th of "
            f"them. Memory in GiB (2^30 bytes) after each step. {_which(record)}"
        ),
        alt=sentences([*_courses(record), *map(_spike, spikes), _phases_told(phases)]),
        panels=panels,
        columns=2,
    )


def loss_curve_detailed(name: str, record: Record, spikes: Sequence[Spike], phases: Sequence[Phase]) -> Chart | None:
    """The loss of one training with its phases, spikes and best validation named, and the learning rate below."""
    train, val, rate = (record.series.get(its) for its in ("train_loss", "val_loss", "learning_rate"))
    if not (train or val):
        return None
    highest = sorted(range(len(spikes)), key=lambda i: -(spikes[i].ratio or 0))[:_MOST_TOLD]
    marks = [mark for i in sorted(highest) for mark in _ways(spikes[i], i + 1, len(spikes), train)]
    bands = [ShadedSpan(label=its.name, start=its.start, end=its.end, color=_shade(its.name)) for its in phases]
    left_out = f"Of {len(spikes)} spikes the {_MOST_TOLD} highest are described. " if len(spikes) > _MOST_TOLD else ""
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
        caption=f"nat/token, logarithmic; one point a step. {left_out}{_which(record)}",
        alt=sentences([*_courses(record), *map(_spike, spikes), _phases_told(phases)]),
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
        points = zip(val.x, gap(train, val), strict=True)
        for calm, its in groupby(points, lambda point: not any(s.onset <= point[0] <= s.end for s in spikes)):
            if calm:
                x, y = zip(*its, strict=True)
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
    steps, tokens = (record.series.get(its) for its in ("step_s", "real_tokens"))
    lines: list[Curve] = []
    if steps and tokens:
        by_iteration = dict(zip(tokens.x, tokens.y, strict=True))
        rates = [(x, by_iteration[x] / s) for x, s in zip(steps.x, steps.y, strict=True) if s > 0 and x in by_iteration]
        lines += _relative("token/s", rates, _TRAIN)
    if steps:
        rates = [(x, 1 / s) for x, s in zip(steps.x, steps.y, strict=True) if s > 0]
        lines += _relative("it/s", rates, _THIRD)
    return Panel(
        title="Speed",
        x_label="iteration",
        y_label="of its median",
        lines=tuple(lines),
        empty="not measured: no step times",
    )


def _relative(label: str, rates: Sequence[tuple[float, float]], color: int) -> list[Curve]:
    """Rates over their median, which the label names: two units fit one axis."""
    middle = median([rate for _, rate in rates]) if rates else 0.0
    if middle <= 0:
        return []
    x = tuple(at for at, _ in rates)
    y = tuple(running_median([rate / middle for _, rate in rates], window_of(len(rates))))
    return [Curve(label=f"{label} (median {format_number(middle)})", x=x, y=y, color=color)]


def _memory(record: Record, limit_bytes: float | None) -> Panel:
    kinds = (("active_bytes", "arrays in use", _TRAIN), ("footprint_bytes", "process", _OTHER))
    lines = tuple(
        Curve(label=label, x=its.x, y=tuple(value / _GIB for value in its.y), color=color)
        for name, label, color in kinds
        if (its := record.series.get(name))
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
    at, loss = best(val)
    return (Mark(text=f"best validation {format_number(loss)} at {format_number(at, as_integer=True)}", x=at, y=loss),)


def _spans(spikes: Sequence[Spike]) -> tuple[ShadedSpan, ...]:
    return tuple(
        ShadedSpan(label=_called(number, len(spikes)).capitalize(), start=its.onset, end=its.end, color=_VAL)
        for number, its in enumerate(spikes, 1)
    )


def _ways(spike: Spike, number: int, count: int, train: Series | None) -> list[Mark]:
    """Where a spike begins, is highest, is half over and over."""
    if train is None:
        return []
    which = f"{_called(number, count)} " if count > 1 else ""
    marks = [("onset", spike.onset, level_near(train, spike.onset))]
    if spike.peak_value is not None:
        marks.append((f"peak {format_number(spike.peak_value)}", spike.peak, spike.peak_value))
    for word, at in (("half recovered", spike.half_recovered), ("recovered", spike.recovered)):
        if at is not None:
            marks.append((word, at, level_near(train, at)))
    return [Mark(text=f"{which}{word} at {format_number(at, as_integer=True)}", x=at, y=y) for word, at, y in marks]


def _called(number: int, count: int) -> str:
    return f"spike {number}" if count > 1 else "spike"


def _shade(phase: str) -> int:
    return _PHASES.get(phase.partition(" ")[0], _TRAIN)


def _courses(record: Record) -> list[str]:
    """What the losses did, in numbers."""
    train, val = record.series.get("train_loss"), record.series.get("val_loss")
    said = [told("Training loss", train)] if train else []
    if val:
        at, loss = best(val)
        said.append(f"Best validation loss {format_number(loss)} at {iteration(at)}")
    return said


def _spike(spike: Spike) -> str:
    if spike.peak_value is None or spike.ratio is None:
        return f"A spike begins at {iteration(spike.onset)}"
    back = "not recovered by the end" if spike.recovered is None else f"recovered at {iteration(spike.recovered)}"
    height = f"{format_number(spike.peak_value)} nat/token, {format_number(spike.ratio)} times the level before"
    return f"A spike begins at {iteration(spike.onset)} and peaks at {iteration(spike.peak)} with {height}; {back}"


def _phases_told(phases: Sequence[Phase]) -> str:
    ranges = (
        f"{its.name} ({format_number(its.start, as_integer=True)} to {format_number(its.end, as_integer=True)})"
        for its in phases
    )
    return f"Phases: {', '.join(ranges)}" if phases else ""


def _which(record: Record) -> str:
    return f"Process 1 of {record.processes}." if record.processes > 1 else "n = 1 process."
