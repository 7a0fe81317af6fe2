"""Yes or no, twice of the same prompts: exact test and bounds for the difference of two paired shares. Pure."""

import math

_STEPS = 50  # halvings: as many digits as a float has, and none of them ends at 1


def sign_test(worse: int, better: int) -> float:
    """The chance of so uneven a split or a more uneven one, two tails, if every change is as likely as its opposite.

    Prompts that did not change say nothing here. 1.0 without any change.

    Source: McNemar (1947), Psychometrika 12, 153-157; exact as in Hollander, Wolfe and Chicken (2014), section 3.4.
    """
    changed, fewer = worse + better, min(worse, better)
    tail = sum(math.comb(changed, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << changed))


def upper_bound(count: int, total: int, miss: float) -> float:
    """The largest share under which *count* of *total* or fewer still come up with a chance of *miss*, one tail.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413.
    """
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        share = (low + high) / 2
        low, high = (share, high) if _at_most(count, total, share) > miss else (low, share)
    return high


def difference_bound(worse: int, better: int, total: int, miss: float) -> float:
    """The most by which the share of *worse* may exceed that of *better*, but for a chance of *miss*, one tail.

    Each share has half of the chance, so it holds however the two hang together, and errs on the wide side.
    """
    return upper_bound(worse, total, miss / 2) - (1 - upper_bound(total - better, total, miss / 2))


def _at_most(count: int, total: int, share: float) -> float:
    """P(X <= count) of a binomial X; on logarithms, since its terms outgrow a float."""
    yes, no = math.log(share), math.log1p(-share)
    whole = math.lgamma(total + 1)
    return sum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(total - k + 1) + k * yes + (total - k) * no)
        for k in range(count + 1)
    )
