from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.stats.proportions import difference_bound, sign_test, upper_bound

counts = st.integers(0, 12)


@pytest.mark.parametrize(
    ("worse", "better", "chance"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (8, 0, 2 / 256), (8, 1, 20 / 512), (3, 3, 1.0), (0, 8, 2 / 256)],
)
def test_the_sign_test_counts_the_tails(worse, better, chance):
    assert sign_test(worse, better) == chance


def test_very_many_changes_do_not_overflow():
    assert sign_test(3000, 0) == 0.0
    assert sign_test(1500, 1500) == 1.0


@pytest.mark.parametrize(
    ("count", "total", "miss", "bound"),
    [(0, 20, 0.05, 1 - 0.05 ** (1 / 20)), (19, 20, 0.05, 0.95 ** (1 / 20)), (20, 20, 0.05, 1.0), (0, 1, 0.25, 0.75)],
)
def test_the_bound_of_a_share_in_closed_form(count, total, miss, bound):
    assert upper_bound(count, total, miss) == pytest.approx(bound, rel=1e-9)


def test_the_bound_of_a_share_from_a_table():
    """Clopper and Pearson's 95 % interval of 10 in 100 ends at 0.1762 (Newcombe 1998, Statistics in Medicine 17)."""
    assert upper_bound(10, 100, 0.025) == pytest.approx(0.1762, abs=5e-5)


@given(st.integers(0, 30), st.integers(1, 30), st.sampled_from([0.01, 0.05, 0.4]))
def test_at_the_bound_so_few_come_up_with_the_chance_given(count, total, miss):
    if count < total:
        share = upper_bound(count, total, miss)
        assert sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count + 1)) == pytest.approx(
            miss
        )


def test_without_a_change_the_difference_is_bounded_by_the_number_of_prompts():
    """0 of 200: 1 - 0.025 ** (1 / 200) for those that might get worse, and none that have to get better."""
    assert difference_bound(0, 0, 200, 0.05) == pytest.approx(1 - 0.025 ** (1 / 200))


def test_what_got_better_lowers_the_bound():
    assert difference_bound(5, 20, 100, 0.05) < difference_bound(5, 0, 100, 0.05)
    assert difference_bound(5, 20, 100, 0.05) == pytest.approx(
        upper_bound(5, 100, 0.025) - (1 - upper_bound(80, 100, 0.025))
    )


@given(counts, counts)
def test_the_bounds_hold_the_difference(worse, better):
    total = 24
    point = (worse - better) / total
    assert -difference_bound(better, worse, total, 0.05) < point < difference_bound(worse, better, total, 0.05)
