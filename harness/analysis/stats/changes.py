"""Change between two samples of processes: its ratio, interval, p-values and standard error.

Estimates are made on logarithms: a change of +5 % and its reversal are equally large, and a rate changes as much as its
time. docs/decisions/0019-the-gates-rule.md has the simulations that led to these estimators.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from harness.analysis.stats.estimates import (
    CONFIDENCE,
    Interval,
    check_positive,
    mann_whitney_counts,
    power_of_e,
    ratio_of_independent,
)

FEWEST_PAIRS = 6  # of fewer the spread cannot be told
_TAIL = (1 - CONFIDENCE) / 2
_NORMAL = 1.959964  # quantile of the normal distribution at 1 - _TAIL
_REACH = 8.0  # median deviations from the center, beyond which a value has no weight; source: see `change_of_pairs`
# Of a normal distribution 70 % lie within 1.54 median deviations. Where they do not, the deviation is that of the
# 70 %: else two tight clusters, as a process makes that lands in one of two layouts, would make an outlier of either.
_HELD, _HELD_WITHIN = 0.7, 1.5366
_ONE_SIDED = 0.05  # chance, two tails, below which what lies far off lies there for a reason
_OF_FREEDOM = 0.7  # of the n - 1 degrees of freedom, for the weights are estimated too; same source
_ROUNDS, _SETTLED = 50, 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Candidate / baseline with its one-tailed p-values in both directions.

    *rise* is the p-value of an increase beyond the margin, *fall* that of a decrease beyond it.
    *error* is the standard error of the logarithm of the ratio, *freedom* the degrees of freedom it is known with.
    """

    ratio: Interval
    rise: float
    fall: float
    error: float
    freedom: float


def change_of_pairs(candidate: Sequence[float], baseline: Sequence[float], *, looks: int = 1) -> Change | None:
    """Estimate candidate / baseline where process i of one belongs to process i of the other; None of fewer than 6.

    Tukey's biweight of the log-ratios: what lies far from most of them, as a pair does of which one member met a burst
    of other work, has little weight or none, whichever way it lies; no more than three tenths of the pairs, and not
    where they lie on one side beyond chance. Interval and chances by Student's t with 0.7 (n - 1) degrees of freedom;
    no chance is below 2^-n, which is what n equal signs prove. Where growing samples are judged several times, each of
    the *looks* has its share of the 5 % by which an interval may miss.

    Raises:
        ValueError: if the lengths differ or a reading is not positive.

    Source: Mosteller and Tukey (1977), Data Analysis and Regression, sections 10C and 10D; the spread: Lax (1985),
    Robust estimators of scale, JASA 80, 736-741, estimator A.
    """
    check_positive(candidate, baseline)
    logs = [math.log(c) - math.log(b) for c, b in zip(candidate, baseline, strict=True)]
    n = len(logs)
    if n < FEWEST_PAIRS:
        return None
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - takes half a second, and a session judges nothing

    center, error = _biweight(logs)
    freedom = _OF_FREEDOM * (n - 1)
    reach = error * float(stdtrit(freedom, 1 - _TAIL / looks))
    smallest = 2.0**-n
    if error:
        rise, fall = (max(smallest, float(stdtr(freedom, side * center / error))) for side in (-1, 1))
    else:  # all equal
        rise, fall = (smallest if side * center > 0 else 1.0 for side in (1, -1))
    return Change(
        ratio=Interval(
            low=power_of_e(center - reach),
            point=power_of_e(center),
            high=power_of_e(center + reach),
            confidence=1 - (1 - CONFIDENCE) / looks,
            method="biweight mean ratio of pairs, t interval",
        ),
        rise=rise,
        fall=fall,
        error=error,
        freedom=freedom,
    )


def change_of_independent(
    candidate: Sequence[float], baseline: Sequence[float], *, margin: float = 0.0
) -> Change | None:
    """Estimate candidate / baseline of two independent samples; None if they are too small for an interval.

    Hodges-Lehmann with the exact interval and chances of Mann and Whitney. *margin*, relative, is what the machine
    alone may have changed: the chances are those of a change beyond it. Ties count against a change.

    Raises:
        ValueError: if a reading is not positive.

    Source: Hollander, Wolfe and Chicken (2014), Nonparametric Statistical Methods, sections 4.1 to 4.3.
    """
    ratio = ratio_of_independent(candidate, baseline)
    if ratio is None:
        return None
    shifts = sorted(math.log(c) - math.log(b) for c in candidate for b in baseline)
    counts = mann_whitney_counts(len(candidate), len(baseline))
    orders = sum(counts)

    def chance(exceeding: int) -> float:
        return sum(counts[exceeding:]) / orders

    edge = math.log1p(margin)
    above = len(shifts) - bisect_right(shifts, edge)
    below = sum(1 for shift in shifts if shift < -edge)
    return Change(
        ratio=ratio,
        rise=chance(above),
        fall=chance(below),
        error=(math.log(ratio.high) - math.log(ratio.low)) / (2 * _NORMAL),
        freedom=len(candidate) + len(baseline) - 2,
    )


def _biweight(values: Sequence[float]) -> tuple[float, float]:
    """Return Tukey's biweight of *values* and its standard error."""
    center = median(values)
    distances = sorted(abs(value - center) for value in values)
    scale = max(median(distances), distances[math.ceil(_HELD * len(values)) - 1] / _HELD_WITHIN)
    if not scale:  # most are the same: the others still count
        scale = fmean(distances)
    if not scale:
        return center, 0.0
    reach = _REACH * scale
    if _lopsided(values, center, reach):
        return fmean(values), stdev(values) / math.sqrt(len(values))
    for _ in range(_ROUNDS):
        previous = center
        weights = [max(0.0, 1 - ((value - center) / reach) ** 2) ** 2 for value in values]
        center = math.fsum(map(math.prod, zip(weights, values, strict=True))) / math.fsum(weights)
        if abs(center - previous) <= _SETTLED * scale:
            break
    offs = [off for value in values if abs(off := (value - center) / reach) < 1]
    above = math.fsum(off**2 * (1 - off**2) ** 4 for off in offs) * reach**2
    below = math.fsum((1 - off**2) * (1 - 5 * off**2) for off in offs)
    return center, math.sqrt(above / max(1.0, below * max(1.0, below - 1)))


def _lopsided(values: Sequence[float], center: float, reach: float) -> bool:
    """Tell whether the values out of *reach* lie on one side more often than chance explains."""
    above = sum(value - center >= reach for value in values)
    below = sum(center - value >= reach for value in values)
    tail = sum(math.comb(above + below, k) for k in range(min(above, below) + 1)) / (1 << (above + below))
    return 2 * tail <= _ONE_SIDED
