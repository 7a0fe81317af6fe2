import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.training.spikes import find_spikes

EVERY = 10  # iterations a report
LEVEL, PEAK_AT, PEAK = 0.15, 1000, 6.0  # forty times the level
POSITIONS = [EVERY * (i + 1) for i in range(1500)]
loss = st.none() | st.floats(1e-9, 100) | st.sampled_from([0.0, 1.0, 40.0])


def noisy(truth, seed, noise=0.08):
    return (np.array(truth) * (1 + noise * np.random.default_rng(seed).standard_normal(len(truth)))).tolist()


def descent(x, length=80):
    return LEVEL + 2.85 * math.exp(-x / length)


def slow_return(length, rise=0):
    """From 3 to 0.15 by 500, up within *rise* reports to 6 at 1000, then down by a factor e per *length*, to 0.09."""

    def truth(x):
        if x <= PEAK_AT - EVERY * rise:
            return descent(x) if x < PEAK_AT else PEAK
        if x < PEAK_AT:
            return LEVEL * (PEAK / LEVEL) ** (1 - (PEAK_AT - x) / (EVERY * rise))
        return max(0.09, PEAK * math.exp((PEAK_AT - x) / length))

    return [truth(x) for x in POSITIONS]


def reports_off(found, true):
    return abs(found - true) / EVERY


# --- a long run with one spike of 40 times the level; noise of 8 % ---


@pytest.mark.parametrize("length", [300, 400, 600])
@pytest.mark.parametrize("seed", range(8))
def test_a_spike_in_noise_is_found_within_two_reports_of_where_it_is(length, seed):
    (spike,) = find_spikes(POSITIONS, noisy(slow_return(length), seed))
    recovered = PEAK_AT + length * math.log(PEAK / (1.10 * LEVEL))  # where the noise-free loss is 10 % above before
    assert reports_off(spike.onset, PEAK_AT) <= 2
    assert reports_off(spike.peak, PEAK_AT) <= 2
    assert reports_off(spike.recovered, EVERY * math.ceil(recovered / EVERY)) <= 2
    assert spike.baseline == pytest.approx(LEVEL, rel=0.05)
    assert spike.ratio == pytest.approx(40, rel=0.3)
    assert spike.end == spike.recovered


@pytest.mark.parametrize("seed", range(8))
def test_a_spike_that_takes_five_reports_to_rise_begins_with_the_first_of_them(seed):
    (spike,) = find_spikes(POSITIONS, noisy(slow_return(400, rise=5), seed))
    assert reports_off(spike.onset, PEAK_AT - 4 * EVERY) <= 2  # each of the five is 2.1 times the one before
    assert reports_off(spike.peak, PEAK_AT) <= 2


@pytest.mark.parametrize("seed", range(8))
def test_where_the_loss_creeps_back_to_its_old_level_recovery_is_placed_by_level(seed):
    """Two reports are 0.3 % of the loss here, and 8 % of noise leave the old level open by 1.5 %."""
    truth = [descent(x) if x < PEAK_AT else LEVEL + (PEAK - LEVEL) * math.exp((PEAK_AT - x) / 600) for x in POSITIONS]
    (spike,) = find_spikes(POSITIONS, noisy(truth, seed))
    assert truth[POSITIONS.index(spike.recovered)] == pytest.approx(1.10 * LEVEL, rel=0.06)
    assert spike.onset == PEAK_AT
    assert reports_off(spike.peak, PEAK_AT) <= 2


def test_clean_noisy_descents_have_no_spike():
    lengths = (80, 600, 5000)
    alarms = [
        seed
        for seed in range(200)
        if find_spikes(POSITIONS, noisy([descent(x, lengths[seed % 3]) for x in POSITIONS], seed))
    ]
    assert not alarms


# --- worked by hand ---


