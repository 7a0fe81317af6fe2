import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.stats.changes import change_of_independent, change_of_pairs

# Nine pairs around +4.4 %, and one of which a member met a burst.
PAIRS = [1.05, 1.03, 1.06, 1.04, 1.02, 1.07, 1.045, 0.80, 1.055, 1.035]
reading = st.floats(min_value=1e-3, max_value=1e6)
pairs = st.lists(st.tuples(reading, reading), min_size=6, max_size=12)


def of(ratios, **changed):
    return change_of_pairs(ratios, [1.0] * len(ratios), **changed)


def test_the_estimate_of_pairs_is_the_biweight_of_another_program():
    """astropy 7.2 gives 0.0439334 of the logarithms for c = 8, iterated from the median."""
    assert math.log(of(PAIRS).ratio.point) == pytest.approx(0.0439334, abs=1e-6)


def test_the_error_of_pairs_is_that_of_lax():
    """From its definition with astropy's location; scipy has the quantile of Student's t."""
    change = of(PAIRS)
    assert change.error == pytest.approx(0.0052307289, rel=1e-5)
    reach = stats.t.ppf(0.975, 0.7 * 9) * change.error
    center = math.log(change.ratio.point)
    assert (math.log(change.ratio.low), math.log(change.ratio.high)) == pytest.approx((center - reach, center + reach))
    assert change.rise == pytest.approx(max(2**-10, stats.t.sf(center / change.error, 6.3)))
    assert change.fall == pytest.approx(stats.t.cdf(center / change.error, 6.3))


def test_a_pair_that_met_a_burst_hides_no_change():
    """The mean of these logarithms is below 2 %, with an interval from -4 to +8 %."""
    assert of(PAIRS).ratio.low > 1.03


def test_pairs_are_compared_with_their_own_partners():
    candidate, baseline = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    change = change_of_pairs(candidate, baseline).ratio
    assert (change.low, change.point, change.high) == pytest.approx((2.0, 2.0, 2.0))


def test_six_pairs_are_the_fewest():
    assert of([1.1] * 5) is None
    assert of([1.1] * 6).ratio.point == pytest.approx(1.1)


def test_equal_signs_prove_no_more_than_there_are_of_them():
    assert of([1.5] * 7).rise == 2**-7
    assert of([1.5] * 7).fall == 1
    assert of([1.5, 1.51, 1.49, 1.5, 1.52, 1.48, 1.5]).rise == 2**-7


def test_pairs_without_any_change_are_none_either_way():
    change = of([1.0] * 20)
    assert (change.rise, change.fall, change.ratio.low, change.ratio.high) == (1, 1, 1, 1)


def test_where_most_pairs_are_equal_the_others_still_count():
    """Eleven of twenty did not change, nine lost a tenth: nothing is excluded but a gain."""
    change = of([1.0] * 11 + [1.1] * 9).ratio
    assert change.low < 1.03 < change.high


def test_each_look_has_its_share_of_the_chance_to_miss():
    change = of(PAIRS, looks=4)
    assert change.ratio.confidence == pytest.approx(0.9875)
    reach = stats.t.ppf(1 - 0.025 / 4, 6.3) * change.error
    assert math.log(change.ratio.high / change.ratio.point) == pytest.approx(reach)


@pytest.mark.parametrize(("size", "seed"), [(6, 1), (10, 2), (20, 3)])
def test_intervals_of_pairs_miss_the_truth_as_often_as_they_say(size, seed):
    """Of normal noise; three standard deviations of 2000 rounds are 1.5 points."""
    random = np.random.default_rng(seed)
    ratios = 1.1 * random.lognormal(0, 0.1, (2000, size))
    missed = sum(not value.ratio.low <= 1.1 <= value.ratio.high for value in map(of, ratios.tolist()))
    assert 0.03 <= missed / 2000 <= 0.065


def test_of_independent_samples_the_chances_are_scipys():
    random = np.random.default_rng(4)
    candidate, baseline = random.lognormal(0.05, 0.05, 8).tolist(), random.lognormal(0, 0.05, 7).tolist()
    change = change_of_independent(candidate, baseline)
    for chance, direction in ((change.rise, "greater"), (change.fall, "less")):
        assert chance == pytest.approx(
            stats.mannwhitneyu(candidate, baseline, alternative=direction, method="exact").pvalue
        )


