from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.losses import judge_loss
from harness.gate.policy import Requirement
from harness.gate.verdicts import GateVerdict, Role
from harness.results.records import Kind
from tests.support.samples import key, losses, measured, record

TERMS = Requirement(tolerance=0.01, floor=0.0, kind=Kind.LOSS, role=Role.REQUIRED)
CPU, GPU = key(device="cpu: One"), key(device="gpu: One")
COURSE = ((0.0, 4.0), (10.0, 3.0), (20.0, 2.0))
VERSIONS = {"versions": "v1", "device": "d1"}
REGRESSION, IMPROVED, PASS = GateVerdict.REGRESSION, GateVerdict.IMPROVED, GateVerdict.PASS
INCONCLUSIVE, MISSING, INVALID = GateVerdict.INCONCLUSIVE, GateVerdict.MISSING, GateVerdict.INVALID


def trained(*values, course=COURSE, name="val_loss_final", case_key=CPU, **changes):
    """A case that every process ended with one of *values*."""
    series = {} if course is None else {"val_loss": losses(*course)}
    return record("training/tiny/r8", key=case_key, metrics={name: measured(name, *values)}, series=series, **changes)


def at(value, *, by=1.0):
    """A course that ends with *value*; its second point is *by* times what it was."""
    return ((0.0, 4.0), (10.0, 3.0 * by), (20.0, value))


def verdict(a, b, name="val_loss_final", terms=TERMS):
    return judge_loss(a, b, name, terms).verdict


def test_the_same_course_passes_from_one_process_a_side():
    decision = judge_loss(trained(2.0), trained(2.0), "val_loss_final", TERMS)
    assert (decision.verdict, decision.reason, decision.detectable) == (PASS, "the same course", 1e-3)


@pytest.mark.parametrize(("by", "expected"), [(1.0009, PASS), (1.0011, INCONCLUSIVE), (0.9989, INCONCLUSIVE)])
def test_a_course_is_the_same_within_a_thousandth_at_every_iteration(by, expected):
    decision = judge_loss(trained(2.0), trained(2.0, course=at(2.0, by=by)), "val_loss_final", TERMS)
    assert decision.verdict is expected
    if expected is PASS:
        assert decision.reason == "the same course within 0.08992 %"
    else:
        assert f"val_loss departs at iteration 10: 3.000 became {3 * by:.3f}" in decision.reason
        assert "within the tolerance, but libraries and machine are not known to differ" in decision.reason


@pytest.mark.parametrize(
    ("identity", "other", "expected"),
    [
        (VERSIONS, {**VERSIONS, "versions": "v2"}, PASS),
        (VERSIONS, {**VERSIONS, "device": "d2"}, PASS),
        (VERSIONS, {**VERSIONS, "code": "c2"}, INCONCLUSIVE),
        (VERSIONS, VERSIONS, INCONCLUSIVE),
        (VERSIONS, {}, INCONCLUSIVE),
        ({}, {}, INCONCLUSIVE),
    ],
)
def test_a_departure_within_the_tolerance_passes_where_the_numerics_are_known_to_differ(identity, other, expected):
    b = trained(2.004, course=at(2.004), identity=other)
    assert verdict(trained(2.0, identity=identity), b) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2.0199, INCONCLUSIVE), (2.0201, REGRESSION), (1.9803, INCONCLUSIVE), (1.9801, IMPROVED)],
)
def test_beyond_the_tolerance_it_is_decided_at_the_value(value, expected):
    """2.02 is 1 % more than 2, and 2 is 1 % more than 1.9802."""
    assert verdict(trained(2.0), trained(value, course=at(value))) is expected


def test_a_regression_says_what_else_differs():
    b = trained(3.0, course=at(3.0), identity={"versions": "v2", "device": "d2"})
    decision = judge_loss(trained(2.0, identity=VERSIONS), b, "val_loss_final", TERMS)
    assert decision.reason == (
        "2.000 became 3.000 at the same seed, beyond the tolerance; the libraries and the machine differ"
    )


def test_a_difference_below_the_floor_is_no_regression():
    terms = replace(TERMS, floor=0.5)
    assert verdict(trained(2.0), trained(2.4, course=at(2.4)), terms=terms) is INCONCLUSIVE
    assert verdict(trained(2.0), trained(2.6, course=at(2.6)), terms=terms) is REGRESSION


@pytest.mark.parametrize(
    ("old", "new", "expected", "more"),
    [
        ((2.0,), (3.0,), INCONCLUSIVE, 1),
        ((2.0, 2.0), (3.0,), INCONCLUSIVE, 1),
        ((2.0, 2.0), (3.0, 3.0), REGRESSION, None),
        ((3.0,), (2.0,), INCONCLUSIVE, 1),
    ],
)
def test_a_gpu_has_to_show_that_it_gives_the_same_twice(old, new, expected, more):
    a, b = (trained(*value, case_key=GPU, course=at(value[0])) for value in (old, new))
    decision = judge_loss(a, b, "val_loss_final", TERMS)
    assert (decision.verdict, decision.more) == (expected, more)


def test_the_same_course_passes_on_a_gpu_from_one_process_a_side():
    assert verdict(trained(2.0, case_key=GPU), trained(2.0, case_key=GPU)) is PASS


