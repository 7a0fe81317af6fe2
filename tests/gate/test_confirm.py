from harness.analysis.judge import Design
from harness.analysis.stats.estimates import Interval
from harness.gate.confirm import confirmed, suspected
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording.terms import full_reason
from harness.results.records import Kind

RATIO = Interval(low=1.04, point=1.05, high=1.06, confidence=0.95, method="")
AGAIN = Interval(low=1.07, point=1.08, high=1.09, confidence=0.95, method="")


def row(case="inference/m/a", verdict=GateVerdict.REGRESSION, *, kind=Kind.TIMING, ratio=RATIO, **changed):
    fields = {"metric": "ttft_s", "reason": ""} | changed
    return GateRow(case=case, verdict=verdict, kind=kind, ratio=ratio, **fields)


def result(*rows, candidate="b"):
    return GateResult(baseline="a", candidate=candidate, design=Design.INDEPENDENT, rows=rows)


def test_only_what_noise_may_have_made_is_suspected():
    gate_result = result(
        row("inference/m/a"),
        row("inference/m/b", GateVerdict.PASS),
        row("inference/m/c", kind=Kind.EXACT, ratio=None),
        row("inference/m/d", kind=Kind.MEMORY, ratio=None),  # the same in every process
        row("inference/m/e", role=Role.IGNORED, ignored="known"),
        row("inference/m/a", metric="itl_s"),
        row("inference/m/f", kind=Kind.MEMORY),
    )
    assert suspected(gate_result) == ("inference/m/a", "inference/m/f")


def test_what_recurs_counts_and_says_both():
    answer = confirmed(result(row()), result(row(ratio=AGAIN), candidate="b-again"))
    assert answer.verdict is GateVerdict.REGRESSION
    assert full_reason(answer.rows[0]) == "ratio 1.050 [1.040, 1.060]; measured again: ratio 1.080 [1.070, 1.090]"
    assert "b-again" in answer.warnings[-1]


def test_what_does_not_recur_is_what_it_was_the_second_time():
    for verdict in (GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.IMPROVED):
        answer = confirmed(
            result(row(), row("inference/m/b")), result(row(verdict=verdict, ratio=AGAIN), row("inference/m/b"))
        )
        assert [found.verdict for found in answer.rows] == [verdict, GateVerdict.REGRESSION]
        assert full_reason(answer.rows[0]) == (
            "suspected (ratio 1.050 [1.040, 1.060]), and it did not recur: ratio 1.080 [1.070, 1.090]"
        )


def test_what_could_not_be_measured_again_is_open():
    for again in (result(), result(row(verdict=GateVerdict.MISSING)), result(row(verdict=GateVerdict.INVALID))):
        assert confirmed(result(row()), again).verdict is GateVerdict.INCONCLUSIVE


def test_what_was_not_suspected_stays():
    exact = row("inference/m/c", kind=Kind.EXACT, ratio=None)
    assert confirmed(result(exact), result()).rows == (exact,)
