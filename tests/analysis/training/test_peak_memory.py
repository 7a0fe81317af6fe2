from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.training.peak_memory import last_rise

marks = st.lists(st.none() | st.floats(0, 1e12), max_size=30)


def test_the_last_rise_is_where_the_mark_last_grew():
    assert last_rise([10, 20, 30, 40], [4.0, 4.1, 4.1, 4.1]) == 20


def test_a_mark_that_stays_at_zero_rose_at_the_first_reading():
    assert last_rise([1, 2], [0.0, 0.0]) == 1


def test_a_fall_and_a_return_are_no_rise():
    assert last_rise([10, 20, 30], [5.0, 1.0, 5.0]) == 10


def test_a_rise_within_a_thousandth_is_none():
    assert last_rise([1, 2], [1000.0, 1000.9]) == 1
    assert last_rise([1, 2], [1000.0, 1001.1]) == 2


def test_many_small_rises_count_once_they_are_large_together():
    assert last_rise(range(6), [1000.0, 1000.4, 1000.8, 1001.2, 1001.6, 1002.0]) == 3


def test_what_was_not_read_is_left_out():
    assert last_rise([1, 2, 3], [None, 2.0, None]) == 2


def test_without_a_reading_there_is_no_rise():
    assert last_rise([], []) is None
    assert last_rise([1], [None]) is None


@given(marks)
def test_nothing_after_the_last_rise_is_higher_by_more_than_two_thousandths(y):
    last = last_rise(range(len(y)), y)
    if last is None:
        assert not any(v is not None for v in y)
    else:
        assert all(v is None or v <= y[last] * 1.002 for v in y[last:])
