"""From records to cells: the one place where what was measured becomes a finished text. Pure.

Whatever is decided is decided in `judge`; whatever is written as a number is written in `units`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from harness.analysis.judge import Design, Judgement, Verdict
from harness.analysis.stats.changes import change_of_pairs
from harness.analysis.stats.estimates import Interval, median_interval, process_values, ratio_of_independent, summarise
from harness.report.page import Cell, State
from harness.results.records import Bundle, Metric, Record, Status
from harness.units import NOT_MEASURED, WHOLE, format_number, format_percent, format_value, scale_of

HOW_TO_READ = (
    "Median of the processes; n = processes × readings in each. In square brackets the 95 % interval of the median "
    "(with n = 5 the whole range, which holds it with 93.75 %); in braces every process, where there are fewer. "
    "↑ the more the better, ↓ the less the better."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One record and how its column is headed."""

    name: str
    record: Record
    run: str = ""
    published: bool = False  # read in a report, not measured

    @property
    def model(self) -> str:
        """The model of the case."""
        return self.record.case.split("/")[1]

    @property
    def is_base(self) -> bool:
        """Whether the model was measured without an adapter."""
        return self.variant == "base" or self.variant.startswith("base-")

    @property
    def variant(self) -> str:
        """What the model was measured with: "base" (or a variant of it), or an adapter."""
        return self.record.case.split("/")[2]


def columns_of(bundles: Sequence[Bundle], suite: str) -> list[Column]:
    """One column a record of the suite; with several runs the run's id tells them apart.

    A record that is not ok but holds figures says so in its head: they are shown, and never judged.
    """
    columns: list[Column] = []
    seen: Counter[str] = Counter()
    for bundle in bundles:
        for record in bundle.records:
            if record.suite == suite:
                ended = f", {record.status.value}" if record.metrics and record.status is not Status.OK else ""
                which = f" ({bundle.run.id})" if len(bundles) > 1 else ""
                name = record.case.partition("/")[2] + which + ended
                seen[name] += 1
                unique = f"{name} ({seen[name]})" if seen[name] > 1 else name
                published = bundle.run.published is not None
                columns.append(Column(name=unique, record=record, run=bundle.run.id, published=published))
    return columns


@dataclass(slots=True)
class Footnotes:
    """Numbers reasons in the order they are first needed; equal ones share a number."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        """Give the number that stands for *text*, counted from 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def text(words: object) -> Cell:
    """Words that are not a figure."""
    return Cell(text=str(words))


def texts(words: Iterable[object]) -> tuple[Cell, ...]:
    """A row of them."""
    return tuple(map(text, words))


def code(name: str) -> Cell:
    """A name of the registry."""
    return Cell(text=name, state=State.CODE)


def none() -> Cell:
    """Nothing, and nothing was to be expected."""
    return Cell(text="–", state=State.NOT_APPLICABLE)


def computed(value: float | None, unit: str, *, whole: bool = False) -> Cell:
    """A figure that follows from stored ones, in the base *unit*; None, or beyond all numbers, is not computable."""
    if value is None or not math.isfinite(value):
        return none()
    words = f"{value:,.0f} {unit}".strip() if whole else format_value(value, unit)
    return Cell(text=words, state=State.COMPUTED, value=value, unit=unit)


def plain(value: float | None, unit: str) -> Cell:
    """A stored figure whose unit the column's head says."""
    if value is None:
        return none()
    words = f"{value:,.0f}" if unit in WHOLE else format_number(value)
    return Cell(text=words, state=State.MEASURED, value=value, unit=unit)


def metric_cell(metric: Metric | None, label: str | None, notes: Footnotes) -> Cell:
    """What was measured of one metric and label, or why nothing was."""
    return part_cell(metric, metric.parts().get(label) if metric else None, notes)


def part_cell(metric: Metric | None, samples: Sequence[Sequence[float]] | None, notes: Footnotes) -> Cell:
    """What was measured of one part of a metric, or why nothing was."""
    if metric is None:
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED)
    if samples is None and metric.samples is not None:
        return none()  # measured, but not of this
    if samples is None:
        number = notes.number(metric.reason or "no reason given")
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED, unit=metric.unit, notes=(number,))
    return measured_cell(samples, metric.unit)


