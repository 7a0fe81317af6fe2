import pytest

from harness.gate.wording import change_text
from harness.results.records import Better, Kind
from tests.support.gate_samples import interval, row


def rate(*ratio, unit="token/s"):
    return row(better=Better.HIGHER, unit=unit, ratio=interval(*ratio))


def test_a_time_that_grows_is_longer_and_one_that_falls_shorter():
    assert change_text.change(row()) == "25.0 % longer [12.5, 50.0]"
    assert change_text.change(row(ratio=interval(0.5, 0.75, 0.875))) == "25.0 % shorter [12.5, 50.0]"


def test_a_rate_is_counted_in_what_it_counts():
    assert change_text.change(rate(0.625, 0.8, 1.0)) == "20.0 % fewer token/s [0.0, 37.5]"
    assert change_text.change(rate(1.0, 1.25, 1.5)) == "25.0 % more token/s [0.0, 50.0]"


def test_what_of_an_interval_lies_on_the_other_side_is_below_0():
    assert change_text.change(row(ratio=interval(0.5, 0.75, 1.125))) == "25.0 % shorter [−12.5, 50.0]"
    assert change_text.change(row(ratio=interval(0.875, 1.25, 1.5))) == "25.0 % longer [−12.5, 50.0]"


@pytest.mark.parametrize(
    ("kind", "unit", "words"),
    [
        (Kind.MEMORY, "byte", ("more", "less")),
        (Kind.TIMING, "share", ("higher", "lower")),
        (Kind.LOSS, "nat/token", ("higher", "lower")),
        (Kind.QUALITY, "word", ("higher", "lower")),
    ],
)
def test_the_word_follows_the_metric(kind, unit, words):
    assert change_text.point(row(kind=kind, unit=unit)) == f"25.0 % {words[0]}"
    assert change_text.point(row(kind=kind, unit=unit, ratio=interval(0.5, 0.75, 1))) == f"25.0 % {words[1]}"


def test_what_rounds_to_no_change_has_no_direction():
    assert change_text.change(row(ratio=interval(0.99, 1.0004, 1.01))) == "±0.0 % [−1.0, 1.0]"


def test_more_than_twice_is_a_factor():
    assert change_text.change(row(ratio=interval(2.0, 4.0, 8.0))) == "4.000 times as long [2.000, 8.000]"
    assert change_text.point(rate(2.0, 4.0, 8.0)) == "4.000 times as many token/s"


def test_twice_is_still_in_percent():
    assert change_text.change(row(ratio=interval(1.0, 2.0, 3.0))) == "100.0 % longer [0.0, 200.0]"


def test_without_an_interval_both_sides_are_shown():
    assert change_text.change(row(ratio=None)) == "500.0 ms → 625.0 ms"


def test_sides_that_are_written_alike_are_written_out():
    assert change_text.change(row(ratio=None, baseline=0.5, candidate=0.5000001)) == "0.5 → 0.5000001 s"


def test_equal_sides_are_one():
    assert change_text.change(row(ratio=None, candidate=0.5)) == "equal: 500.0 ms"


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_side_that_was_not_measured_is_no_number(side):
    assert change_text.change(row(ratio=None, **{side: None})) == change_text.NOTHING


def test_how_much_worse_is_a_cost_and_of_what_has_no_better_the_distance():
    assert change_text.worse_by(rate(0.1, 0.5, 1.0)) == 1.0
    exact = {"kind": Kind.EXACT, "ratio": None, "baseline": 4.0, "candidate": 3.0}
    assert change_text.worse_by(row(better=Better.NONE, **exact)) == 0.25
    assert change_text.worse_by(row(better=Better.LOWER, **exact)) == -0.25
    assert change_text.worse_by(row(better=Better.HIGHER, **exact)) == pytest.approx(1 / 3)
    assert change_text.worse_by(row(ratio=None, baseline=0.0)) is None
    assert change_text.worse_by(row(ratio=None, candidate=None)) is None
