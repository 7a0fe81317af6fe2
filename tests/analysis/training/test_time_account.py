import pytest

from harness.analysis.training.time_account import reconcile


def test_parts_that_add_up_are_reconciled():
    clock = reconcile(100.0, {"training": 80.0, "validation": 15.0})
    assert (clock.wall_s, clock.accounted_s, clock.share_off, clock.reconciled) == (100.0, 95.0, 0.05, True)


@pytest.mark.parametrize(("accounted_s", "reconciled"), [(90.0, True), (89.96, False), (110.0, True), (110.04, False)])
def test_a_tenth_of_the_wall_clock_may_be_missing_or_too_much(accounted_s, reconciled):
    clock = reconcile(100.0, {"all": accounted_s})
    assert clock.reconciled is reconciled
    assert clock.share_off == pytest.approx(1 - accounted_s / 100)


def test_a_clock_without_parts_has_no_account():
    assert (reconcile(2.0, {}).share_off, reconcile(2.0, {}).reconciled) == (1.0, False)


@pytest.mark.parametrize("wall_s", [0.0, -1.0])
def test_a_clock_that_did_not_run_is_refused(wall_s):
    with pytest.raises(ValueError, match=f"a time above 0, got {wall_s} s"):
        reconcile(wall_s, {})
