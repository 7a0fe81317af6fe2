import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.stats import change_points
from harness.analysis.stats.change_points import FEWEST, Shift, shifts

TOLERANCE = 0.03


def noisy(levels, spread=0.01, seed=1):
    """Values around *levels*, each a (level, count)."""
    draw = random.Random(seed)  # noqa: S311 - noise
    return [level * math.exp(draw.gauss(0, spread)) for level, count in levels for _ in range(count)]


def places(values, tolerance=TOLERANCE):
    shifts_found = shifts(values, tolerance)
    assert shifts_found.why_not is None
    return [one.at for one in shifts_found.found]


def test_a_level_that_changed_is_found_where_it_did():
    (one,) = shifts([100.0] * 10 + [110.0] * 10, TOLERANCE).found
    assert one == Shift(at=10, before=100.0, after=110.0)
    assert one.change == pytest.approx(0.1)


def test_each_of_several_changes_is_found_up_and_down():
    found = shifts(noisy([(100, 20), (110, 20), (95, 20)]), TOLERANCE).found
    assert [one.at for one in found] == [20, 40]
    assert [round(one.change, 2) for one in found] == [pytest.approx(0.1, abs=0.02), pytest.approx(-0.136, abs=0.02)]


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_change(seed):
    assert places(noisy([(100, 100)], spread=0.02, seed=seed)) == []


def test_a_row_that_wanders_is_seldom_taken_for_a_change():
    """Each value keeps 0.7 of how far off the one before was. Least squares alone finds changes in every other row."""
    alarms = 0
    for seed in range(40):
        draw, off, values = random.Random(seed), 0.0, []  # noqa: S311 - noise
        for _ in range(100):
            off = 0.7 * off + draw.gauss(0, 0.02 * math.sqrt(1 - 0.49))
            values.append(100 * math.exp(off))
        alarms += bool(places(values))
    assert alarms <= 4


def test_single_values_that_stand_out_are_no_change():
    values = noisy([(100, 60)])
    for at in (7, 20, 33, 34, 50):
        values[at] *= 1.4
    assert places(values) == []


def test_a_first_value_that_overshoots_belongs_to_the_level_it_is_nearer_to():
    assert places([100.0] * 10 + [140.0] + [120.0] * 10) == [10]
    assert places([100.0] * 10 + [80.0] + [120.0] * 10) == [11]


@pytest.mark.parametrize(("later", "found"), [(1, []), (2, []), (3, [37]), (5, [35])])
def test_a_level_needs_three_values(later, found):
    assert places([*noisy([(100, 40 - later)], spread=0.005), *noisy([(120, later)], spread=0.005)]) == found


@pytest.mark.parametrize(("tolerance", "found"), [(0.03, []), (0.01, [20])])
def test_what_is_within_the_tolerance_is_no_change(tolerance, found):
    assert places([100.0] * 20 + [102.0] * 20, tolerance) == found


def test_of_what_is_counted_exactly_any_change_is_one():
    assert places([1000.0] * 10 + [1001.0] * 10, 0.0) == [10]
    assert places([1000.0] * 20, 0.0) == []


def test_below_ten_points_nothing_is_looked_for_and_it_says_so():
    shifts_found = shifts([100.0] * 5 + [200.0] * (FEWEST - 6), TOLERANCE)
    assert shifts_found.found == ()
    assert shifts_found.why_not == "9 of 10 points that a change point needs"
    assert shifts([100.0] * 5 + [200.0] * (FEWEST - 5), TOLERANCE).why_not is None


@pytest.mark.parametrize("odd", [0.0, -1.0])
def test_values_without_a_logarithm_are_not_looked_at(odd):
    assert "0 or less" in shifts([odd, *[1.0] * 20], TOLERANCE).why_not


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(change_points, "find_spec", lambda _: None)
    why_not = shifts([100.0] * 20, TOLERANCE).why_not
    assert why_not == "the package ruptures is not installed: pip install 'tunebench[history]'"


@given(st.lists(st.floats(1e-6, 1e6), min_size=FEWEST, max_size=40), st.sampled_from([0.0, 0.01, 0.03]))
def test_whatever_is_found_is_a_change_beyond_the_tolerance_between_levels_of_three(values, tolerance):
    found = shifts(values, tolerance).found
    limits = [0, *(one.at for one in found), len(values)]
    assert all(end - start >= 3 for start, end in pairwise(limits))


@given(st.floats(1e-3, 1e6), st.integers(10, 40))
def test_what_never_changes_has_no_change_point(value, count):
    assert places([value] * count) == []
