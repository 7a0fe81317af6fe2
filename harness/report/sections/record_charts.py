"""Charts of stored records: what each figure of a report shows and says. Values; nothing is drawn here.

Every function takes records with the names of their columns, and gives None where there is nothing to show. Titles
are plain; descriptions and captions are made of the numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from itertools import chain
from statistics import median

from harness.analysis.judge import STAND_INS
from harness.analysis.stats.estimates import process_values, summarise
from harness.report.figures.charts import Bars, Chart, Curve, Dash, Dots, Panel
from harness.report.sections.loss_curves import best, running_median, sentences, tokens_at, told, window_of
from harness.report.sections.training_charts import loss_curve_detailed, training_analysis
from harness.results.metrics import NO_WORK
from harness.results.records import Metric, Record
from harness.units import format_number, format_value

__all__ = [
    "context_scaling",
    "loss_curve_detailed",
    "losses_over_tokens",
    "memory_by_phase",
    "quality_against_speed",
    "speed_by_scenario",
    "training_analysis",
]

Columns = Sequence[tuple[str, Record]]
Parts = dict[str, list[float]]  # label -> the median of each process

_GIB = 2.0**30
_WIDE_RANGE = 10.0  # highest over lowest, from which an even axis would press the lowest together
_MOST_CASES = 12
_APART = 0.5  # of a category's width, over which its cases are spread


def _of_the_first(draw: Callable[[Columns], Chart | None]) -> Callable[[Columns], Chart | None]:
    """Draw no more cases than can be told apart, and say how many are not drawn."""

    @wraps(draw)
    def drawn(columns: Columns) -> Chart | None:
        chart = draw(columns[:_MOST_CASES])
        more = len(columns) - _MOST_CASES
        if chart is None or more <= 0:
            return chart
        return replace(chart, caption=f"{chart.caption} {more} more cases are not drawn; the tables have them.")

    return drawn


@_of_the_first
def losses_over_tokens(columns: Columns) -> Chart | None:
    """Training and validation losses of several trainings over the tokens they had seen."""
    lines: list[Curve] = []
    said: list[str] = []
    smoothed = False
    for color, (name, record) in enumerate(columns):
        train, val = record.series.get("train_loss"), record.series.get("val_loss")
        if train and (tokens := tokens_at(record, train.x)):
            window = window_of(len(train.y))
            smoothed |= window > 1
            x, y = _known(tokens, running_median(train.y, window))
            lines.append(Curve(label=f"{name}, training", x=x, y=y, color=color))
            said.append(told(f"Training loss of {name}", train))
        if val and (tokens := tokens_at(record, val.x)):
            x, y = _known(tokens, val.y)
            lines.append(Curve(label=f"{name}, validation", x=x, y=y, color=color, dash=Dash.DASHED, marker=True))
            said.append(f"Best validation loss of {name} {format_number(best(val)[1])}")
    if not lines:
        return None
    medians = "Training losses of more than 200 steps are running medians of a 50th of them. " if smoothed else ""
    return Chart(
        name="losses_over_tokens",
        title="Losses over tokens",
        caption=f"nat/token. {medians}{_of_one_process(columns)}{_tokenizers(columns, 'Losses')}".strip(),
        alt=sentences(said),
        panels=(Panel(title="Loss", x_label="real tokens", y_label="nat/token", log_y=True, lines=tuple(lines)),),
    )


@_of_the_first
def speed_by_scenario(columns: Columns) -> Chart | None:
    """Decoding speed in each scenario, with what every process read."""
    measured = _measured(columns, "decode_tokens_per_s")
    labels = list(dict.fromkeys(chain.from_iterable(parts for _, parts in measured)))
    shifts = [_APART * ((i + 0.5) / len(measured) - 0.5) for i in range(len(measured))]
    places = [
        [labels.index(label) + shift for label in parts] for (_, parts), shift in zip(measured, shifts, strict=True)
    ]
    panel = Panel(title="Decoding", x_label="scenario", y_label="token/s", categories=tuple(labels))
    chart = Chart(name="speed_by_scenario", title="Decoding speed by scenario", caption="", alt="", panels=(panel,))
    return _speeds(chart, columns, measured, places)


@_of_the_first
def context_scaling(columns: Columns) -> Chart | None:
    """Decoding speed after contexts of several lengths."""
    measured = _measured(columns, "context_decode_tokens_per_s")
    measured = [(name, {its: parts[its] for its in sorted(parts, key=depth)}) for name, parts in measured]
    measured = [(name, {its: parts[its] for its in parts if depth(its) < math.inf}) for name, parts in measured]
    measured = [(name, parts) for name, parts in measured if parts]
    places = [[depth(label) for label in parts] for _, parts in measured]
    panel = Panel(title="Decoding", x_label="tokens of context before", y_label="token/s")
    chart = Chart(name="context_scaling", title="Decoding speed after a context", caption="", alt="", panels=(panel,))
    return _speeds(chart, columns, measured, places)


@_of_the_first
def memory_by_phase(columns: Columns) -> Chart | None:
    """The peak of the memory in use in each phase of the work."""
    measured = [
        (name, {label: values for label, values in parts.items() if label not in NO_WORK})
        for name, parts in _measured(columns, "peak_active_bytes")
    ]
    measured = [(name, parts) for name, parts in measured if parts]
    labels = list(dict.fromkeys(chain.from_iterable(parts for _, parts in measured)))
    if not labels:
        return None
    bars = tuple(
        Bars(label=name, heights=tuple(median(parts[its]) / _GIB if its in parts else None for its in labels), color=i)
        for i, (name, parts) in enumerate(measured)
    )
    most = [(name, max(parts, key=lambda its: median(parts[its])), parts) for name, parts in measured]
    return Chart(
        name="memory_by_phase",
        title="Peak memory by phase",
        caption=(
            f"GiB (2^30 bytes) that the arrays of the allocator took at most. Bars: the median of "
            f"{_processes(measured)}; no interval is drawn. A missing bar: the case has no such phase."
        ),
        alt=sentences(
            f"{name} takes most in the phase {label}, {format_value(median(parts[label]), 'byte')}"
            for name, label, parts in most
        ),
        panels=(
            Panel(title="Peak of arrays in use", x_label="phase", y_label="GiB", categories=tuple(labels), bars=bars),
        ),
    )


def quality_against_speed(columns: Columns) -> Chart | None:
    """Bits per byte over decoding speed, a dot a name: records of one name, of whichever suite, belong together.

    Records of stand-in weights are never in it: their quality says nothing.
    """
    found: dict[str, dict[str, Metric]] = {}
    for name, record in columns:
        if record.key is None or record.key.weights.source in STAND_INS:
            continue
        for metric in ("decode_tokens_per_s", "bits_per_byte"):
            if (its := record.metrics.get(metric)) and its.samples:
                found.setdefault(name, {}).setdefault(metric, its)
    points = [
        (name, summarise(its["decode_tokens_per_s"].samples or ()), summarise(its["bits_per_byte"].samples or ()))
        for name, its in found.items()
        if len(its) == 2  # noqa: PLR2004 - both were measured
    ]
    if not points:
        return None
    dots = tuple(
        Dots(label="", x=(speed.median,), y=(bits.median,), color=color, texts=(name,))
        for color, (name, speed, bits) in enumerate(points)
    )
    counts = sorted({its.processes for _, speed, bits in points for its in (speed, bits)})
    return Chart(
        name="quality_against_speed",
        title="Quality against speed",
        caption=(
            f"Bits per byte of the evaluation (lower is better) over the decoding speed in token/s, median of all "
            f"scenarios. Dots: the median of {_count(counts)}; no interval is drawn. "
            f"{_tokenizers(columns, 'Speeds')}Models with stand-in weights are left out."
        ),
        alt=sentences(
            f"{name}: {format_number(bits.median)} bit/B at {format_number(speed.median)} token/s"
            for name, speed, bits in points
        ),
        panels=(Panel(title="Lower right is better", x_label="token/s", y_label="bit/B", dots=dots),),
    )


def _known(tokens: Sequence[float | None], losses: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points of which the tokens are known, as x and y."""
    points = [(x, y) for x, y in zip(tokens, losses, strict=True) if x is not None]
    return tuple(x for x, _ in points), tuple(y for _, y in points)


