from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from harness.report.sections.loss_curves import (
    best,
    gap,
    level_near,
    running_median,
    tokens_at,
    window_of,
)
from harness.results.records import Series
from tests.support.samples import losses, record


def counted(name, *points):
    x, y = zip(*points, strict=True)
    return record("training/tiny/qv", series={name: Series(unit="token", x_unit="iteration", x=x, y=y)})


def test_the_running_median_is_of_the_values_around():
    assert running_median([1, 9, 2, 8, 3], 3) == [5, 2, 8, 3, 5.5]
    assert running_median([4, 1, 7], 1) == [4, 1, 7]
    assert running_median([1, 3], 99) == [2, 2]
    assert running_median([], 3) == []


@given(st.lists(st.integers(-50, 50), max_size=40), st.integers(0, 6).map(lambda reach: 2 * reach + 1))
def test_the_running_median_is_the_median_of_each_window(values, window):
    reach = window // 2
    assert running_median(values, window) == [
        median(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))
    ]


def test_a_few_points_are_not_smoothed_and_of_many_a_50th():
    assert [window_of(points) for points in (0, 200, 201, 1500, 1550)] == [1, 1, 5, 31, 31]


def test_the_level_at_a_validation_is_the_median_of_the_five_nearest_reports():
    series = losses(*((float(i), float(i * i)) for i in range(1, 21)))
    assert level_near(series, 10) == 100
    assert level_near(series, 0) == 9  # of 1, 4, 9, 16, 25
    assert level_near(series, 20) == 18**2
    assert level_near(series, 10.5) == 100  # 8 to 12 and not 9 to 13: the earlier
    assert level_near(losses((1, 3.0), (2, 5.0)), 7) == 4


def test_the_gap_is_validation_minus_training():
    train, val = losses((1, 3.0), (2, 3.0), (3, 3.0)), losses((0, 4.0), (3, 2.5))
    assert gap(train, val) == [1.0, -0.5]


def test_the_best_of_equal_losses_is_the_first():
    assert best(losses((0, 3.0), (10, 1.0), (20, 1.0))) == (10, 1.0)


def test_tokens_are_those_seen_after_an_iteration():
    assert tokens_at(counted("real_tokens", (1, 10), (2, 20), (3, 5)), [0, 1, 2.5, 3, 99]) == [0, 10, 30, 35, 35]


def test_tokens_a_report_printed_as_seen_are_taken_as_they_are():
    assert tokens_at(counted("tokens_seen", (10, 100), (20, 250)), [5, 10, 20]) == [None, 100, 250]


def test_tokens_nobody_counted_are_not_known():
    assert tokens_at(record("training/tiny/qv"), [1]) is None
