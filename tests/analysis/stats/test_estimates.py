import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.stats.estimates import (
    mann_whitney_counts,
    median_interval,
    process_values,
    ratio_of_independent,
    summarize,
    theil_sen,
)

reading = st.integers(1, 1000).map(float)
sample = st.lists(reading, min_size=5, max_size=9)
pairs = st.lists(st.tuples(reading, reading), min_size=6, max_size=9)
TAIL = Fraction(25, 1000)


def exp(values):
    return [math.exp(value) for value in values]


def logs(interval):
    return [round(math.log(value), 9) for value in (interval.low, interval.point, interval.high)]


def bounds(interval):
    return interval.low, interval.point, interval.high


# --- summaries ---


def test_a_process_counts_once_however_often_it_read():
    summary = summarize([[1.0, 2.0, 30.0], [5.0], [8.0, 4.0]])
    assert (summary.low, summary.median, summary.high) == (2.0, 5.0, 6.0)
    assert (summary.processes, summary.readings) == (3, 6)


def test_each_process_is_its_median_in_the_order_they_ran():
    assert process_values([[9.0, 1.0, 2.0], [1.0, 2.0], [7.0]]) == [2.0, 1.5, 7.0]


@pytest.mark.parametrize("samples", [[], [[]], [[1.0], []]])
def test_there_is_no_summary_of_nothing(samples):
    with pytest.raises(ValueError, match="at least one process, each with at least one reading"):
        summarize(samples)


@given(st.lists(st.lists(reading, min_size=1), min_size=1), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_summary_does_not_depend_on_the_order_of_processes_or_readings(samples, random):
    mixed = [random.sample(process, len(process)) for process in samples]
    random.shuffle(mixed)
    assert summarize(mixed) == summarize(samples)


# --- worked examples from the book that the estimators cite ---


def test_independent_samples_give_the_published_interval():
    """Hollander, Wolfe and Chicken, example 4.1 and 4.4: permeability of membranes, -0.305 [-0.76, 0.15]."""
    at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    earlier = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert logs(ratio_of_independent(exp(earlier), exp(at_term))) == [-0.76, -0.305, 0.15]


def test_an_interval_says_how_it_was_made():
    independent = ratio_of_independent([2.0] * 6, [1.0] * 6)
    assert independent.confidence == 0.95
    assert independent.method == "Hodges-Lehmann ratio of independent samples, exact Mann-Whitney interval"


def test_against_a_steady_baseline_five_processes_reach_from_their_lowest_to_their_highest():
    """Each candidate stands in five of the 25 ratios, and two are left out beyond either bound."""
    ratio = ratio_of_independent([1.25, 1.0, 1.125, 2.0, 1.5], [1.0] * 5)
    assert bounds(ratio) == pytest.approx((1.0, 1.25, 2.0))


# --- exact distributions, counted one by one ---


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 4), (2, 3), (3, 3), (3, 5), (5, 3), (4, 6), (5, 5), (6, 6)])
def test_the_mann_whitney_counts_are_those_of_all_orderings(m, n):
    ranks = range(m + n)
    wins = Counter(
        sum(a > b for a in chosen for b in ranks if b not in chosen) for chosen in itertools.combinations(ranks, m)
    )
    assert mann_whitney_counts(m, n) == tuple(wins[u] for u in range(m * n + 1))


@pytest.mark.parametrize(("m", "n"), [(4, 4), (3, 5), (5, 5), (4, 7), (6, 5)])
def test_if_nothing_changed_an_independent_interval_misses_one_as_often_as_it_may_and_no_oftener(m, n):
    """All orderings are equally likely then. U = how often a candidate lies above a baseline."""
    ranks = range(m + n)
    above, below, low_tail = 0, 0, Counter()
    for chosen in itertools.combinations(ranks, m):
        rest = [rank for rank in ranks if rank not in chosen]
        low_tail[sum(a > b for a in chosen for b in rest)] += 1
        ratio = ratio_of_independent([2.0**rank for rank in chosen], [2.0**rank for rank in rest])
        above += ratio.low > 1
        below += ratio.high < 1
    total = math.comb(m + n, m)
    reached = [sum(low_tail[u] for u in range(k)) for k in range(m * n + 1)]
    allowed = max(count for count in reached if Fraction(count, total) <= TAIL)
    assert (above, below) == (allowed, allowed)