def _measured(columns: Columns, metric: str) -> list[tuple[str, Parts]]:
    """What each process read of a metric, by label; without the columns that have none of it."""
    found = [(name, record.metrics.get(metric)) for name, record in columns]
    split = [(name, its.parts()) for name, its in found if its is not None]
    return [
        (name, {label or "all": sorted(process_values(samples)) for label, samples in parts.items()})
        for name, parts in split
        if parts
    ]


def _speeds(
    chart: Chart, columns: Columns, measured: Sequence[tuple[str, Parts]], places: Sequence[Sequence[float]]
) -> Chart | None:
    """The chart with the medians and readings of each case at its places; None if there are none."""
    if not measured:
        return None
    lines, dots = [], []
    for color, ((name, parts), x) in enumerate(zip(measured, places, strict=True)):
        medians = tuple(median(values) for values in parts.values())
        lines.append(Curve(label=name, x=tuple(x), y=medians, color=color, dash=Dash.DOTTED, marker=True))
        dots += _readings(x, parts, color)
    every = [y for line in lines for y in line.y]
    log = max(every) > _WIDE_RANGE * min(every) > 0
    caption = (
        f"token/s{', on a logarithmic axis' * log}. Line: the median of {_processes(measured)}; dots: each process's "
        f"median, where there are several. No interval is drawn. {_tokenizers(columns, 'Speeds')}"
    )
    panels = (replace(chart.panels[0], lines=tuple(lines), dots=tuple(dots), log_y=log),)
    return replace(chart, caption=caption.strip(), alt=sentences(_ranges(measured, "token/s")), panels=panels)


