"""Numbers read from the stored series of a training: points, running medians, levels, gaps and tokens."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate
from statistics import median

from harness.analysis.training.trends import best_point
from harness.results.records import Record, Series

NEAREST = 5  # training losses that a validation loss is compared with
SMOOTHED_FROM = 200  # points; a curve with fewer is drawn without smoothing
_WINDOW_SHARE = 50  # a window is a 50th of the points: wide enough for noise, narrow enough for a phase


def points(series: Series | None) -> tuple[tuple[float, float], ...]:
    """Return a series as (x, y) points; () where there is no series."""
    return () if series is None else tuple(zip(series.x, series.y, strict=True))


def x_and_y(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Split (x, y) points into all x and all y."""
    return tuple(x for x, _ in pairs), tuple(y for _, y in pairs)


def running_median(values: Sequence[float], window: int) -> list[float]:
    """Median of the *window* values around each value, and of fewer at both ends. An odd window is symmetric."""
    reach = window // 2
    ordered = sorted(values[:reach])
    smooth = []
    for i in range(len(values)):
        if i + reach < len(values):
            insort(ordered, values[i + reach])
        if i > reach:
            ordered.pop(bisect_left(ordered, values[i - reach - 1]))
        smooth.append((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)
    return smooth


def window_of(count: int) -> int:
    """Return the window of the running median for a curve of *count* points; 1, no smoothing, for a short curve."""
    return 1 if count <= SMOOTHED_FROM else count // _WINDOW_SHARE | 1


def level_near(series: Series, x: float) -> float:
    """Median of the five values nearest to *x*; of two equally near values, the earlier one counts."""
    start = bisect_left(series.x, x)
    around = range(max(0, start - NEAREST), min(len(series.x), start + NEAREST))
    nearest = sorted(around, key=lambda i: (abs(series.x[i] - x), i))[:NEAREST]
    return median(series.y[i] for i in nearest)


def gap(train: Series, val: Series) -> list[float]:
    """Validation loss minus the training loss near it, at each validation, in nat/token."""
    return [loss - level_near(train, x) for x, loss in zip(val.x, val.y, strict=True)]


def best(series: Series) -> tuple[float, float]:
    """Return the point with the lowest value as (x, y); the first of equally low points."""
    lowest = best_point(series.x, series.y)
    assert lowest is not None, "a stored series has finite readings, and at least one"
    return lowest.x, lowest.y


def tokens_at(record: Record, iterations: Sequence[float]) -> list[float | None] | None:
    """Return the number of real tokens trained on by the end of each iteration.

    The result is None where no tokens were counted. An entry is None where a published report did not print the
    number for that iteration.
    """
    if steps := record.series.get("real_tokens"):
        x, total = steps.x, [0.0, *accumulate(steps.y)]
    elif printed := record.series.get("tokens_seen"):
        by_iteration = dict(zip(printed.x, printed.y, strict=True))
        return [by_iteration.get(number) for number in iterations]
    else:
        return None
    return [total[bisect_right(x, number)] for number in iterations]
