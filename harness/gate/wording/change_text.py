"""Texts for the change of a metric in the reader's terms: longer for a time, fewer for a rate, more for memory.

The change is that of the metric, candidate against baseline. The interval is counted in the direction that the word
names: below 0 is the opposite direction.
"""

from harness.gate.verdicts import GateRow
from harness.results.records import Better, Kind
from harness.units import format_number, format_value

NOTHING = "–"
_PERCENT_UP_TO = 2.0  # a ratio beyond is a factor: 900 % more is read as nine times, and is ten


def change(row: GateRow) -> str:
    """Write the relative change of the metric with its interval, or the two values where there is no interval."""
    if row.ratio is None:
        return _values(row)
    if row.ratio.point > _PERCENT_UP_TO:
        return f"{point(row)} [{format_number(row.ratio.low)}, {format_number(row.ratio.high)}]"
    direction = 1 if row.ratio.point >= 1 else -1
    low, high = sorted(direction * (bound - 1) for bound in (row.ratio.low, row.ratio.high))
    return f"{point(row)} [{_signed(low)}, {_signed(high)}]"


def point(row: GateRow) -> str:
    """Write the change without its interval."""
    return _values(row) if row.ratio is None else of_ratio(row, row.ratio.point)


def of_ratio(row: GateRow, ratio: float) -> str:
    """Write a change of the row's metric by the factor *ratio*."""
    increase, decrease, multiple = _words(row)
    if ratio > _PERCENT_UP_TO:
        return f"{format_number(ratio)} times {multiple}"
    percent = f"{100 * abs(ratio - 1):.1f}"
    if float(percent) == 0:
        return f"±{percent} %"
    return f"{percent} % {increase if ratio > 1 else decrease}"


def _words(row: GateRow) -> tuple[str, str, str]:
    """Words for an increase, a decrease and a multiple of this metric."""
    unit = row.unit or ""
    if row.kind is Kind.MEMORY:
        return "more", "less", "as much"
    if row.kind is Kind.TIMING and unit.endswith("/s"):
        return f"more {unit}", f"fewer {unit}", f"as many {unit}"
    if row.kind is Kind.TIMING and unit == "s":
        return "longer", "shorter", "as long"
    return "higher", "lower", "as high"


def _values(row: GateRow) -> str:
    """Write both values, with all digits if they would look equal otherwise."""
    if row.baseline is None or row.candidate is None:
        return NOTHING
    if row.baseline == row.candidate:
        return f"equal: {format_value(row.baseline, row.unit or '')}"
    old, new = (format_value(value, row.unit or "") for value in (row.baseline, row.candidate))
    if old == new:
        old, new = repr(row.baseline), f"{row.candidate!r} {row.unit or ''}".strip()
    return f"{old} → {new}"


def _signed(relative: float) -> str:
    """Write percent with one decimal and a typographic minus; a value that rounds to 0 has no sign."""
    percent = round(100 * relative, 1)
    return f"{'−' if percent < 0 else ''}{abs(percent):.1f}"


def worse_by(row: GateRow) -> float | None:
    """Return the relative change of the cost, or its size where no direction is better; None if unknown."""
    if row.change is not None:
        return row.change
    old, new = row.baseline, row.candidate
    if old is None or new is None or old <= 0 or new <= 0:
        return None
    if row.better is Better.NONE:
        return abs(new / old - 1)
    return (old / new if row.better is Better.HIGHER else new / old) - 1
