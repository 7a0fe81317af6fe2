from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate import GateVerdict, exit_code, gate, overall
from harness.metrics import metric
from harness.records import Bundle, Key, Record, RunInfo, Status, Weights

KEY = Key(
    model="m",
    weights=Weights(source="hub", sha256="a" * 64, bytes=1),
    tokenizer="t",
    dtype="float32",
    quantization=None,
    adapter=None,
    dataset=None,
    device="cpu: x",
    settings={},
)
FAST = ((100.0,), (101.0,), (99.0,), (100.5,), (99.5,), (100.2,))
SLOW = tuple((value * 0.9,) for (value,) in FAST)


def record(case="training/m/a", key=KEY, **metrics):
    values = {name: metric(name, samples) for name, samples in metrics.items()}
    return Record(
        case=case, suite="training", status=Status.OK, reason=None, started_at="", wall_s=1.0, key=key, metrics=values
    )


def bundle(*records, run_id="b", paired_with=None):
    run = RunInfo(
        id=run_id, started_at="", finished_at="", command=(), profile="smoke", git=None, paired_with=paired_with
    )
    return Bundle(schema=1, run=run, environment=None, records=records)


def verdict(baseline, candidate, **changed):
    return overall(gate(bundle(*baseline), bundle(*candidate, run_id="c", **changed)))


def test_a_slowdown_of_ten_percent_is_a_regression():
    assert verdict([record(train_tokens_per_s=FAST)], [record(train_tokens_per_s=SLOW)]) is GateVerdict.REGRESSION


def test_the_other_way_round_it_is_an_improvement():
    assert verdict([record(train_tokens_per_s=SLOW)], [record(train_tokens_per_s=FAST)]) is GateVerdict.IMPROVED


def test_the_same_run_passes():
    assert verdict([record(train_tokens_per_s=FAST)], [record(train_tokens_per_s=FAST)]) is GateVerdict.PASS


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_too_few_processes_never_pass(processes):
    few = record(train_tokens_per_s=FAST[:processes])
    assert verdict([few], [few]) is GateVerdict.INCONCLUSIVE


def test_a_missing_case_never_passes():
    assert verdict([record(train_tokens_per_s=FAST)], []) is GateVerdict.MISSING


def test_a_missing_metric_never_passes():
    both = record(train_tokens_per_s=FAST, disk_bytes=((1.0,),))
    assert verdict([both], [record(disk_bytes=((1.0,),))]) is GateVerdict.MISSING


def test_an_empty_baseline_never_passes():
    assert verdict([], [record(train_tokens_per_s=FAST)]) is GateVerdict.MISSING


def test_a_failed_candidate_never_passes():
    its = record(train_tokens_per_s=FAST)
    assert verdict([its], [replace(its, status=Status.CRASHED, reason="SIGKILL")]) is GateVerdict.INVALID


def test_a_failed_baseline_never_passes():
    its = record(train_tokens_per_s=FAST)
    assert verdict([replace(its, status=Status.OOM, reason="no memory")], [its]) is GateVerdict.INVALID


def test_another_device_is_not_comparable_and_is_named():
    other = record(key=replace(KEY, device="gpu: y"), train_tokens_per_s=SLOW)
    (row,) = gate(bundle(record(train_tokens_per_s=FAST)), bundle(other))
    assert row.verdict is GateVerdict.NOT_COMPARABLE
    assert "device" in row.reason


def test_an_exact_quantity_that_changed_is_a_regression_though_neither_way_is_better():
    assert (
        verdict([record(total_parameters=((100.0,),))], [record(total_parameters=((101.0,),))])
        is GateVerdict.REGRESSION
    )
    assert verdict([record(total_parameters=((100.0,),))], [record(total_parameters=((100.0,),))]) is GateVerdict.PASS


def test_pairs_are_used_where_the_runs_were_interleaved():
    """Each pair differs by 10 % while the machine drifts by a factor of three: only pairing can see it."""
    drift = [1.0, 1.3, 1.7, 2.1, 2.6, 3.0]
    before = record(train_tokens_per_s=tuple((100.0 * its,) for its in drift))
    after = record(train_tokens_per_s=tuple((90.0 * its,) for its in drift))
    assert verdict([before], [after]) is GateVerdict.INCONCLUSIVE
    assert verdict([before], [after], paired_with="b") is GateVerdict.REGRESSION


@pytest.mark.parametrize(
    ("its", "code"),
    [
        (GateVerdict.PASS, 0),
        (GateVerdict.IMPROVED, 0),
        (GateVerdict.REGRESSION, 1),
        (GateVerdict.INCONCLUSIVE, 3),
        (GateVerdict.NOT_COMPARABLE, 3),
        (GateVerdict.MISSING, 3),
        (GateVerdict.INVALID, 3),
    ],
)
def test_exit_codes_are_those_of_the_contract(its, code):
    assert exit_code(its) == code


def test_a_regression_outweighs_everything():
    baseline = [record(train_tokens_per_s=FAST), record(case="training/m/b", train_tokens_per_s=FAST)]
    assert verdict(baseline, [record(train_tokens_per_s=SLOW)]) is GateVerdict.REGRESSION


@given(st.lists(st.floats(min_value=1, max_value=1e6), min_size=5, max_size=8))
def test_no_run_is_a_regression_of_itself(values):
    its = record(train_tokens_per_s=tuple((value,) for value in values))
    assert verdict([its], [its]) in {GateVerdict.PASS, GateVerdict.INCONCLUSIVE}
