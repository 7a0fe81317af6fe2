"""How far a metric moved, in its reader's terms: a time is longer, a rate fewer, memory more. Pure.

The change is the metric's own, candidate against baseline, and its interval is counted the way the word says: below 0
is the other way.
"""

from harness.gate.verdicts import GateRow
from harness.results.records import Better, Kind
from harness.units import format_number, format_value

NOTHING = "–"
_PERCENT_UP_TO = 2.0  # a ratio beyond is a factor: 900 % more is read as nine times, and is ten


def change(row: GateRow) -> str:
    """The relative change of the metric with its interval, or the two values where there is no interval."""
    if row.ratio is None:
        return _values(row)
    if row.ratio.point > _PERCENT_UP_TO:
        return f"{point(row)} [{format_number(row.ratio.low)}, {format_number(row.ratio.high)}]"
    way = 1 if row.ratio.point >= 1 else -1
    low, high = sorted(way * (its - 1) for its in (row.ratio.low, row.ratio.high))
    return f"{point(row)} [{_signed(low)}, {_signed(high)}]"


def point(row: GateRow) -> str:
    """The change alone, without its interval."""
    return _values(row) if row.ratio is None else of_ratio(row, row.ratio.point)


def of_ratio(row: GateRow, ratio: float) -> str:
    """A change of this row's metric to so many times what it was."""
    more, less, as_much = _words(row)
    if ratio > _PERCENT_UP_TO:
        return f"{format_number(ratio)} times {as_much}"
    percent = f"{100 * abs(ratio - 1):.1f}"
    if float(percent) == 0:
        return f"±{percent} %"
    return f"{percent} % {more if ratio > 1 else less}"


def _words(row: GateRow) -> tuple[str, str, str]:
    """What a metric is that grew, one that fell, and one that grew several times."""
    unit = row.unit or ""
    if row.kind is Kind.MEMORY:
        return "more", "less", "as much"
    if row.kind is Kind.TIMING and unit.endswith("/s"):
        return f"more {unit}", f"fewer {unit}", f"as many {unit}"
    if row.kind is Kind.TIMING and unit == "s":
        return "longer", "shorter", "as long"
    return "higher", "lower", "as high"


def _values(row: GateRow) -> str:
    """Both sides, each written with as many digits as it takes to see that they differ."""
    if row.baseline is None or row.candidate is None:
        return NOTHING
    if row.baseline == row.candidate:
        return f"equal: {format_value(row.baseline, row.unit or '')}"
    before, after = (format_value(its, row.unit or "") for its in (row.baseline, row.candidate))
    if before == after:
        before, after = repr(row.baseline), f"{row.candidate!r} {row.unit or ''}".strip()
    return f"{before} → {after}"


def _signed(relative: float) -> str:
    """Percent with one decimal and a typeset minus; what rounds to nothing has none."""
    percent = round(100 * relative, 1)
    return f"{'−' if percent < 0 else ''}{abs(percent):.1f}"


def worse_by(row: GateRow) -> float | None:
    """How much worse the metric is, relative and as a cost; of one with no better, how far off; None if unknown."""
    if row.change is not None:
        return row.change
    before, after = row.baseline, row.candidate
    if before is None or after is None or before <= 0 or after <= 0:
        return None
    if row.better is Better.NONE:
        return abs(after / before - 1)
    return (before / after if row.better is Better.HIGHER else after / before) - 1