def test_what_the_machine_may_have_changed_is_no_change():
    """Each candidate is 4 % above each baseline: certain of a steady machine, nothing of one that may be 5 % off."""
    candidate, baseline = [1.041, 1.042, 1.043, 1.044, 1.045], [1.0, 1.0001, 1.0002, 1.0003, 1.0004]
    assert change_of_independent(candidate, baseline).rise == pytest.approx(1 / 252)
    assert change_of_independent(candidate, baseline, margin=0.05).rise == 1
    assert change_of_independent(baseline, candidate, margin=0.03).fall == pytest.approx(1 / 252)


def test_equal_readings_count_against_a_change():
    change = change_of_independent([1.0] * 5, [1.0] * 5)
    assert (change.rise, change.fall) == (1, 1)


@given(pairs)
@settings(deadline=None)
def test_swapping_the_sides_turns_a_change_round(readings):
    candidate, baseline = [c for c, _ in readings], [b for _, b in readings]
    for estimate in (change_of_pairs, change_of_independent):
        one, other = estimate(candidate, baseline), estimate(baseline, candidate)
        assert other.ratio.point == pytest.approx(1 / one.ratio.point)
        assert (other.ratio.low, other.ratio.high) == pytest.approx((1 / one.ratio.high, 1 / one.ratio.low))
        assert (other.rise, other.fall) == pytest.approx((one.fall, one.rise), rel=1e-6)


@given(pairs, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_pairs_does_not_matter(readings, random):
    mixed = random.sample(readings, len(readings))
    one, other = (change_of_pairs([c for c, _ in value], [b for _, b in value]) for value in (readings, mixed))
    assert other.ratio.point == pytest.approx(one.ratio.point)
    assert other.error == pytest.approx(one.error, rel=1e-6, abs=1e-12)


@given(pairs)
@settings(deadline=None)
def test_an_estimate_lies_between_its_bounds_and_chances_are_chances(readings):
    change = change_of_pairs([c for c, _ in readings], [b for _, b in readings])
    assert change.ratio.low <= change.ratio.point <= change.ratio.high
    assert 0 < change.rise <= 1
    assert 0 < change.fall <= 1


@pytest.mark.parametrize("bad", [[], [1.0] * 5 + [0.0], [1.0] * 5 + [-1.0]])
@pytest.mark.parametrize("estimate", [change_of_pairs, change_of_independent])
def test_a_reading_that_has_no_ratio_is_refused(estimate, bad):
    for sides in [(bad, [1.0] * 6), ([1.0] * 6, bad)]:
        with pytest.raises(ValueError, match="a ratio needs positive readings"):
            estimate(*sides)


def test_a_process_without_a_partner_is_refused():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        change_of_pairs([1.0] * 7, [1.0] * 6)


# --- clusters, and what lies on one side ---


def test_two_tight_clusters_are_no_change_of_the_larger():
    """Eleven pairs at +5 %, five at 0, four at -5 %: a sign test finds 6 % of chance in it, Wilcoxon's 4 %."""
    change = of([1.05] * 11 + [1.0] * 5 + [0.95] * 4)
    assert change.rise > 0.01


@pytest.mark.parametrize("slow", [9, 6, 5])
def test_what_is_slower_in_many_pairs_is_not_disregarded(slow):
    """The others are equal; ten times slower, on one side alone."""
    change = of([1.0] * (20 - slow) + [10.0] * slow)
    assert change.ratio.high > 1.5


def test_of_ten_pairs_three_may_meet_a_burst_if_not_all_one_way():
    change = of([1.05, 1.051, 1.049, 1.052, 1.048, 1.05, 1.047, 0.8, 0.85, 1.3])
    assert 1.04 < change.ratio.low < change.ratio.high < 1.06


@pytest.mark.parametrize("modes", [0.03, 0.05, 0.2])
def test_processes_that_land_in_one_of_two_layouts_are_no_change(modes):
    """Tight layouts, half of the processes in each: of 1,000 sets of twenty pairs fewer than 1 % are called one."""
    random = np.random.default_rng(6)
    logs = modes * (random.random((1000, 20, 2)) < 0.5) + random.normal(0, 0.002, (1000, 20, 2))
    found = [of(np.exp(value[:, 0] - value[:, 1]).tolist()).rise <= 0.005 for value in logs]
    assert sum(found) < 10


@given(pairs=st.lists(st.sampled_from([1e-308, 1e-200, 1.0, 1e200, 1e308]), min_size=12, max_size=12))
def test_numbers_at_the_ends_of_what_can_be_written_make_no_error(pairs):
    for estimate in (change_of_pairs, change_of_independent):
        change = estimate(pairs[:6], pairs[6:])
        assert math.isfinite(change.ratio.low)
        assert math.isfinite(change.ratio.high)
