from dataclasses import replace

import pytest

from harness.analysis.judge import Design
from harness.gate import baseline_rules
from harness.gate.baseline_rules import against, dropped, faults, slim
from harness.gate.policy_file import read_gate_policy
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.results.records import Published, Status
from tests.support.gate_samples import CASE, interval, row, unmeasured
from tests.support.samples import bundle, failed, full_record, key, losses, measured, record

TODAY = "2026-01-03"


def steady(rate, **run):
    """A run of one case with a speed in seven processes that differ by some thousandths."""
    speeds = [rate * (1 + step / 1000) for step in range(7)]
    stored = record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", *speeds)})
    return bundle(stored, **run)


def test_a_finished_run_of_cases_that_are_ok_may_become_a_baseline():
    assert faults(steady(100.0)) == []


def test_a_run_that_was_not_finished_may_not_and_is_told_how_to_go_on():
    (fault,) = faults(steady(100.0, finished_at=None, id="r7"))
    assert fault == "it was not finished; go on with it: pytest suites/ --resume r7"


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_every_case_that_is_not_ok_is_named_with_its_reason(status):
    bad = failed("training/tiny/r8", status=status, reason="no more memory")
    assert faults(bundle(record(), bad)) == [f"training/tiny/r8: {status.value}: no more memory"]


def test_a_run_without_a_case_that_is_ok_is_no_baseline():
    assert faults(bundle()) == ["it holds no case that is ok"]
    assert faults(bundle(failed())) == ["it holds no case that is ok", "inference/tiny/base: failed: it broke"]


def test_published_figures_are_no_baseline():
    (fault,) = faults(steady(100.0, published=Published(source="S2", date=None)))
    assert "read in a published report" in fault


def test_a_slower_run_is_called_a_regression_with_the_rows_that_say_so():
    standing = against(steady(100.0), steady(80.0, id="r2"), read_gate_policy(), TODAY)
    assert standing.verdict is GateVerdict.REGRESSION
    assert standing.worse == ("inference/tiny/base decode_tokens_per_s: 20.0 % fewer token/s [19.8, 20.2]",)
    assert standing.worst == standing.worse[0]


def test_a_faster_run_has_no_regressions():
    standing = against(steady(100.0), steady(200.0, id="r2"), read_gate_policy(), TODAY)
    assert (standing.verdict, standing.worse) == (GateVerdict.IMPROVED, ())


def noisy(rate, **run):
    """A run of one case whose seven processes differ by a third."""
    speeds = [rate * (1 + step / 10) for step in (-2, -1, 0, 0, 0, 1, 2)]
    stored = record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", *speeds)})
    return bundle(stored, **run)


@pytest.mark.parametrize(("rate", "looks_worse"), [(80.0, True), (98.0, False), (104.0, False)])
def test_what_noise_hides_looks_worse_only_beyond_the_tolerance(rate, looks_worse):
    standing = against(noisy(100.0), noisy(rate, id="r2"), read_gate_policy(), TODAY)
    assert standing.verdict is GateVerdict.INCONCLUSIVE
    assert bool(standing.worse) is looks_worse
    assert standing.worse in ((), (standing.worst,))
    assert standing.worst.startswith("inference/tiny/base decode_tokens_per_s: ")


def test_too_few_processes_for_an_interval_are_held_against_each_other_by_their_medians():
    one, other = (
        bundle(record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", rate)}), id=name)
        for name, rate in (("r1", 100.0), ("r2", 80.0))
    )
    (said,) = against(one, other, read_gate_policy(), TODAY).worse
    assert said.startswith(
        "inference/tiny/base decode_tokens_per_s: 100.0 token/s → 80.00 token/s, 20.0 % fewer token/s, n=1"
    )


def test_what_does_not_compare_looks_neither_way():
    standing = against(steady(100.0), slow_elsewhere(), read_gate_policy(), TODAY)
    assert (standing.verdict, standing.worse, standing.worst) == (GateVerdict.NOT_COMPARABLE, (), None)


def slow_elsewhere():
    run_bundle = steady(10.0, id="r2")
    (one,) = run_bundle.records
    return replace(run_bundle, records=(replace(one, key=key(dtype="bfloat16")),))


def answer(monkeypatch, *rows):
    """How a run stands of which the gate says this."""
    made = GateResult(baseline="a", candidate="b", design=Design.INDEPENDENT, rows=rows)
    monkeypatch.setattr(baseline_rules, "gate", lambda *_, **__: made)
    return against(bundle(), bundle(), read_gate_policy(), TODAY)


OPEN = row(GateVerdict.INCONCLUSIVE)  # +25 %, tolerance 3 %


def test_only_what_has_to_be_decided_is_looked_at_unless_nothing_has_to(monkeypatch):
    watched = replace(OPEN, role=Role.WATCHED, metric="step_s")
    even = replace(OPEN, ratio=interval(0.9, 1.0, 1.1))
    assert answer(monkeypatch, watched, even).worse == ()
    assert answer(monkeypatch, watched).worse == (f"{CASE} step_s: 25.0 % longer [12.5, 50.0]",)
    assert answer(monkeypatch, replace(OPEN, role=Role.IGNORED)).worse == ()


def test_a_pass_is_taken_whatever_a_row_looks_like(monkeypatch):
    assert answer(monkeypatch, row(GateVerdict.PASS)).worse == ()


def test_a_case_that_is_missing_does_not_hide_another_that_looks_worse(monkeypatch):
    outcome = answer(monkeypatch, unmeasured(), OPEN, replace(OPEN, metric="tpot_s", ratio=interval(1.0, 1.5, 2.0)))
    assert outcome.verdict is GateVerdict.MISSING
    assert outcome.worse == (
        f"{CASE} tpot_s: 50.0 % longer [0.0, 100.0]",
        f"{CASE} ttft_s: 25.0 % longer [12.5, 50.0]",
    )
    assert outcome.worst == outcome.worse[0]


def test_what_the_policy_ignores_is_no_regression(monkeypatch):
    gate_row = GateRow(case="c", metric="m", verdict=GateVerdict.REGRESSION, reason="slower", role=Role.IGNORED)
    ignoring = GateResult(
        baseline="a", candidate="b", design=Design.PAIRED, rows=(gate_row, replace(gate_row, role=Role.WATCHED))
    )
    monkeypatch.setattr(baseline_rules, "gate", lambda *_, **__: ignoring)
    assert against(bundle(), bundle(), read_gate_policy(), TODAY).worse == ("c m: slower",)


def test_cases_that_are_no_longer_there_are_named():
    both = bundle(record(), record("inference/tiny/r8"))
    assert dropped(both, bundle(record("inference/tiny/r8"))) == ["inference/tiny/base"]
    assert dropped(bundle(record()), both) == []


def test_what_a_gate_reads_stays_and_the_rest_goes():
    full = full_record(identity={"code": "x"}, data={"train": 3})
    speed = replace(losses((1, 5.0)), unit="token/s")
    full = replace(full, series=full.series | {"speed": speed})
    run_bundle = slim(bundle(full, warnings=("hot",)))
    (one,) = run_bundle.records
    assert (one.artifacts, one.notes, one.data) == ((), (), None)
    assert set(one.series) == {"train_loss", "val_loss"}
    assert (one.key, one.identity, one.metrics, one.outputs) == (full.key, full.identity, full.metrics, full.outputs)
    assert (one.case, one.status, one.started_at) == (full.case, full.status, full.started_at)
    assert run_bundle.run == bundle(full, warnings=("hot",)).run
    assert run_bundle.environment is not None