@pytest.mark.parametrize(("m", "n", "enough"), [(4, 4, True), (3, 5, True), (3, 4, False), (2, 7, False), (2, 8, True)])
def test_there_is_an_interval_from_the_size_on_that_allows_one(m, n, enough):
    """The most extreme ordering has the probability 1 / C(m + n, m): it must be 2.5 % or less."""
    assert (Fraction(1, math.comb(m + n, m)) <= TAIL) == enough
    assert (ratio_of_independent([1.0] * m, [1.0] * n) is not None) == enough
    assert (ratio_of_independent([1.0] * n, [1.0] * m) is not None) == enough


# --- calibration ---


def misses(estimate, size, *, seed, truth=1.1, rounds=2000):
    """How often the interval around *truth* does not hold it, of seeded noisy readings."""
    random = np.random.default_rng(seed)
    missed = 0
    for _ in range(rounds):
        candidate = truth * random.lognormal(0, 0.1, size)
        baseline = random.lognormal(0, 0.1, size)
        ratio = estimate(candidate.tolist(), baseline.tolist())
        missed += not ratio.low <= truth <= ratio.high
    return missed / rounds


@pytest.mark.parametrize(
    ("estimate", "size", "exact"),
    [
        (ratio_of_independent, 5, 2 * 4 / 252),
        (ratio_of_independent, 8, 2 * 302 / 12870),
    ],
)
def test_intervals_miss_the_truth_as_often_as_they_say(estimate, size, exact):
    """*exact* is from the distribution; three standard deviations of 2000 rounds are 1.4 points at most."""
    missed = misses(estimate, size, seed=size)
    assert 0.02 <= missed <= 0.062
    assert missed == pytest.approx(exact, abs=0.015)


# --- properties ---