def test_one_high_report_is_a_spike_over_at_the_next():
    (spike,) = find_spikes(range(20), [1.0] * 10 + [3.0] + [1.0] * 9)
    assert (spike.onset, spike.peak, spike.end) == (10, 10, 11)
    assert (spike.half_recovered, spike.recovered) == (11, 11)
    assert (spike.peak_value, spike.baseline, spike.ratio) == (3.0, 1.0, 3.0)
    assert spike.area == 1.0  # the half of 2 times 1: from the onset on


def test_onset_half_way_recovery_and_area_of_a_steep_return():
    y = [2.0] * 10 + [6.0, 10.0, 8.0, 5.5, 2.5, 2.2, 2.1] + [2.0] * 8
    (spike,) = find_spikes([10 * i for i in range(len(y))], y)
    assert (spike.onset, spike.peak, spike.half_recovered, spike.recovered) == (100, 110, 130, 150)
    assert (spike.peak_value, spike.ratio) == (10.0, 5.0)
    assert spike.area == pytest.approx(10 * ((4 + 8) + (8 + 6) + (6 + 3.5) + (3.5 + 0.5) + (0.5 + 0.2)) / 2)


def test_a_rise_under_a_quarter_is_no_spike():
    assert find_spikes(range(20), [1.0] * 10 + [1.25] + [1.0] * 9) == ()
    assert len(find_spikes(range(20), [1.0] * 10 + [1.26] + [1.0] * 9)) == 1


def test_a_rise_within_six_times_the_noise_is_no_spike():
    quiet, loud = [1.0, 1.02, 1.01, 0.99, 0.98] * 8, [1.0, 1.15, 1.1, 0.9, 0.85] * 8
    assert len(find_spikes(range(46), [*quiet, 1.6, *quiet[:5]])) == 1
    assert find_spikes(range(46), [*loud, 1.6, *loud[:5]]) == ()


def test_the_first_five_reports_are_never_a_spike():
    assert find_spikes(range(9), [1.0] * 4 + [9.0] + [1.0] * 4) == ()
    assert len(find_spikes(range(11), [1.0] * 5 + [9.0] + [1.0] * 5)) == 1


def test_two_spikes_far_apart_are_two_and_two_near_ones_are_one():
    near, far = [1.0] * 10 + [5.0, 1.0, 1.0, 4.0], [1.0] * 10 + [5.0] + [1.0] * 8 + [4.0]
    assert [spike.onset for spike in find_spikes(range(24), near + [1.0] * 10)] == [10]
    assert [spike.onset for spike in find_spikes(range(30), far + [1.0] * 10)] == [10, 19]


def test_a_second_spike_on_the_way_back_from_the_first_is_one_of_its_own():
    x = range(200)
    way_back = [1 + 9 * math.exp(-i / 30) for i in range(180)]
    y = [1.0] * 20 + [value * (3 if i == 30 else 1) for i, value in enumerate(way_back)]
    first, second = find_spikes(x, y)
    assert (first.onset, first.peak, first.end) == (20, 20, 49)
    assert (second.onset, second.peak, second.recovered) == (50, 50, 51)
    assert second.baseline > 4  # the way back, not the level before the first
    assert first.recovered > 150


def test_a_single_reading_on_the_way_back_does_not_move_recovery():
    way_back = slow_return(400)
    (before,) = find_spikes(POSITIONS, way_back)
    near = POSITIONS.index(before.recovered) + 8
    first, _ = find_spikes(POSITIONS, [*way_back[:near], 40.0, *way_back[near + 1 :]])
    assert reports_off(first.recovered, before.recovered) <= 2


def test_a_loss_that_stays_high_is_not_recovered_and_later_spikes_are_judged_from_there():
    y = [1.0] * 20 + [3.0] * 30 + [9.0] + [3.0] * 30
    first, second = find_spikes(range(81), y)
    assert (first.onset, first.end, first.recovered, first.half_recovered) == (20, 49, None, None)
    assert (second.onset, second.baseline, second.recovered) == (50, 3.0, 51)


def test_recovery_needs_five_reports_to_show_it():
    y = [1.0] * 10 + [3.0]
    assert find_spikes(range(15), y + [1.0] * 4)[0].recovered is None
    assert find_spikes(range(16), y + [1.0] * 5)[0].recovered == 11
    assert find_spikes(range(18), [*y, 1.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0])[0].recovered is None


