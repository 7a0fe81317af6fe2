"""Estimates from plain floats, without records, input or output, or random numbers.

The unit of replication is a process: readings inside one are not independent, so they are first
reduced to their median.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import mean, median, stdev

CONFIDENCE = 0.95
_FEWEST_FOR_AN_INTERVAL = 5  # processes; of fewer the values themselves say more
_SLOPE_CONFIDENCE, _SLOPE_Z = 0.99, 2.5758  # chosen: a leak is seldom, and every case is asked for one
_LARGEST_LOG = 700.0  # a float ends at 709
_MOST_OF_A_SLOPE = 500  # values: the pairs are half of their square, and 500 take 0.1 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Center and spread of a metric. Invariant: low <= median <= high."""

    median: float  # of the processes' medians
    low: float  # the lowest process's median
    high: float  # the highest process's median
    processes: int
    readings: int  # of all processes together


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A point estimate between two bounds. Invariant: low <= point <= high."""

    low: float
    point: float
    high: float
    confidence: float
    method: str


def process_values(samples: Sequence[Sequence[float]]) -> list[float]:
    """Reduce each process to the median of its readings."""
    return [median(readings) for readings in samples]


def summarize(samples: Sequence[Sequence[float]]) -> Summary:
    """Summarise processes by the median of their medians, with the range.

    Raises:
        ValueError: if there is no process, or one without a reading.
    """
    if not samples or not all(samples):
        raise ValueError("a summary needs at least one process, each with at least one reading")
    values = process_values(samples)
    return Summary(
        median=median(values),
        low=min(values),
        high=max(values),
        processes=len(values),
        readings=sum(map(len, samples)),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Interpolate the quantile of *values* at *share*, from 0 for the lowest to 1 for the highest.

    Raises:
        ValueError: if there is no value.

    Source: Hyndman and Fan (1996), The American Statistician 50(4), definition 7.
    """
    if not values:
        raise ValueError("a quantile needs at least one value")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Return standard deviation (n - 1) / mean, dimensionless; None for fewer than two values or a mean of 0."""
    return stdev(values) / mean(values) if len(values) > 1 and mean(values) else None


def median_interval(values: Sequence[float]) -> Interval | None:
    """Estimate the median of what *values* were drawn from, with a 95 % interval; None of fewer than five.

    Between order statistics, exact whatever the distribution, two tails. Five values allow no more than their whole
    range, which holds the median with 93.75 %: that is what *confidence* says then.

    Source: Hollander, Wolfe and Chicken (2014), Nonparametric Statistical Methods, section 3.6.
    """
    n = len(values)
    if n < _FEWEST_FOR_AN_INTERVAL:
        return None
    ordered = sorted(values)
    skipped = max(1, _skipped([math.comb(n, k) for k in range(n + 1)]))
    tail = sum(math.comb(n, k) for k in range(skipped)) / 2**n
    return Interval(
        low=ordered[skipped - 1],
        point=median(ordered),
        high=ordered[n - skipped],
        confidence=CONFIDENCE if 2 * tail <= 1 - CONFIDENCE else 1 - 2 * tail,
        method="median between order statistics",
    )


def ratio_of_independent(candidate: Sequence[float], baseline: Sequence[float]) -> Interval | None:
    """Estimate candidate / baseline of two independent samples, with a 95 % interval.

    Dimensionless: 1.0 means no change. None if the samples are too small for such an interval: m and n
    readings need C(m + n, m) >= 40, so 4 by 4 or 3 by 5. Hodges-Lehmann estimate of the shift between the
    logarithms; exact interval from the Mann-Whitney distribution, two tails.

    Raises:
        ValueError: if a reading is not positive.

    Source: Hollander, Wolfe and Chicken (2014), Nonparametric Statistical Methods, sections 4.2 and 4.3.
    """
    check_positive(candidate, baseline)
    shifts = sorted(math.log(c) - math.log(b) for c in candidate for b in baseline)
    skipped = _skipped(mann_whitney_counts(len(candidate), len(baseline)))
    return _interval(shifts, skipped, "Hodges-Lehmann ratio of independent samples, exact Mann-Whitney interval")


def theil_sen(values: Sequence[float]) -> Interval:
    """Estimate the slope of evenly spaced *values* per step, with a 99 % interval.

    The median of the slopes of all pairs; up to 29 % of the values may be anything without moving it far.
    Interval from the normal approximation of Kendall's statistic, without ties; its ends are infinite for
    fewer than 7 values, which allow none. Of many values 500 are used, evenly spaced.

    Raises:
        ValueError: if there are fewer than two values.

    Source: Sen (1968), Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1379-1389.
    """
    if len(values) < 2:  # noqa: PLR2004 - a slope is between two points
        raise ValueError(f"a slope needs two values, got {list(values)}")
    stride = math.ceil(len(values) / _MOST_OF_A_SLOPE)
    pairs = combinations(enumerate(values[::stride]), 2)
    slopes = sorted((later - value) / (j - i) / stride for (i, value), (j, later) in pairs)
    n = len(values[::stride])
    spread = _SLOPE_Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    k = math.floor((len(slopes) - spread) / 2)  # the bounds are the k-th slopes from either end
    low, high = (slopes[k - 1], slopes[-k]) if k >= 1 else (-math.inf, math.inf)
    return Interval(low=low, point=median(slopes), high=high, confidence=_SLOPE_CONFIDENCE, method="Theil-Sen slope")


def check_positive(*samples: Sequence[float]) -> None:
    """Check that every sample has readings, all above 0.

    Raises:
        ValueError: if one has not.
    """
    for sample in samples:
        if not sample or min(sample) <= 0:
            raise ValueError(f"a ratio needs positive readings, got {list(sample)}")


def _interval(ordered: Sequence[float], skipped: int, method: str) -> Interval | None:
    """Leave out *skipped* values on either side; None if not even one may be left out."""
    if skipped < 1:
        return None
    low, high = ordered[skipped - 1], ordered[len(ordered) - skipped]
    return Interval(
        low=power_of_e(low),
        point=power_of_e(median(ordered)),
        high=power_of_e(high),
        confidence=CONFIDENCE,
        method=method,
    )


def power_of_e(logarithm: float) -> float:
    """Return e to the power of *logarithm*, limited to what a float can hold."""
    return math.exp(max(-_LARGEST_LOG, min(_LARGEST_LOG, logarithm)))


def _skipped(counts: Sequence[int]) -> int:
    """Return the largest k with P(statistic < k) <= 2.5 %: the bounds are the k-th values from either end."""
    total, below, k = sum(counts), 0, 0
    for count in counts:
        below += count
        if below / total > (1 - CONFIDENCE) / 2:
            break
        k += 1
    return k


@lru_cache(maxsize=64)
def mann_whitney_counts(m: int, n: int) -> tuple[int, ...]:
    """Count the orderings of m and n values for each Mann-Whitney U: the Gaussian binomial coefficients."""
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):  # multiply by (1 - q^(n+i)) / (1 - q^i)
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return tuple(counts)
