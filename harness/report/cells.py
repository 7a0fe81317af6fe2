"""Make table cells from records: the only module that turns measurements into formatted text.

Verdicts come from `judge`, and number formats from `units`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from harness.analysis.judge import Design, Judgement, Verdict
from harness.analysis.stats.changes import change_of_pairs
from harness.analysis.stats.estimates import Interval, median_interval, process_values, ratio_of_independent, summarize
from harness.report.page import Cell, State
from harness.results.records import Bundle, Metric, Record, Status
from harness.units import COUNTED_UNITS, NOT_MEASURED, format_number, format_percent, format_value, scale_of

HOW_TO_READ = (
    "Median of the processes; n = processes × readings in each. In square brackets the 95 % interval of the median "
    "(with n = 5 the whole range, which holds it with 93.75 %); in braces every process, where there are fewer. "
    "↑ the more the better, ↓ the less the better."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One record as a table column; *name* is the heading."""

    name: str
    record: Record
    run: str = ""
    published: bool = False  # copied from a published report, not measured

    @property
    def model(self) -> str:
        """Model of the case."""
        return self.record.case_id.model

    @property
    def is_base(self) -> bool:
        """True if the model was measured without an adapter."""
        return self.record.case_id.is_base

    @property
    def variant(self) -> str:
        """Adapter of the case, or "base" (or a variant of it such as "base-4bit") without one."""
        return self.record.case_id.variant


def columns_of(bundles: Sequence[Bundle], suite: str) -> list[Column]:
    """Make one column per record of the suite; with several runs, the run's id is part of the name.

    If a record did not end ok but holds figures, its status is part of the name: these figures are printed, but never
    judged.
    """
    columns: list[Column] = []
    times_used: Counter[str] = Counter()
    for bundle in bundles:
        for record in bundle.records:
            if record.suite == suite:
                ended = f", {record.status.value}" if record.metrics and record.status is not Status.OK else ""
                which = f" ({bundle.run.id})" if len(bundles) > 1 else ""
                name = record.case_id.configuration + which + ended
                times_used[name] += 1
                unique = f"{name} ({times_used[name]})" if times_used[name] > 1 else name
                published = bundle.run.published is not None
                columns.append(Column(name=unique, record=record, run=bundle.run.id, published=published))
    return columns


@dataclass(slots=True)
class Footnotes:
    """Number footnotes in the order of their first use; equal texts share a number."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        """Return the number of the footnote *text*; the first is 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def text(words: object) -> Cell:
    """Make a cell of plain words."""
    return Cell(text=str(words))


def texts(words: Iterable[object]) -> tuple[Cell, ...]:
    """Make a row of plain words."""
    return tuple(map(text, words))


def code(name: str) -> Cell:
    """Make a cell with a name of the registry, typeset as code."""
    return Cell(text=name, state=State.CODE)


def none() -> Cell:
    """Make a cell for a value that does not apply here."""
    return Cell(text="–", state=State.NOT_APPLICABLE)


def computed(value: float | None, unit: str) -> Cell:
    """Make a cell with a computed figure in the base *unit*; None and infinite values do not apply."""
    if value is None or not math.isfinite(value):
        return none()
    words = format_value(value, unit)
    return Cell(text=words, state=State.COMPUTED, value=value, unit=unit)


def plain(value: float | None, unit: str) -> Cell:
    """Make a cell with a stored figure, without its unit, which the column's heading states."""
    if value is None:
        return none()
    words = f"{value:,.0f}" if unit in COUNTED_UNITS else format_number(value)
    return Cell(text=words, state=State.MEASURED, value=value, unit=unit)


def metric_cell(metric: Metric | None, label: str | None, notes: Footnotes) -> Cell:
    """Make a cell with the readings of one metric and label, or with the reason why there are none."""
    return part_cell(metric, metric.parts().get(label) if metric else None, notes)


