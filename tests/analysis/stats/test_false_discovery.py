import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.stats.false_discovery import Chance, believed, is_gross


def of(*chances, level=0.005, gross=()):
    return {place: Chance(chance=entry, level=level, gross=place in gross) for place, entry in enumerate(chances)}


def test_one_change_alone_is_believed_up_to_its_level():
    assert believed(of(0.005)) == {0}
    assert believed(of(0.0051)) == set()


def test_one_change_among_many_has_to_be_rarer():
    """Among ten the rarest has a tenth of the level."""
    assert believed(of(0.0005, *[0.5] * 9)) == {0}
    assert believed(of(0.0006, *[0.5] * 9)) == set()


def test_many_changes_support_each_other():
    """Benjamini and Hochberg: the largest k with the k-th chance within k tenths of the level, and all before it."""
    chances = [0.0006, 0.0009, 0.0014, 0.0019, *[0.5] * 6]
    assert believed(of(*chances)) == {0, 1, 2, 3}


def test_chances_are_weighed_by_their_own_levels():
    chances = {"few": Chance(chance=0.008, level=0.01), "many": Chance(chance=0.004, level=0.005)}
    assert believed(chances) == {"few", "many"}


def test_a_gross_change_is_believed_among_any_number_within_its_level():
    assert believed(of(0.004, *[0.5] * 99, gross={0})) == {0}
    assert believed(of(0.006, *[0.5] * 99, gross={0})) == set()


def test_nothing_is_believed_of_nothing():
    assert believed({}) == set()


@pytest.mark.parametrize(
    ("near", "tolerance", "margin", "gross"),
    [(1.091, 0.03, 0.0, True), (1.089, 0.03, 0.0, False), (1 / 1.091, 0.03, 0.0, True), (1.10, 0.03, 0.05, False)],
)
def test_gross_is_three_tolerances_beyond_what_the_machine_may_do(near, tolerance, margin, gross):
    assert is_gross(near, tolerance, margin) is gross


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=30))
def test_a_rarer_change_is_believed_wherever_a_less_rare_one_is(chances):
    found = believed(of(*chances))
    limit = max((chances[place] for place in found), default=-1)
    assert all(place in found for place, entry in enumerate(chances) if entry <= limit)