def test_processes_that_differ_are_noise_and_left_to_the_timing_rule():
    assert judge_loss(trained(2.0, 2.1), trained(2.0, 2.0), "val_loss_final", TERMS) is None
    assert judge_loss(trained(2.0, 2.0), trained(2.0, 2.1), "val_loss_final", TERMS) is None


def test_every_process_of_either_side_has_to_take_the_course():
    second = losses(*at(2.0, by=1.01), process=2)
    a = trained(2.0, 2.0)
    b = replace(a, series={**a.series, "val_loss.2": second})
    assert verdict(a, b) is verdict(b, a) is INCONCLUSIVE
    assert verdict(a, replace(a, series={**a.series, "trainer_val_loss": second})) is PASS


def test_a_course_on_one_side_alone_or_at_other_iterations_is_not_the_same():
    for other in (None, (*COURSE, (30.0, 2.0)), ((0.0, 4.0), (11.0, 3.0), (20.0, 2.0))):
        assert verdict(trained(2.0), trained(2.0, course=other)) is INCONCLUSIVE
        assert verdict(trained(2.0, course=other), trained(2.0)) is INCONCLUSIVE


def test_a_loss_without_a_course_is_decided_by_its_value():
    def tested(value):
        return record(key=CPU, metrics={"test_loss": measured("test_loss", value)})

    assert judge_loss(tested(2.0), tested(2.001), "test_loss", TERMS).reason == "the same value within 0.04998 %"
    assert verdict(tested(2.0), tested(2.01), "test_loss") is INCONCLUSIVE
    assert verdict(tested(2.0), tested(2.1), "test_loss") is REGRESSION


def test_the_value_has_to_be_the_same_and_not_only_the_course():
    assert verdict(trained(2.0), trained(2.1)) is REGRESSION
    assert verdict(trained(2.0), trained(2.003)) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(0.0, 0.0, PASS), (0.0, 0.003, PASS), (0.0, 0.005, INCONCLUSIVE), (0.0, 0.02, REGRESSION), (0.02, 0.0, IMPROVED)],
)
def test_a_gap_of_two_losses_is_measured_by_the_losses(old, new, expected):
    """A thousandth of the highest loss of the course, 4, is 0.004."""
    a, b = (trained(value, name="overfit_gap") for value in (old, new))
    assert verdict(a, b, "overfit_gap", replace(TERMS, floor=0.01)) is expected


def test_a_loss_of_which_neither_less_nor_more_is_better_is_the_same_or_open():
    a, b = (trained(value, name="val_loss_first") for value in (4.0, 9.0))
    assert verdict(a, a, "val_loss_first") is PASS
    assert verdict(a, b, "val_loss_first") is INCONCLUSIVE


@pytest.mark.parametrize(("old", "new", "expected"), [(0.0, 2.0, REGRESSION), (2.0, 0.0, IMPROVED), (0.0, 0.0, PASS)])
def test_a_loss_of_0_has_a_verdict(old, new, expected):
    assert verdict(trained(old, course=None), trained(new, course=None)) is expected


def test_a_loss_below_0_is_invalid_on_either_side():
    assert verdict(trained(-1.0), trained(2.0)) is verdict(trained(2.0), trained(-1.0)) is INVALID
    assert verdict(trained(-1.0), trained(-1.0)) is INVALID


def test_a_constant_loss_is_the_same_as_itself():
    flat = ((0.0, 2.0), (10.0, 2.0))
    assert verdict(trained(2.0, course=flat), trained(2.0, course=flat)) is PASS


def test_what_one_side_did_not_measure_is_missing():
    lost = record("training/tiny/r8", key=CPU, metrics={"val_loss_final": measured("val_loss_final", reason="stopped")})
    for nothing in (lost, trained(2.0, name="test_loss")):
        assert verdict(trained(2.0), nothing) is verdict(nothing, trained(2.0)) is MISSING


@pytest.mark.parametrize(
    "other", [None, key(device="gpu: One"), key(device="cpu: One", dtype="float16"), replace(CPU, settings={"seed": 1})]
)
def test_cases_that_were_not_measured_alike_are_never_judged(other):
    assert verdict(trained(2.0), trained(2.0, case_key=other)) is GateVerdict.NOT_COMPARABLE


values = st.floats(0, 10)
courses = st.lists(values, min_size=3, max_size=3).map(lambda y: tuple(zip((0.0, 1.0, 2.0), y, strict=True)))
sides = st.builds(lambda value, course: trained(value, value, course=course), values, st.none() | courses)
MIRROR = {REGRESSION: IMPROVED, IMPROVED: REGRESSION}


@given(sides, sides)
def test_swapped_sides_mirror_the_verdict(a, b):
    assert verdict(b, a) is MIRROR.get(verdict(a, b), verdict(a, b))


@given(sides, sides)
def test_a_pass_without_other_numerics_is_the_same_value_and_course(a, b):
    if verdict(a, b) is PASS:
        old, new = (value.metrics["val_loss_final"].samples[0][0] for value in (a, b))
        assert abs(new - old) <= 1e-3 * max(old, new)
        assert len(a.series) == len(b.series)
        if a.series:
            pairs = zip(a.series["val_loss"].y, b.series["val_loss"].y, strict=True)
            assert all(abs(y - x) <= 1.001e-3 * max(x, y) for x, y in pairs)
