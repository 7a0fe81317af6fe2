"""Wording that the checks of claims share: rounded numbers, units, and names of metrics."""

from harness.units import format_number, scale_of

_SAME = 0.005  # relative: what rounding to three figures can do


def same(a: float, b: float) -> bool:
    """Return whether two numbers agree to within rounding."""
    return abs(a - b) <= _SAME * max(abs(a), abs(b))


def number(value: float) -> str:
    """Format a number with at most four significant figures, without trailing zeros."""
    text = format_number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def percent(share: float) -> str:
    """Format a share of 1 as a percentage, without trailing zeros."""
    return f"{number(100 * share)} %"


def quantity(value: float, unit: str) -> str:
    """Format a value in a unit that suits its size, without trailing zeros."""
    factor, symbol = scale_of(value, unit)
    return f"{number(value / factor)} {symbol}".strip()


def times(ratio: float) -> str:
    """Format a ratio: 2.5 times."""
    return f"{number(ratio)} times"


def count(value: float) -> str:
    """Format a count."""
    return format_number(value, as_integer=True)


def series_name(series: str) -> str:
    """Return the words for a series or metric; the identifier itself if there are none."""
    return {
        "train_loss": "training loss",
        "val_loss": "validation loss",
        "val_loss_best": "best validation loss",
        "test_loss": "test loss",
        "train_wall_s": "training time",
        "peak_active_bytes": "peak memory",
        "summary_decode_tokens_per_s": "speed of generating in tokens/s",
        "peak_bytes": "memory",
        "total_parameters": "parameters",
    }.get(series, series)