def test_the_level_before_is_that_of_the_last_reports_where_the_loss_still_falls():
    falling = [10 * 0.8**i for i in range(20)]
    (spike,) = find_spikes(range(27), [*falling, 9.0, *[0.1] * 6])
    assert spike.baseline == falling[-3]  # the median of the last five


def test_a_reading_that_is_not_finite_is_a_spike_without_a_peak():
    (spike,) = find_spikes(range(20), [1.0] * 10 + [None] * 2 + [1.0] * 8)
    assert (spike.onset, spike.peak, spike.recovered, spike.peak_value, spike.ratio) == (10, 10, 12, None, None)
    assert (spike.baseline, spike.half_recovered) == (1.0, None)


def test_a_spike_with_finite_and_other_readings_peaks_at_the_highest_finite_one():
    (spike,) = find_spikes(range(20), [1.0] * 10 + [2.0, None, 7.0, 4.0] + [1.0] * 6)
    assert (spike.onset, spike.peak, spike.peak_value, spike.recovered) == (10, 12, 7.0, 14)


def test_without_a_level_before_it_a_spike_has_a_place_and_nothing_else():
    (spike,) = find_spikes(range(10), [None, None] + [1.0] * 8)
    assert (spike.onset, spike.peak, spike.end) == (0, 0, 1)
    assert {getattr(spike, field.name) for field in fields(spike)} == {0, 1, None}


def test_a_rise_over_the_level_of_twenty_reports_and_not_of_five_has_a_peak():
    (spike,) = find_spikes(range(26), [1.0] * 12 + [1.1] * 3 + [1.2] * 5 + [1.3] + [1.0] * 5)
    assert (spike.peak, spike.peak_value) == (20, 1.3)


def test_after_a_fall_to_nothing_a_rise_has_a_place_and_nothing_else():
    (spike,) = find_spikes(range(7), [1.0] * 3 + [0.0] * 3 + [9.0])
    assert (spike.onset, spike.end, spike.baseline, spike.peak_value, spike.ratio) == (6, 6, 0.0, None, None)


def test_a_spike_at_the_last_report_is_found_and_not_recovered():
    (spike,) = find_spikes(range(11), [1.0] * 10 + [9.0])
    assert (spike.onset, spike.peak, spike.end, spike.recovered, spike.area) == (10, 10, 10, None, 0.0)


# --- whatever comes ---


@given(st.lists(loss, max_size=60))
@settings(deadline=None)
def test_no_series_is_too_odd_and_every_spike_is_in_order(y):
    spikes = find_spikes(range(len(y)), y)
    for spike in spikes:
        assert spike.onset <= spike.peak <= spike.end <= len(y) - 1
        assert spike.recovered is None or spike.recovered > spike.peak
        assert all(math.isfinite(v) for f in fields(spike) if (v := getattr(spike, f.name)) is not None)
    assert all(a.end < b.onset for a, b in pairwise(spikes))


@given(st.lists(loss, max_size=60), st.sampled_from([2.0**-9, 0.5, 1024.0]))
@settings(deadline=None)
def test_the_unit_of_the_loss_moves_nothing(y, factor):
    def places(values):
        spikes = find_spikes(range(len(values)), values)
        return [(s.onset, s.peak, s.end, s.half_recovered, s.recovered, s.ratio) for s in spikes]

    assert places([None if v is None else factor * v for v in y]) == places(y)


@pytest.mark.parametrize("y", [[], [1.0], [None], [None] * 30, [0.0] * 30, [2.0] * 30, [-1.0] * 30])
def test_of_constant_empty_or_non_finite_series_only_the_non_finite_have_a_spike(y):
    assert len(find_spikes(range(len(y)), y)) == (None in y)


def test_a_series_needs_as_many_positions_as_readings():
    with pytest.raises(ValueError, match="as many positions as readings, got 2 and 1"):
        find_spikes([1, 2], [1.0])
