"""How a number in a base unit is written for a person.

Inside the harness every number is in its base unit (seconds, bytes, tokens). Scaling to
milliseconds or GiB happens here, on the way out, and nowhere else.
"""

import math

NOT_MEASURED = "not measured"

# Unit -> (factor, symbol), largest first. A unit that is not listed is written as it is.
_SCALES: dict[str, list[tuple[float, str]]] = {
    "s": [(3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "byte": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    "byte/step": [(2.0**20, "MiB/step"), (2.0**10, "KiB/step"), (1.0, "B/step")],
    "byte/s": [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")],
    "FLOP/s": [(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1.0, "FLOP/s")],
}
# Counts: written whole, with thousands apart.
WHOLE = {"parameter", "token", "row", "iteration", "update"}
# Below these, minutes read worse than seconds, and hours than minutes.
_MINUTES_FROM_S = 180.0
_HOURS_FROM_S = 3 * 3600.0


def format_value(value: float | None, unit: str) -> str:
    """Write *value* (in the base *unit*) with four figures and a fitting scale."""
    if value is None:
        return NOT_MEASURED
    if unit == "share":
        return format_percent(value)
    factor, symbol = scale_of(value, unit)
    whole = unit in WHOLE or (symbol == "B" and float(value).is_integer())
    return f"{format_number(value / factor, whole=whole)} {symbol}".strip()


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Give the factor and the symbol that suit a number of this size."""
    scales = _SCALES.get(unit, [(1.0, _symbol(unit))])
    size = abs(_rounded(value))
    if unit == "s" and size < _HOURS_FROM_S:
        scales = scales[1:] if size >= _MINUTES_FROM_S else scales[2:]
    if size == 0:
        return next(scale for scale in scales if scale[0] == 1.0)
    return next((scale for scale in scales if size >= scale[0]), scales[-1])


def format_number(value: float, *, whole: bool = False) -> str:
    """Write *value* with four figures, never in powers of ten where it can be read plainly."""
    if whole:
        return f"{value:,.0f}"
    rounded = _rounded(value)
    if rounded == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(rounded))))
    if digits > 8:  # noqa: PLR2004 - smaller than anything a reader can use as decimals
        return f"{rounded:.3e}"
    return f"{rounded:,.{digits}f}" if digits else f"{value:,.0f}"


def _rounded(value: float) -> float:
    """Round to the four figures that are written, before scale and decimals are chosen by size."""
    return float(f"{value:.3e}")


def format_percent(share: float) -> str:
    """Write a share of one as a percentage."""
    return f"{format_number(100 * share)} %"


def _symbol(unit: str) -> str:
    bare = dict.fromkeys(("1", "share", "parameter", "iteration", "update"), "")
    return {**bare, "bit/byte": "bit/B", "word": "words", "point": "points", "percent": "%"}.get(unit, unit)


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: "1 row", "2 rows". Give *plural* where it is not the noun and an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
