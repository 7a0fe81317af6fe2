"""Exact test and bounds for the difference of two paired shares, such as yes-or-no answers to the same prompts."""

import math

_STEPS = 50  # halvings: as many digits as a float has, and none of them ends at 1


def sign_test(worse: int, better: int) -> float:
    """Return the two-tailed p-value of a split as uneven as this, if both directions are equally likely.

    Unchanged prompts are left out. The p-value is 1.0 without any change.

    Source: McNemar (1947), Psychometrika 12, 153-157; exact as in Hollander, Wolfe and Chicken (2014), section 3.4.
    """
    changed, fewer = worse + better, min(worse, better)
    tail = sum(math.comb(changed, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << changed))


def upper_bound(count: int, total: int, miss: float) -> float:
    """Return the one-tailed upper bound of a share, which it exceeds with a chance of *miss*.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413.
    """
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        share = (low + high) / 2
        low, high = (share, high) if _at_most(count, total, share) > miss else (low, share)
    return high


def difference_bound(worse: int, better: int, total: int, miss: float) -> float:
    """Return the one-tailed upper bound of the share of *worse* minus that of *better*, with a chance of *miss*.

    Each share has half of the chance: the bound holds whatever their correlation, and is conservative.
    """
    return upper_bound(worse, total, miss / 2) - (1 - upper_bound(total - better, total, miss / 2))


def _at_most(count: int, total: int, share: float) -> float:
    """P(X <= count) of a binomial X; on logarithms, since its terms outgrow a float."""
    yes, no = math.log(share), math.log1p(-share)
    coefficient = math.lgamma(total + 1)
    return sum(
        math.exp(coefficient - math.lgamma(k + 1) - math.lgamma(total - k + 1) + k * yes + (total - k) * no)
        for k in range(count + 1)
    )
