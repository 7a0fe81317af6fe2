import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadRecord
from harness.results import records
from harness.results.records import Better, Kind, Metric, Output, Readings, Record, Series, Status

NOT_NUMBERS = [math.nan, math.inf, -math.inf]


def metric(samples, **others):
    return Metric(unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=samples, **others)


def series(x, y):
    return Series(unit="nat/token", x_unit="iteration", x=x, y=y)


def record(status, reason):
    return Record(
        case="training/tiny/r8",
        suite="training",
        status=status,
        reason=reason,
        started_at="2026-01-01T00:00:00Z",
        wall_s=1.0,
        key=None,
        metrics={},
    )


@pytest.mark.parametrize("odd", NOT_NUMBERS)
def test_a_number_that_nothing_can_measure_gets_into_no_value(odd):
    with pytest.raises(BadRecord, match="readings hold"):
        Readings(values=(1.0, odd))
    with pytest.raises(BadRecord, match="samples hold"):
        metric(((1.0,), (2.0, odd)))
    with pytest.raises(BadRecord, match="series hold"):
        series((1.0, 2.0), (1.0, odd))
    with pytest.raises(BadRecord, match="series hold"):
        series((odd,), (1.0,))


def test_readings_may_be_none_at_all_only_for_a_reason():
    with pytest.raises(BadRecord, match="need a reason"):
        Readings(values=())
    with pytest.raises(BadRecord, match="need a reason"):
        Readings(values=(), reason="")
    assert Readings(values=(), reason="no meter").values == ()


@pytest.mark.parametrize("labels", [(), ("short",), ("short", "long", "code")])
def test_every_reading_has_one_label(labels):
    with pytest.raises(BadRecord, match=rf"2 readings but {len(labels)} labels"):
        Readings(values=(1.0, 2.0), labels=labels)
    with pytest.raises(BadRecord, match=rf"2 readings but {len(labels)} labels"):
        metric(((1.0, 2.0),), labels=labels)


def test_one_process_that_read_less_than_the_others_does_not_fit_the_labels():
    with pytest.raises(BadRecord, match="1 readings but 2 labels"):
        metric(((1.0, 2.0), (3.0,)), labels=("short", "long"))


@pytest.mark.parametrize("samples", [(), ((),), ((1.0,), ())])
def test_a_metric_has_a_reading_of_every_process(samples):
    with pytest.raises(BadRecord, match="each with at least one reading"):
        metric(samples)


def test_a_metric_that_was_not_measured_says_why():
    with pytest.raises(BadRecord, match="needs a reason"):
        metric(None)
    assert metric(None, reason="Linux only").parts() == {}


def test_a_metric_is_split_by_its_labels():
    split = metric(((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), labels=("short", "long", "short")).parts()
    assert split == {"short": ((1.0, 3.0), (4.0, 6.0)), "long": ((2.0,), (5.0,))}
    assert list(split) == ["short", "long"]


def test_a_metric_without_labels_is_one_part():
    assert metric(((1.0, 2.0), (3.0,))).parts() == {None: ((1.0, 2.0), (3.0,))}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.floats(0, 1)), min_size=1))
@settings(deadline=None)
def test_splitting_loses_no_reading_and_keeps_their_order(readings):
    labels, first, second = (tuple(column) for column in zip(*readings, strict=True))
    split = metric((first, second), labels=labels).parts()
    queues = {label: [iter(process) for process in processes] for label, processes in split.items()}
    assert [(label, next(queues[label][0]), next(queues[label][1])) for label in labels] == readings
    assert [left for queues_of_label in queues.values() for process in queues_of_label for left in process] == []


@pytest.mark.parametrize(("x", "y"), [((), ()), ((1.0,), ()), ((1.0,), (1.0, 2.0))])
def test_a_series_has_as_many_x_as_y(x, y):
    with pytest.raises(BadRecord, match="as many x as y"):
        series(x, y)


def test_a_text_ended_by_itself_or_was_cut():
    def output(finish_reason):
        return Output(
            prompt_id="p", prompt="?", text="!", finish_reason=finish_reason, prompt_tokens=1, output_tokens=1
        )

    ways = ["stop", "length", "unknown"]
    assert [output(reason).finish_reason for reason in ways] == ways
    with pytest.raises(BadRecord, match="finish_reason is 'eos'"):
        output("eos")


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_record_has_a_reason_exactly_if_it_is_not_ok(status):
    assert record(status, "it broke").reason == "it broke"
    assert record(Status.OK, None).reason is None
    for wrong_status, wrong_reason in [(status, None), (status, ""), (Status.OK, "it broke")]:
        with pytest.raises(BadRecord, match="training/tiny/r8: a record has a reason if, and only if"):
            record(wrong_status, wrong_reason)


def test_the_words_of_the_result_files_stay_what_they_are():
    assert {s.value for s in Status} == {
        *("ok", "failed", "crashed", "oom", "timeout", "diverged", "skipped", "invalid"),
    }
    assert {b.value for b in Better} == {"higher", "lower", "none"}
    assert {k.value for k in Kind} == {"timing", "memory", "exact", "loss", "quality"}


def test_no_value_can_be_changed_once_it_exists():
    kinds = [kind for kind in vars(records).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    assert len(kinds) > 10
    assert [kind.__name__ for kind in kinds if not kind.__dataclass_params__.frozen] == []
