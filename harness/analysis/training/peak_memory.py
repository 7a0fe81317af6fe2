"""Peak memory as a training reports it: a running maximum, and the last time it rose."""

from collections.abc import Sequence

RISE = 0.001  # relative: less is rounding, or a buffer of a few pages


def last_rise(x: Sequence[float], y: Sequence[float | None]) -> float | None:
    """Return the last *x* at which the running maximum of *y* rose by more than 0.1 %; None if there are no readings.

    The first reading counts as a rise. Each reading is compared with the maximum at the last rise, so that many small
    steps count once they add up to more than 0.1 %. A reading of None was not taken.
    """
    last, highest = None, 0.0
    for at, value in zip(x, y, strict=True):
        if value is not None and (last is None or value > highest * (1 + RISE)):
            last, highest = at, value
    return last