def _readings(x: Sequence[float], parts: Parts, color: int) -> list[Dots]:
    """What each process read, where that is more than the median."""
    points = [(at, value) for at, values in zip(x, parts.values(), strict=True) if len(values) > 1 for value in values]
    return (
        [Dots(label="", x=tuple(at for at, _ in points), y=tuple(y for _, y in points), color=color)] if points else []
    )


def depth(label: str | None) -> float:
    """The tokens in a label such as "depth 512"; of any other label it comes last."""
    number = (label or "").rpartition(" ")[2]
    return float(number) if number.isdecimal() else math.inf


def _ranges(measured: Sequence[tuple[str, Parts]], unit: str) -> list[str]:
    """Each case's lowest and highest median, with the labels they have."""
    said = []
    for name, parts in measured:
        medians = {label: median(values) for label, values in parts.items()}
        low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        if len(medians) == 1:
            said.append(f"{name}: {format_number(medians[low])} {unit} ({low})")
        else:
            first, last = format_number(medians[low]), format_number(medians[high])
            said.append(f"{name}: from {first} ({low}) to {last} {unit} ({high})")
    return said


def _processes(measured: Sequence[tuple[str, Parts]]) -> str:
    return _count(sorted({len(values) for _, parts in measured for values in parts.values()}))


def _count(counts: Sequence[int]) -> str:
    most = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f"n = {most} process{'es' * (counts[-1] > 1)}"


def _of_one_process(columns: Columns) -> str:
    several = any(record.processes > 1 for _, record in columns)
    return "Curves are of the first process of each case. " if several else ""


def _tokenizers(columns: Columns, what: str) -> str:
    """A caution where a token is not the same amount of text everywhere."""
    different = len({record.key.tokenizer for _, record in columns if record.key}) > 1
    return f"{what} of different tokenizers do not compare: their tokens are not as long. " if different else ""
