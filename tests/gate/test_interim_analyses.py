import pytest

from harness.analysis.judge import Design
from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role


def result(*rows):
    gate_rows = (GateRow(case="c", metric="m", verdict=verdict, reason="", role=role) for verdict, role in rows)
    return GateResult(baseline="a", candidate="b", design=Design.PAIRED, rows=tuple(gate_rows))


@pytest.mark.parametrize(
    ("pairs", "analyses"),
    [(30, (10, 15, 20, 30)), (20, (10, 15, 20)), (12, (10, 12)), (10, (10,)), (3, (3,)), (50, (10, 15, 20, 30, 50))],
)
def test_the_last_look_is_at_all_pairs(pairs, analyses):
    assert interim_analyses.schedule(pairs) == analyses


def test_it_is_clear_when_all_that_has_to_be_decided_is():
    assert interim_analyses.may_stop(
        result((GateVerdict.PASS, Role.REQUIRED), (GateVerdict.INCONCLUSIVE, Role.WATCHED))
    )
    assert not interim_analyses.may_stop(
        result((GateVerdict.PASS, Role.REQUIRED), (GateVerdict.INCONCLUSIVE, Role.REQUIRED))
    )


def test_what_more_pairs_cannot_mend_is_clear():
    assert interim_analyses.may_stop(
        result((GateVerdict.INVALID, Role.REQUIRED), (GateVerdict.REGRESSION, Role.REQUIRED))
    )


def test_one_regression_is_clear_whatever_else_is_open():
    assert interim_analyses.may_stop(
        result((GateVerdict.REGRESSION, Role.WATCHED), (GateVerdict.INCONCLUSIVE, Role.REQUIRED))
    )
    assert not interim_analyses.may_stop(
        result((GateVerdict.REGRESSION, Role.IGNORED), (GateVerdict.INCONCLUSIVE, Role.REQUIRED))
    )


def test_without_anything_required_the_watched_decide():
    assert not interim_analyses.may_stop(result((GateVerdict.INCONCLUSIVE, Role.WATCHED)))
    assert interim_analyses.may_stop(result((GateVerdict.PASS, Role.WATCHED)))


def test_nothing_ignored_is_waited_for():
    assert interim_analyses.may_stop(
        result((GateVerdict.PASS, Role.REQUIRED), (GateVerdict.INCONCLUSIVE, Role.IGNORED))
    )