def part_cell(metric: Metric | None, samples: Sequence[Sequence[float]] | None, notes: Footnotes) -> Cell:
    """Make a cell with *samples*, one part of *metric*, or with the reason why there are none."""
    if metric is None:
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED)
    if samples is None and metric.samples is not None:
        return none()  # the metric was measured, but not for this label
    if samples is None:
        number = notes.number(metric.reason or "no reason given")
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED, unit=metric.unit, notes=(number,))
    return measured_cell(samples, metric.unit)


def measured_cell(samples: Sequence[Sequence[float]], unit: str) -> Cell:
    """Make a cell with the median of the processes, its interval or all values, and the number of readings."""
    summary, values = summarize(samples), process_values(samples)
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


def _figure(value: float, reference: float, unit: str) -> str:
    """Format *value* in the scale that suits *reference*, without the symbol of the scale."""
    if unit == "share":
        return format_percent(value)
    factor, symbol = scale_of(reference, unit)
    return format_number(value / factor, as_integer=unit in COUNTED_UNITS or symbol == "B")


def change_of(interval: Interval) -> str:
    """Format a ratio B / A with its interval as a change from A to B.

    Between half and double the change is in percent, beyond that it is a factor. Every report words a change this way.
    """
    if _in_percent(interval.point):
        return f"{signed_percent(interval.point)} [{signed_percent(interval.low)}, {signed_percent(interval.high)}]"
    low, high = map(format_number, (interval.low, interval.high))
    return f"{_changed(interval.point)} [{low}, {high}]"


def _in_percent(ratio: float) -> bool:
    return 0.5 <= ratio <= 2  # noqa: PLR2004 - beyond, percent mislead: -90 % is a tenth


def _changed(ratio: float) -> str:
    return signed_percent(ratio) if _in_percent(ratio) else f"{format_number(ratio)} times"


def change_cell(baseline: Sequence[float], candidate: Sequence[float], *, design: Design) -> Cell:
    """Make a cell with the change from *baseline* to *candidate*, each with one value per process.

    The cell has an interval if there are enough processes. In a paired design, values belong together by position.
    """
    if not baseline or not candidate or min(*baseline, *candidate) <= 0:
        return none()
    paired = design is Design.PAIRED and len(baseline) == len(candidate)
    paired_change = change_of_pairs(candidate, baseline) if paired else None
    interval = paired_change.ratio if paired_change else None if paired else ratio_of_independent(candidate, baseline)
    if interval is None:
        ratio = median(candidate) / median(baseline)
        words = f"{_changed(ratio)} (no interval: n={min(len(baseline), len(candidate))})"
        return Cell(text=words, state=State.COMPUTED, value=ratio, unit="1")
    low, high = interval.low, interval.high
    return Cell(text=change_of(interval), state=State.COMPUTED, value=interval.point, low=low, high=high, unit="1")


def signed_percent(ratio: float) -> str:
    """Format a ratio as a signed change in percent: 1.05 becomes +5.0 %."""
    share = round(100 * (ratio - 1), 1)
    sign = "±" if share == 0 else "+" if share > 0 else "−"
    return f"{sign}{abs(share):,.1f} %"


def change(relative: float) -> Cell:
    """Make a cell with a relative change between two stored figures; 0 means no change."""
    return Cell(text=signed_percent(1 + relative), state=State.COMPUTED, value=relative, unit="share")


def judgement_cell(judgement: Judgement, winner: str, notes: Footnotes) -> Cell:
    """Make a cell with the verdict on the column *winner*; it names the winner only if the verdict is "better"."""
    if judgement.ratio is None and judgement.verdict in {Verdict.NOT_JUDGED, Verdict.NOT_COMPARABLE}:
        number = notes.number(judgement.reason)
        return Cell(text=judgement.verdict.value, state=State.VERDICT, verdict=judgement.verdict.value, notes=(number,))
    words = f"{judgement.verdict.value} ({judgement.reason})" if judgement.ratio is None else judgement.verdict.value
    winners = (winner,) if judgement.verdict is Verdict.BETTER else ()
    return Cell(text=words, state=State.VERDICT, verdict=judgement.verdict.value, winners=winners)