def measured_cell(samples: Sequence[Sequence[float]], unit: str) -> Cell:
    """Write readings: the median of the processes, its interval or every process, and how many there were."""
    summary, values = summarise(samples), process_values(samples)
    interval = median_interval(values)
    if interval is not None:
        spread = f" [{_figure(interval.low, summary.median, unit)}, {_figure(interval.high, summary.median, unit)}]"
    elif len(values) > 1:
        spread = f" {{{'; '.join(_figure(value, summary.median, unit) for value in sorted(values))}}}"
    else:
        spread = ""
    each, uneven = divmod(summary.readings, summary.processes)
    count = f"n={summary.processes}" + (f"×{each}" if each > 1 else "")
    if uneven:
        count = f"n={summary.processes}, {summary.readings} readings"
    symbol = "" if unit == "share" else scale_of(summary.median, unit)[1]
    words = [f"{_figure(summary.median, summary.median, unit)}{spread}", symbol, f"({count})"]
    return Cell(
        text=" ".join(filter(None, words)),
        state=State.MEASURED,
        value=summary.median,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        unit=unit,
        values=tuple(sorted(values)),
        readings=summary.readings,
    )


def _figure(value: float, like: float, unit: str) -> str:
    """Write *value* in the scale that suits *like*, without its symbol."""
    if unit == "share":
        return format_percent(value)
    factor, symbol = scale_of(like, unit)
    return format_number(value / factor, whole=unit in WHOLE or symbol == "B")


def change_of(interval: Interval) -> str:
    """Write a ratio B / A as what B has more or less than A: the one wording of a change.

    Up to twice or half in percent, beyond that as a factor. The base is A, always.
    """
    if _in_percent(interval.point):
        return f"{signed_percent(interval.point)} [{signed_percent(interval.low)}, {signed_percent(interval.high)}]"
    low, high = map(format_number, (interval.low, interval.high))
    return f"{_changed(interval.point)} [{low}, {high}]"


def _in_percent(ratio: float) -> bool:
    return 0.5 <= ratio <= 2  # noqa: PLR2004 - beyond, percent mislead: -90 % is a tenth


def _changed(ratio: float) -> str:
    return signed_percent(ratio) if _in_percent(ratio) else f"{format_number(ratio)} times"


def change_cell(before: Sequence[float], after: Sequence[float], *, design: Design) -> Cell:
    """The change from *before* to *after*, values of processes: with its interval where they allow one."""
    if not before or not after or min(*before, *after) <= 0:
        return none()
    paired = design is Design.PAIRED and len(before) == len(after)
    its = change_of_pairs(after, before) if paired else None
    interval = its.ratio if its else None if paired else ratio_of_independent(after, before)
    if interval is None:
        ratio = median(after) / median(before)
        words = f"{_changed(ratio)} (no interval: n={min(len(before), len(after))})"
        return Cell(text=words, state=State.COMPUTED, value=ratio, unit="1")
    low, high = interval.low, interval.high
    return Cell(text=change_of(interval), state=State.COMPUTED, value=interval.point, low=low, high=high, unit="1")


def signed_percent(ratio: float) -> str:
    """Write a ratio as percent more or less than one."""
    share = round(100 * (ratio - 1), 1)
    sign = "±" if share == 0 else "+" if share > 0 else "−"
    return f"{sign}{abs(share):,.1f} %"


def change(relative: float) -> Cell:
    """A relative change from a stored figure to another: 0 is none."""
    return Cell(text=signed_percent(1 + relative), state=State.COMPUTED, value=relative, unit="share")


def judgement_cell(judgement: Judgement, winner: str, notes: Footnotes) -> Cell:
    """The verdict on *winner* against another, which is the base of the words."""
    its = judgement
    if its.ratio is None and its.verdict in {Verdict.NOT_JUDGED, Verdict.NOT_COMPARABLE}:
        number = notes.number(its.reason)
        return Cell(text=its.verdict.value, state=State.VERDICT, verdict=its.verdict.value, notes=(number,))
    words = f"{its.verdict.value} ({its.reason})" if its.ratio is None else its.verdict.value
    named = (winner,) if its.verdict is Verdict.BETTER else ()
    return Cell(text=words, state=State.VERDICT, verdict=its.verdict.value, winners=named)
