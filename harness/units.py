"""Format numbers with their units for people.

Inside the harness every number is in its base unit (seconds, bytes, tokens). Only this module scales to milliseconds,
GiB and the like, when a number is printed.
"""

import math

NOT_MEASURED = "not measured"

# Unit -> (factor, symbol), largest first. A unit that is not listed is not scaled.
_SCALES: dict[str, list[tuple[float, str]]] = {
    "s": [(3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "byte": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    "byte/step": [(2.0**20, "MiB/step"), (2.0**10, "KiB/step"), (1.0, "B/step")],
    "byte/s": [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")],
    "FLOP/s": [(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1.0, "FLOP/s")],
}
# Counts are written as integers, with a comma between thousands.
COUNTED_UNITS = {"parameter", "token", "row", "iteration", "update"}
# Below these, seconds are easier to read than minutes, and minutes than hours.
_MINUTES_FROM_S = 180.0
_HOURS_FROM_S = 3 * 3600.0


def format_value(value: float | None, unit: str) -> str:
    """Format *value*, given in the base *unit*, with four significant figures and a suitable scale."""
    if value is None:
        return NOT_MEASURED
    if unit == "share":
        return format_percent(value)
    factor, symbol = scale_of(value, unit)
    as_integer = unit in COUNTED_UNITS or (symbol == "B" and float(value).is_integer())
    return f"{format_number(value / factor, as_integer=as_integer)} {symbol}".strip()


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Return the factor and the symbol of the scale that suits *value*, given in the base *unit*."""
    scales = _SCALES.get(unit, [(1.0, _symbol(unit))])
    size = abs(_rounded(value))
    if unit == "s" and size < _HOURS_FROM_S:
        scales = scales[1:] if size >= _MINUTES_FROM_S else scales[2:]
    if size == 0:
        return next(scale for scale in scales if scale[0] == 1.0)
    return next((scale for scale in scales if size >= scale[0]), scales[-1])


def format_number(value: float, *, as_integer: bool = False) -> str:
    """Format *value* with four significant figures, or as an integer; powers of ten only for very small numbers."""
    if as_integer:
        return f"{value:,.0f}"
    rounded = _rounded(value)
    if rounded == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(rounded))))
    if digits > 8:  # noqa: PLR2004 - smaller than anything a reader can use as decimals
        return f"{rounded:.3e}"
    return f"{rounded:,.{digits}f}" if digits else f"{value:,.0f}"


def _rounded(value: float) -> float:
    """Round to four significant figures, so that scale and decimals are chosen for the number as it is printed."""
    return float(f"{value:.3e}")


def format_percent(share: float) -> str:
    """Format a share between 0 and 1 as a percentage."""
    return f"{format_number(100 * share)} %"


def _symbol(unit: str) -> str:
    bare = dict.fromkeys(("1", "share", "parameter", "iteration", "update"), "")
    return {**bare, "bit/byte": "bit/B", "word": "words", "point": "points", "percent": "%"}.get(unit, unit)


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: "1 row", "2 rows". Give *plural* where it is not the noun and an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
