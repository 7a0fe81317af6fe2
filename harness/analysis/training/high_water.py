"""When a mark that only rises last rose: peak memory as it is reported."""

from collections.abc import Sequence

RISE = 0.001  # relative: less is rounding, or a buffer of a few pages


def last_rise(x: Sequence[float], y: Sequence[float | None]) -> float | None:
    """The last of *x* at which the highest of *y* so far rose by more than 0.1 %; None if there is no reading.

    The first reading is a rise. Each is compared with the mark as it last rose, so that many small steps count once
    together they are more than 0.1 %. A reading of None was not taken.
    """
    last, mark = None, 0.0
    for at, value in zip(x, y, strict=True):
        if value is not None and (last is None or value > mark * (1 + RISE)):
            last, mark = at, value
    return last
