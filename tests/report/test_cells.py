import pytest

from harness.analysis.judge import Design, Judgement, Verdict
from harness.analysis.stats.estimates import Interval
from harness.report.cells import (
    Footnotes,
    change_cell,
    change_of,
    columns_of,
    computed,
    judgement_cell,
    measured_cell,
    metric_cell,
)
from harness.report.page import State
from harness.results.records import Status
from tests.support.samples import bundle, measured, record


def ratio(low, point, high):
    return Interval(low=low, point=point, high=high, confidence=0.95, method="by hand")


@pytest.mark.parametrize(
    ("samples", "unit", "words"),
    [
        (((90.0,),), "token/s", "90.00 token/s (n=1)"),
        (((90.0, 100.0, 140.0),), "token/s", "100.0 token/s (n=1×3)"),
        (((130.0,), (90.0,), (100.0,)), "token/s", "100.0 {90.00; 100.0; 130.0} token/s (n=3)"),
        (((1.0,), (2.0,), (3.0,), (4.0,), (5.0,)), "token/s", "3.000 [1.000, 5.000] token/s (n=5)"),
        (((0.5,), (0.25,)), "s", "375.0 {250.0; 500.0} ms (n=2)"),
        (((0.125,), (0.25,)), "share", "18.75 % {12.50 %; 25.00 %} (n=2)"),
        (((180.0,), (240.0,), (600.0,)), "s", "4.000 {3.000; 4.000; 10.00} min (n=3)"),
        (((134515008.0,),), "parameter", "134,515,008 (n=1)"),
        (((2560.0,),), "byte", "2.500 KiB (n=1)"),
        (((512.0,), (512.0,)), "byte", "512 {512; 512} B (n=2)"),
        (((1.0,), (2.0, 4.0)), "token/s", "2.000 {1.000; 3.000} token/s (n=2, 3 readings)"),
        (((0.0,),), "nat/token", "0 nat/token (n=1)"),
    ],
)
def test_a_cell_says_the_median_its_spread_its_unit_and_how_many(samples, unit, words):
    assert measured_cell(samples, unit).text == words


def test_a_cell_carries_its_numbers_in_the_base_unit():
    cell = measured_cell(tuple((value,) for value in (0.001, 0.002, 0.003, 0.004, 0.005, 0.006)), "s")
    assert cell.text == "3.500 [1.000, 6.000] ms (n=6)"
    assert (cell.value, cell.low, cell.high, cell.unit) == (0.0035, 0.001, 0.006, "s")
    assert cell.values == (0.001, 0.002, 0.003, 0.004, 0.005, 0.006)
    assert (cell.state, cell.readings) == (State.MEASURED, 6)


def test_what_was_not_measured_says_so_and_points_to_the_reason():
    notes = Footnotes()
    assert metric_cell(None, None, notes).state is State.NOT_MEASURED
    metric = measured("energy_j_per_token", reason="no meter")
    cells = [metric_cell(metric, None, notes) for _ in range(2)]
    assert [(cell.text, cell.notes) for cell in cells] == [("not measured", (1,))] * 2
    assert notes.texts == ["no meter"]


def test_a_label_that_was_not_to_be_measured_is_a_dash():
    metric = measured("ttft_s", (0.5,), labels=("short",))
    assert metric_cell(metric, "long", Footnotes()).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((1.1, 1.25, 1.4), "+25.0 % [+10.0 %, +40.0 %]"),
        ((0.5, 0.75, 1.0), "−25.0 % [−50.0 %, ±0.0 %]"),
        ((2.0, 2.35, 2.5), "2.350 times [2.000, 2.500]"),
        ((0.1, 0.25, 0.4), "0.2500 times [0.1000, 0.4000]"),
    ],
)
def test_a_change_is_worded_in_one_way(interval, words):
    assert change_of(ratio(*interval)) == words


def test_a_change_of_few_processes_has_no_interval_and_says_so():
    assert change_cell([2.0], [1.0], design=Design.INDEPENDENT).text == "−50.0 % (no interval: n=1)"


def test_a_change_of_many_has_one():
    cell = change_cell([1.0] * 5, [1.5] * 5, design=Design.INDEPENDENT)
    assert (cell.text, cell.value, cell.low, cell.high) == ("+50.0 % [+50.0 %, +50.0 %]", 1.5, 1.5, 1.5)


@pytest.mark.parametrize(("before", "after"), [([], [1.0]), ([1.0], []), ([0.0], [1.0]), ([1.0], [-1.0])])
def test_there_is_no_change_from_or_to_nothing(before, after):
    assert change_cell(before, after, design=Design.PAIRED).state is State.NOT_APPLICABLE


def test_processes_that_belong_together_are_compared_together():
    """Six pairs, each half as fast again, of which the machine's own speed varies a hundredfold."""
    before = [1.0, 100.0, 2.0, 50.0, 5.0, 20.0]
    after = [1.5 * value for value in before]
    assert change_cell(before, after, design=Design.PAIRED).low == pytest.approx(1.5)
    assert change_cell(before, after, design=Design.INDEPENDENT).low < 1


def test_what_was_computed_is_marked_as_that_and_none_stays_none():
    assert (computed(0.25, "s").text, computed(0.25, "s").state) == ("250.0 ms", State.COMPUTED)
    assert computed(None, "s").state is State.NOT_APPLICABLE
    assert computed(15000, "iteration").text == "15,000"


def test_a_verdict_s_cell_names_the_winner_or_gives_the_reason():
    notes = Footnotes()
    better = judgement_cell(Judgement(verdict=Verdict.BETTER, ratio=ratio(1.1, 1.2, 1.3), reason="r"), "b", notes)
    assert (better.text, better.verdict, better.winners) == ("better", "better", ("b",))
    open_ = judgement_cell(Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason="n=1"), "b", notes)
    assert (open_.text, open_.winners, open_.notes, notes.texts) == ("not judged", (), (1,), ["n=1"])
    exact = judgement_cell(Judgement(verdict=Verdict.EQUIVALENT, ratio=None, reason="equal"), "b", notes)
    assert exact.text == "equivalent (equal)"


def test_columns_are_told_apart_by_run_and_number_and_status():
    first = bundle(record(), record("training/tiny/r8"), id="one")
    failed = record(status=Status.OOM, reason="no room", metrics={"ttft_s": measured("ttft_s", 0.5)})
    second = bundle(failed, id="two")
    assert [column.name for column in columns_of([first], "inference")] == ["tiny/base"]
    assert [column.name for column in columns_of([first, second], "inference")] == [
        "tiny/base (one)",
        "tiny/base (two), oom",
    ]
    assert [column.name for column in columns_of([first, first], "inference")] == [
        "tiny/base (one)",
        "tiny/base (one) (2)",
    ]


@pytest.mark.parametrize(
    ("variant", "is_base"), [("base", True), ("base-mlqa-8bit", True), ("baseline", False), ("r8", False)]
)
def test_a_base_is_known_by_its_name(variant, is_base):
    (column,) = columns_of([bundle(record(f"inference/tiny/{variant}"))], "inference")
    assert (column.model, column.variant, column.is_base) == ("tiny", variant, is_base)
