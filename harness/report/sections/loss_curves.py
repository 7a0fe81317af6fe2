"""What figures and their descriptions say of a training's series. Pure, of stored points alone."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from itertools import accumulate
from statistics import median

from harness.analysis.training.trends import best_point
from harness.results.records import Record, Series
from harness.units import format_number

NEAREST = 5  # training reports that a validation is compared with
SMOOTHED_FROM = 200  # points; fewer are looked at one by one
_WINDOW_SHARE = 50  # a window is a 50th of the points: wide enough for noise, narrow for a phase


def points(series: Series | None) -> tuple[tuple[float, float], ...]:
    """A series as points; () where there is none."""
    return () if series is None else tuple(zip(series.x, series.y, strict=True))


def apart(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The x and the y of points."""
    return tuple(x for x, _ in pairs), tuple(y for _, y in pairs)


def running_median(values: Sequence[float], window: int) -> list[float]:
    """The median of the *window* values around each, of fewer at the ends. An odd window lies even on both sides."""
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


def window_of(points: int) -> int:
    """How many reports the running median of so many takes in; 1 where they are few: it changes nothing."""
    return 1 if points <= SMOOTHED_FROM else points // _WINDOW_SHARE | 1


def level_near(series: Series, at: float) -> float:
    """The median of the five reports nearest to *at*; of reports at one distance, the earlier."""
    start = bisect_left(series.x, at)
    around = range(max(0, start - NEAREST), min(len(series.x), start + NEAREST))
    nearest = sorted(around, key=lambda i: (abs(series.x[i] - at), i))[:NEAREST]
    return median(series.y[i] for i in nearest)


def gap(train: Series, val: Series) -> list[float]:
    """Validation loss minus the training loss around it, at each validation, in nat/token."""
    return [loss - level_near(train, at) for at, loss in zip(val.x, val.y, strict=True)]


def best(series: Series) -> tuple[float, float]:
    """Where the lowest value is, and what it is; the first of equal ones."""
    lowest = best_point(series.x, series.y)
    assert lowest is not None, "a stored series has finite readings, and at least one"
    return lowest.x, lowest.y


def tokens_at(record: Record, iterations: Sequence[float]) -> list[float | None] | None:
    """Real tokens seen after each of these iterations; None where they were not counted, or not printed of one."""
    if steps := record.series.get("real_tokens"):
        x, total = steps.x, [0.0, *accumulate(steps.y)]
    elif seen := record.series.get("tokens_seen"):
        printed = dict(zip(seen.x, seen.y, strict=True))
        return [printed.get(at) for at in iterations]
    else:
        return None
    return [total[bisect_right(x, at)] for at in iterations]


def told(what: str, series: Series) -> str:
    """How a loss went, in words and numbers."""
    first, last = format_number(series.y[0]), format_number(series.y[-1])
    if len(series.y) == 1:
        return f"{what} is {first} at {iteration(series.x[0])}"
    if first == last:
        return f"{what} is {first} at first and at the end"
    verb = "falls" if series.y[-1] < series.y[0] else "rises"
    during = f"from {iteration(series.x[0])} to {format_number(series.x[-1], as_integer=True)}"
    return f"{what} {verb} from {first} to {last}, {during}"


def iteration(at: float) -> str:
    """An iteration by its number."""
    return f"iteration {format_number(at, as_integer=True)}"


def sentences(said: Iterable[str]) -> str:
    """Each as a sentence; names keep their letters, so nothing is made a capital."""
    return " ".join(f"{its}." for its in said if its)
