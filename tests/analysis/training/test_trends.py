import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.training.trends import (
    CurvePoint,
    Divergence,
    Pace,
    best_point,
    loss_reduction,
    overfitting,
    pace,
    thirds,
    time_to_target,
)

loss = st.none() | st.floats(0, 100)
curves = st.lists(st.tuples(st.integers(0, 100), loss), max_size=20)

# A printed run of 50 iterations, one row a batch.
TRAIN = {5: 1.960, 10: 0.935, 15: 0.577, 20: 0.605, 25: 1.080, 30: 0.787, 35: 0.658, 40: 0.591, 45: 0.549, 50: 0.355}
VALIDATION = {1: 2.813, 20: 0.751, 40: 0.775, 50: 0.822}


def judged(train, validation):
    return overfitting(list(train), list(train.values()), list(validation), list(validation.values()))


# --- the lowest ---


def test_the_best_point_is_the_first_of_the_lowest():
    assert best_point([1, 2, 3, 4], [3.0, 1.0, 2.0, 1.0]) == CurvePoint(x=2, y=1.0)


def test_without_a_finite_reading_there_is_no_best_point():
    assert best_point([], []) is None
    assert best_point([1], [None]) is None
    assert best_point([1, 2], [None, 5.0]) == CurvePoint(x=2, y=5.0)


def test_the_target_is_reached_within_two_percent_of_the_lowest():
    x, y = [1, 2, 3, 4], [2.0, 1.03, 1.02, 1.0]
    assert time_to_target(x, y) == 3
    assert time_to_target(x, y, factor=1.05) == 2
    assert time_to_target(x, [None] * 4) is None
    assert time_to_target([1, 2], [1.0, 0.0]) == 2


def test_a_reduction_is_of_the_first_loss():
    assert loss_reduction(2.813, 0.822) == pytest.approx(0.708, abs=0.001)
    assert loss_reduction(1.0, 1.5) == -0.5
    assert loss_reduction(0.0, 1.0) is None


# --- overfitting ---


def test_validation_that_rises_while_training_falls_is_overfitting_since_its_lowest():
    found = judged(TRAIN, VALIDATION)
    assert (found.verdict, found.since) == (Divergence.OVERFITTING, 20)
    assert (found.val_best, found.val_final) == (0.751, 0.822)
    # the medians of 5 to 20 and of 45 and 50
    assert found.train_change == pytest.approx(0.452 / 0.770 - 1)


def test_validation_that_ends_where_it_was_lowest_is_not_overfitting():
    assert judged(TRAIN, {1: 2.8, 20: 0.751, 40: 0.9, 50: 0.76}).verdict is Divergence.NOT_DETECTED
    assert judged(TRAIN, {1: 2.8, 20: 0.9, 40: 0.8, 50: 0.7}).verdict is Divergence.NOT_DETECTED


def test_two_percent_above_the_lowest_is_still_a_tie():
    assert judged(TRAIN, {1: 2.0, 20: 1.0, 40: 1.2, 50: 1.02}).verdict is Divergence.NOT_DETECTED
    assert judged(TRAIN, {1: 2.0, 20: 1.0, 40: 1.2, 50: 1.021}).verdict is Divergence.OVERFITTING


def test_one_validation_above_the_lowest_tells_nothing():
    found = judged(TRAIN, {1: 2.8, 20: 0.9, 40: 0.75, 50: 0.9})
    assert (found.verdict, found.since) == (Divergence.UNKNOWN, None)
    assert "one validation is above the lowest" in found.reason


def test_validations_above_the_start_do_not_count_before_the_lowest():
    assert judged(TRAIN, {1: 2.8, 10: 2.0, 20: 0.75, 50: 0.9}).verdict is Divergence.UNKNOWN


def test_a_training_loss_of_zero_has_no_change():
    assert judged({20: 0.0, 50: 0.0}, VALIDATION).verdict is Divergence.UNKNOWN


def test_where_training_rises_too_it_is_not_overfitting():
    found = judged({20: 0.5, 40: 0.6, 50: 0.7}, {1: 2.8, 20: 0.7, 40: 0.8, 50: 0.9})
    assert (found.verdict, found.since) == (Divergence.NOT_DETECTED, None)
    assert found.train_change == pytest.approx(0.4)
    assert "training did not fall" in found.reason


def test_a_verdict_needs_training_reports_at_both_ends():
    found = judged({40: 0.6, 50: 0.5}, VALIDATION)
    assert (found.verdict, found.train_change) == (Divergence.UNKNOWN, None)
    assert "no training loss" in found.reason


@pytest.mark.parametrize(
    ("validation", "reason"),
    [
        ({}, "no validation loss"),
        ({1: None}, "the last validation loss is not finite"),
        ({1: 1.0, 2: 2.0, 3: 3.0, 4: None}, "the last validation loss is not finite"),
        ({1: 1.0, 20: 2.0}, "2 validation(s), 3 or more are needed"),
    ],
)
def test_too_little_validation_is_unknown_and_says_why(validation, reason):
    found = judged(TRAIN, validation)
    assert (found.verdict, found.since, found.reason) == (Divergence.UNKNOWN, None, reason)


@given(curves, curves)
def test_no_pair_of_curves_is_too_odd(train, validation):
    train, validation = (sorted(curve, key=lambda point: point[0]) for curve in (train, validation))
    found = overfitting(*zip(*train, strict=True), *zip(*validation, strict=True)) if train and validation else None
    assert found is None or (found.since is not None) == (found.verdict is Divergence.OVERFITTING)


# --- thirds ---


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (0.2, Pace.RAPID),
        (0.19, Pace.STEADY),
        (0.05, Pace.STEADY),
        (0.049, Pace.FLAT),
        (-0.05, Pace.FLAT),
        (-0.051, Pace.WORSE),
    ],
)
def test_a_pace_is_a_word_for_the_share_by_which_a_loss_fell(share, word):
    assert pace(share) is word


def test_thirds_are_of_the_positions_and_not_of_the_reports():
    early, middle, late = thirds([0, 1, 2, 30, 59, 60, 61, 90], [4.0, 3.0, 1.0, 1.0, 0.9, 0.9, 1.0, 1.1])
    assert (early.start, early.end, early.first, early.last, early.pace) == (0, 2, 4.0, 1.0, Pace.RAPID)
    assert (middle.start, middle.end, middle.change, middle.pace) == (30, 59, pytest.approx(-0.1), Pace.STEADY)
    assert (late.start, late.end, late.pace) == (60, 90, Pace.WORSE)


def test_the_levels_of_a_third_are_of_a_tenth_of_its_reports():
    y = [*[3.0, 9.0, 3.0], *[2.0] * 24, *[1.0, 0.1, 1.0], *[1.0] * 60]
    assert (thirds(range(90), y)[0].first, thirds(range(90), y)[0].last) == (3.0, 1.0)


@pytest.mark.parametrize("y", [[], [1.0], [1.0] * 5, [None] * 9, [0.0] * 9])
def test_too_few_reports_or_none_above_zero_have_no_thirds(y):
    assert thirds(range(len(y)), y) == ()


def test_reports_at_one_place_have_no_thirds():
    assert thirds([5] * 9, [1.0] * 9) == ()


def test_six_reports_are_enough_for_thirds():
    assert [third.pace for third in thirds(range(6), [4.0, 2.0, 2.0, 1.9, 1.0, 1.0])] == [
        Pace.RAPID,
        Pace.STEADY,
        Pace.FLAT,
    ]
