import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.report.figures.label_layout import Box, around, best, stagger

length = st.integers(0, 200).map(float)
NOWHERE = np.empty((0, 2))


def box(left, bottom, right, top):
    return Box(left=left, bottom=bottom, right=right, top=top)


def test_two_boxes_meet_if_they_share_more_than_an_edge():
    assert box(0, 0, 2, 2).meets(box(1, 1, 3, 3))
    assert not box(0, 0, 2, 2).meets(box(2, 0, 3, 2))
    assert not box(0, 0, 2, 2).meets(box(0, 2, 2, 3))
    assert not box(0, 0, 2, 2).meets(box(1, 5, 3, 6))


def test_a_box_is_moved_into_its_bounds_at_its_own_size():
    assert box(8, -3, 12, 1).within(box(0, 0, 10, 10)) == box(6, 0, 10, 4)
    assert box(-5, 8, -1, 12).within(box(0, 0, 10, 10)) == box(0, 6, 4, 10)
    assert box(3, 3, 4, 4).within(box(0, 0, 10, 10)) == box(3, 3, 4, 4)


def test_a_box_larger_than_its_bounds_begins_at_their_lower_left_corner():
    assert box(5, 5, 25, 25).within(box(0, 0, 10, 10)) == box(0, 0, 20, 20)


def test_a_text_goes_where_it_covers_nothing():
    free, covering, second = box(5, 0, 6, 1), box(0, 0, 1, 1), box(7, 0, 8, 1)
    assert best([covering, free, second], [], np.array([[0.5, 0.5]])) == free
    assert best([covering, free, second], [], np.array([[0.5, 9.0], [0.5, -9.0], [9.0, 0.5]])) == covering
    assert best([covering, free, second], [box(0.5, 0.5, 2, 2)], NOWHERE) == free


def test_a_text_rather_covers_many_points_than_another_text():
    on_points, on_text = box(0, 0, 1, 1), box(5, 0, 6, 1)
    assert best([on_text, on_points], [on_text], np.full((100, 2), 0.5)) == on_points


def test_of_equal_places_the_first_is_taken():
    assert best([box(1, 0, 2, 1), box(3, 0, 4, 1)], [], NOWHERE) == box(1, 0, 2, 1)


def test_the_nearest_places_are_beside_the_point_on_all_four_sides():
    assert around(10, 10, 4, 2, 1)[:4] == [box(11, 11, 15, 13), box(5, 11, 9, 13), box(11, 7, 15, 9), box(5, 7, 9, 9)]
    assert around(10, 10, 4, 2, 1)[4] == box(11, 13, 15, 15)


def test_no_place_covers_its_own_point():
    assert not any(place.meets(box(9.5, 9.5, 10.5, 10.5)) for place in around(10, 10, 4, 2, 1))


def test_names_that_fit_stand_in_one_row_and_others_below():
    assert stagger([0, 10, 20], [8, 8, 8], 100) == [(0, 0), (10, 0), (20, 0)]
    assert stagger([0, 5, 8], [10, 5, 5], 100) == [(0, 0), (5, 1), (8, 2)]
    assert stagger([0, 5, 10], [10, 10, 10], 100) == [(0, 0), (5, 1), (10, 0)]


def test_a_name_that_would_reach_beyond_the_end_begins_earlier():
    assert stagger([95], [20], 100) == [(80, 0)]
    assert stagger([95], [200], 100) == [(0, 0)]


@given(st.lists(st.tuples(length, st.integers(1, 150).map(float)), max_size=12))
def test_no_two_names_meet(starts_and_widths):
    starts, widths = (
        [start for start, _ in sorted(starts_and_widths)],
        [width for _, width in sorted(starts_and_widths)],
    )
    placed = stagger(starts, widths, 200)
    names = [box(left, row, left + width, row + 1) for (left, row), width in zip(placed, widths, strict=True)]
    assert not any(a.meets(b) for i, a in enumerate(names) for b in names[:i])
    assert all(place.left >= 0 and place.right <= 200 for place in names)
