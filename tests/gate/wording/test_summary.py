from harness.gate.verdicts import GateVerdict, Origin, Role
from harness.gate.wording import summary
from harness.results.records import Better, Kind
from tests.support.gate_samples import every_kind, interval, result, row, unmeasured

OPEN, WORSE, BETTER = GateVerdict.INCONCLUSIVE, GateVerdict.REGRESSION, GateVerdict.IMPROVED
CASE = "inference/tiny/base"


def test_the_worst_required_row_is_what_an_answer_is_called_by():
    rate = row(WORSE, "decode", unit="token/s", better=Better.HIGHER, ratio=interval(0.7, 0.75, 0.8))
    rows = [row(WORSE, "a", role=Role.WATCHED, ratio=interval(5, 6, 7)), row(WORSE, "b"), rate]
    assert summary.headline(result(*rows)) == f"regression: {CASE} decode 25.0 % fewer token/s (and 2 more)"


def test_without_an_interval_the_values_or_the_reason_are_said():
    exact = row(WORSE, "count", kind=Kind.EXACT, unit="token", ratio=None, baseline=2.0, candidate=3.0)
    assert summary.headline(result(exact)) == f"regression: {CASE} count: 2 token → 3 token"
    assert summary.headline(result(unmeasured())) == f"missing: {CASE} load_s: not there"
    assert summary.headline(result(unmeasured(metric="", case=""))) == "missing: the run: not there"
    assert summary.headline(result()) == "missing: nothing was compared"
    assert summary.headline(result(row(OPEN))) == f"inconclusive: {CASE} ttft_s 25.0 % longer"


def test_a_pass_names_the_times_it_decided_and_what_would_have_shown_in_them():
    rows = [
        row(detectable=0.02),
        row(detectable=0.05, case="other"),
        row(metric="step_s", detectable=0.03),
        row(metric="peak", kind=Kind.MEMORY, detectable=0.001),
        row(metric="slow", role=Role.WATCHED, detectable=0.5),
    ]
    said = "ttft_s, step_s of 2 cases; a change of 2.0 % to 5.0 % would have shown"
    assert summary.headline(result(*rows)) == f"pass: {said}"
    better = row(BETTER, "b", detectable=0.02, ratio=interval(0.5, 0.75, 0.875))
    assert summary.headline(result(better)) == (
        f"improved: {CASE} b 25.0 % shorter; b of 1 case; a change of 2.0 % would have shown"
    )
    exact = row(kind=Kind.EXACT, ratio=None)
    assert summary.headline(result(exact)) == "pass: 1 decided, none of them a time"


def test_watched_regressions_are_folded_beside_required_ones_only():
    watched = [row(WORSE, value, role=Role.WATCHED) for value in "abcd"]
    required = row(WORSE)
    assert summary.regressions(result(*watched)) == (watched, [])
    assert summary.regressions(result(*watched, required)) == ([required], watched)
    assert summary.watched_too([*watched, row(WORSE, "e", case="x")]) == [
        f"{CASE}: 4 watched metrics of it got worse too: a, b, c and 1 more",
        "x: 1 watched metric of it got worse too: e",
    ]


def test_both_sides_can_be_traced():
    a = Origin(run="run-a", started_at="2026-11-01", commit="abc1234", mlx="0.31.0", typed="default", number=3)
    b = Origin(run="run-b", started_at="2026-11-02", commit="abc1234", dirty=True, arm="same", typed="run-b")
    assert summary.origins(result(origins=(a, b))) == [
        "baseline: default, number 3, run run-a, measured 2026-11-01, commit abc1234, mlx 0.31.0, mlx-lm unknown",
        (
            "candidate: run run-b, measured 2026-11-02, environment same, commit abc1234 with changes, "
            "mlx unknown, mlx-lm unknown"
        ),
    ]
    assert summary.origins(every_kind()) == []


def test_what_stays_open_is_counted():
    assert summary.still_open(1) == "1 watched metric undecided, which the verdict does not need"
    assert summary.still_open(39).startswith("39 watched metrics undecided")