@given(sample, sample, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_independent_samples_does_not_matter(candidate, baseline, random):
    mixed = ratio_of_independent(
        random.sample(candidate, len(candidate)),
        random.sample(baseline, len(baseline)),
    )
    assert mixed == ratio_of_independent(candidate, baseline)


@given(pairs, st.sampled_from([ratio_of_independent]), st.sampled_from([1e-3, 1e9, 2.0**30]))
@settings(deadline=None)
def test_a_change_of_unit_changes_no_ratio(readings, estimate, factor):
    candidate, baseline = [c for c, _ in readings], [b for _, b in readings]
    other = estimate([factor * c for c in candidate], [factor * b for b in baseline])
    assert bounds(other) == pytest.approx(bounds(estimate(candidate, baseline)))


@given(pairs, st.sampled_from([ratio_of_independent]))
@settings(deadline=None)
def test_swapping_the_sides_turns_the_ratio_round(readings, estimate):
    candidate, baseline = [c for c, _ in readings], [b for _, b in readings]
    low, point, high = bounds(estimate(candidate, baseline))
    assert bounds(estimate(baseline, candidate)) == pytest.approx((1 / high, 1 / point, 1 / low))


@given(pairs, st.sampled_from([ratio_of_independent]))
@settings(deadline=None)
def test_the_estimate_lies_between_its_bounds(readings, estimate):
    low, point, high = bounds(estimate([c for c, _ in readings], [b for _, b in readings]))
    assert low <= point <= high


@pytest.mark.parametrize("estimate", [ratio_of_independent])
@pytest.mark.parametrize("bad", [[], [1.0] * 5 + [0.0], [1.0] * 5 + [-1.0]])
def test_a_reading_that_has_no_ratio_is_refused(estimate, bad):
    good = [1.0] * 6
    for sides in [(bad, good), (good, bad)]:
        with pytest.raises(ValueError, match="a ratio needs positive readings"):
            estimate(*sides)


# --- slopes ---


def test_a_slope_is_the_median_of_the_slopes_of_all_pairs():
    """Of 0, 1, 5 and 3: 1, 5/2, 1, 4, 1 and -2."""
    assert bounds(theil_sen([0, 1, 5, 3])) == (-math.inf, 1.0, math.inf)


def test_an_outlier_does_not_move_a_slope():
    assert theil_sen([10, 12, 14, 16, 1000, 20, 22, 24, 26]).point == 2.0


def test_a_straight_line_has_its_slope_and_no_doubt_about_it():
    assert bounds(theil_sen([7, 10, 13, 16, 19, 22, 25])) == (3.0, 3.0, 3.0)


def test_seven_values_are_the_fewest_that_bound_a_slope():
    assert bounds(theil_sen(range(6))) == (-math.inf, 1.0, math.inf)
    assert bounds(theil_sen(range(7))) == (1.0, 1.0, 1.0)


def test_the_bounds_of_a_slope_are_the_fifth_slopes_from_either_end_of_nine_values():
    """36 pairs, and a spread of 2.5758 sqrt(9 * 8 * 23 / 18) = 24.7: (36 - 24.7) / 2 = 5.6."""
    values = [3, 1, 4, 1, 5, 9, 2, 6, 5]
    slopes = sorted((values[j] - values[i]) / (j - i) for i, j in itertools.combinations(range(9), 2))
    assert bounds(theil_sen(values)) == (slopes[4], pytest.approx((slopes[17] + slopes[18]) / 2), slopes[-5])


def test_what_does_not_grow_is_said_to_grow_as_seldom_as_promised():
    """99 % of the intervals hold the truth, so one in 200 lies above it."""
    generator = np.random.default_rng(5)
    rounds = 3000
    above = sum(theil_sen(generator.standard_normal(9).tolist()).low > 0 for _ in range(rounds))
    assert 0 < above / rounds < 0.01


def test_a_long_series_is_thinned_and_keeps_its_slope_by_step():
    """1100 values become 367, three steps apart."""
    values = [5.0 * step for step in range(1100)]
    values[1] = values[2] = 1e9  # left out
    assert bounds(theil_sen(values)) == (5.0, 5.0, 5.0)


def test_one_value_has_no_slope():
    with pytest.raises(ValueError, match="a slope needs two values"):
        theil_sen([1.0])


# --- the interval of a median ---


@pytest.mark.parametrize(
    ("n", "lowest", "highest"),
    [
        (5, 1, 5),
        (6, 1, 6),  # 1 - 2 / 2**6 = 96.9 %
        (9, 2, 8),  # 1 - 2 * 10 / 2**9 = 96.1 %
        (10, 2, 9),  # 97.9 %; from 3 to 8 only 89.1 %
        (20, 6, 15),  # 95.9 %
    ],
)
def test_the_interval_of_a_median_lies_between_the_order_statistics_of_the_tables(n, lowest, highest):
    interval = median_interval([float(value) for value in range(n, 0, -1)])
    assert (interval.low, interval.point, interval.high) == (lowest, (n + 1) / 2, highest)


def test_five_values_hold_their_median_with_what_they_allow_and_six_with_95_percent():
    assert [median_interval([1.0] * n).confidence for n in (5, 6)] == [1 - 2 / 2**5, 0.95]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_fewer_than_five_values_allow_no_interval(n):
    assert median_interval([1.0] * n) is None


def test_the_interval_of_a_median_misses_as_seldom_as_it_says():
    draw = random.Random(7)  # noqa: S311 - a simulation
    interval = [median_interval([draw.expovariate(1) for _ in range(10)]) for _ in range(2000)]
    missed = sum(not one.low <= math.log(2) <= one.high for one in interval)
    assert 0.01 < missed / 2000 < 0.035  # 2.15 % by the binomial
