from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.judge import Design
from harness.gate.decide import gate as gate_with
from harness.gate.policy_file import read_gate_policy
from harness.gate.verdicts import GateVerdict, Role, exit_code
from harness.results.metrics import metric
from harness.results.records import Better, Bundle, Key, Kind, Record, RunInfo, Status, Weights

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


def gate(baseline, candidate, **changed):
    return gate_with(baseline, candidate, read_gate_policy(), today="2026-11-22", **changed)


def verdict(baseline, candidate, **changed):
    return gate(bundle(*baseline), bundle(*candidate, run_id="c", **changed)).verdict


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
    stored = record(train_tokens_per_s=FAST)
    assert verdict([stored], [replace(stored, status=Status.CRASHED, reason="SIGKILL")]) is GateVerdict.INVALID


def test_a_failed_baseline_never_passes():
    stored = record(train_tokens_per_s=FAST)
    assert verdict([replace(stored, status=Status.OOM, reason="no memory")], [stored]) is GateVerdict.INVALID


def test_another_device_is_not_comparable_and_is_named():
    other = record(key=replace(KEY, device="gpu: y"), train_tokens_per_s=SLOW)
    (row,) = gate(bundle(record(train_tokens_per_s=FAST)), bundle(other)).rows
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
    before = record(train_tokens_per_s=tuple((100.0 * value,) for value in drift))
    after = record(train_tokens_per_s=tuple((90.0 * value,) for value in drift))
    assert verdict([before], [after]) is GateVerdict.INCONCLUSIVE
    assert verdict([before], [after], paired_with="b") is GateVerdict.REGRESSION


@pytest.mark.parametrize(
    ("rows_given", "code"),
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
def test_exit_codes_are_those_of_the_contract(rows_given, code):
    assert exit_code(rows_given) == code


def test_a_regression_outweighs_everything():
    baseline = [record(train_tokens_per_s=FAST), record(case="training/m/b", train_tokens_per_s=FAST)]
    assert verdict(baseline, [record(train_tokens_per_s=SLOW)]) is GateVerdict.REGRESSION


@given(st.lists(st.floats(min_value=1, max_value=1e6), min_size=5, max_size=8))
def test_no_run_is_a_regression_of_itself(values):
    stored = record(train_tokens_per_s=tuple((value,) for value in values))
    assert verdict([stored], [stored]) in {GateVerdict.PASS, GateVerdict.INCONCLUSIVE}


# --- what has to be decided, and what may stay open ---

NOISY = ((100.0,), (70.0,), (130.0,), (85.0,), (115.0,), (95.0,))  # decides nothing against itself or FAST
BYTES = ((5_000_000.0,),) * 6


def rows(baseline, candidate, **changed):
    answer = gate(bundle(*baseline), bundle(*candidate, run_id="c", **changed))
    return {row.title: row for row in answer.rows}


def test_a_watched_metric_may_stay_open():
    stored = record(train_tokens_per_s=FAST, train_steps_per_s=NOISY)
    assert rows([stored], [stored])["train_steps_per_s"].verdict is GateVerdict.INCONCLUSIVE
    assert verdict([stored], [stored]) is GateVerdict.PASS


def test_a_watched_metric_that_regressed_counts():
    assert (
        verdict(
            [record(train_tokens_per_s=FAST, train_steps_per_s=FAST)],
            [record(train_tokens_per_s=FAST, train_steps_per_s=SLOW)],
        )
        is GateVerdict.REGRESSION
    )


def test_something_of_time_has_to_be_decided_in_every_case():
    """No headline of time among them, so the watched one is required."""
    stored = record(total_parameters=((100.0,),), train_steps_per_s=NOISY)
    assert verdict([stored], [stored]) is GateVerdict.INCONCLUSIVE
    quiet = record(total_parameters=((100.0,),), train_steps_per_s=FAST)
    assert verdict([quiet], [quiet]) is GateVerdict.PASS


def test_of_scenarios_the_metric_over_all_is_decided_and_single_ones_are_watched():
    def rates(second):
        samples = tuple((value, second * value) for (value,) in FAST)
        return replace(
            record(), metrics={"decode_tokens_per_s": metric("decode_tokens_per_s", samples, labels=("a", "b"))}
        )

    found = rows([rates(1.0)], [rates(0.8)])
    roles = {title: row.role for title, row in found.items()}
    assert roles == {
        "decode_tokens_per_s": Role.REQUIRED,
        "decode_tokens_per_s a": Role.WATCHED,
        "decode_tokens_per_s b": Role.WATCHED,
    }
    assert found["decode_tokens_per_s"].change == pytest.approx(0.8**-0.5 - 1)  # one of two scenarios lost a fifth
    assert found["decode_tokens_per_s b"].verdict is GateVerdict.REGRESSION
    assert found["decode_tokens_per_s a"].verdict is GateVerdict.PASS


def test_what_only_the_candidate_holds_is_missing_and_does_not_count():
    more = record(train_tokens_per_s=FAST, ttft_s=FAST)
    found = rows([record(train_tokens_per_s=FAST)], [more, record(case="training/m/b", train_tokens_per_s=FAST)])
    assert found["ttft_s"].verdict is found[""].verdict is GateVerdict.MISSING
    assert found["ttft_s"].role is found[""].role is Role.IGNORED
    assert verdict([record(train_tokens_per_s=FAST)], [more]) is GateVerdict.PASS


def test_a_case_without_anything_to_judge_never_passes():
    assert verdict([record()], [record()]) is GateVerdict.MISSING


# --- one metric ---


def test_a_small_slowdown_against_a_stored_baseline_is_open_as_the_machine_may_be_it():
    other = record(train_tokens_per_s=tuple((value / 1.06,) for (value,) in FAST))
    row = rows([record(train_tokens_per_s=FAST)], [other])["train_tokens_per_s"]
    assert row.verdict is GateVerdict.INCONCLUSIVE
    assert row.detectable >= 1.05 * 1.03 - 1


def test_what_is_better_by_less_than_can_be_told_passes():
    """Its interval reaches from 4 % faster to as fast as before: slower it is not."""
    faster = tuple((value * (1.04 if i % 2 else 1.0),) for i, (value,) in enumerate(FAST))
    row = rows([record(train_tokens_per_s=FAST)], [record(train_tokens_per_s=faster)])["train_tokens_per_s"]
    assert row.verdict is GateVerdict.PASS
    assert row.ratio.high > 1.03


def test_memory_that_never_varies_is_compared_as_it_is():
    def of(size, processes=2):
        return record(train_tokens_per_s=FAST, peak_active_bytes=((size,),) * processes)

    before = of(500_000_000.0)
    for size, expected in (
        (500_000_000.0, GateVerdict.PASS),
        (504_000_000.0, GateVerdict.PASS),  # within 1 %
        (506_000_000.0, GateVerdict.REGRESSION),
        (494_000_000.0, GateVerdict.IMPROVED),
    ):
        assert rows([before], [of(size)])["peak_active_bytes"].verdict is expected
    assert rows([of(5e8, 1)], [of(5e8, 1)])["peak_active_bytes"].verdict is GateVerdict.INCONCLUSIVE


def test_below_the_floor_no_two_processes_may_differ_by_more():
    """16 MiB for what a process keeps: 10 MB apart is nothing, and one process that is 20 MB apart is not below it."""
    before = record(train_tokens_per_s=FAST, peak_footprint_bytes=((5e8,), (5.01e8,)))
    for other, expected in (((5.1e8,), GateVerdict.PASS), ((5.2e8,), GateVerdict.INCONCLUSIVE)):
        after = record(train_tokens_per_s=FAST, peak_footprint_bytes=((5e8,), other))
        assert rows([before], [after])["peak_footprint_bytes"].verdict is expected


@pytest.mark.parametrize("odd", [0.0, -1.0])
def test_a_time_that_cannot_be_is_invalid(odd):
    stored = record(train_tokens_per_s=((odd,), *FAST[1:]))
    for sides in (
        ([record(train_tokens_per_s=FAST)], [stored]),
        ([stored], [record(train_tokens_per_s=FAST)]),
        ([stored], [stored]),
    ):
        assert verdict(*sides) is GateVerdict.INVALID


def test_a_row_says_what_it_rests_on():
    row = rows([record(train_tokens_per_s=FAST)], [record(train_tokens_per_s=SLOW)])["train_tokens_per_s"]
    assert (row.unit, row.kind, row.tolerance, row.processes) == ("token/s", Kind.TIMING, 0.03, (6, 6))
    assert (row.baseline, row.candidate) == pytest.approx((100.1, 90.09))
    assert row.change == pytest.approx(1 / 0.9 - 1, rel=0.01)
    assert row.ratio.low < 0.9 < row.ratio.high


def test_few_processes_are_told_how_many_are_lacking():
    few = record(train_tokens_per_s=FAST[:2])
    assert rows([few], [few])["train_tokens_per_s"].more == 3
    row = rows([few], [few], paired_with="b")["train_tokens_per_s"]
    assert (row.more, row.reason) == (4, "n=2; a verdict needs 6 pairs")


# --- the machine ---


def of_machine(rate):
    return record(train_tokens_per_s=FAST, probe_gemm_flops_per_s=tuple((rate * value,) for (value,) in FAST))


def test_a_machine_that_changed_leaves_times_open():
    """The probe lost a tenth, so what the model lost may be the machine's."""
    answer = gate(bundle(of_machine(1.0)), bundle(of_machine(0.9), run_id="c"))
    (row,) = [row for row in answer.rows if row.metric == "train_tokens_per_s"]
    assert row.verdict is GateVerdict.INCONCLUSIVE
    assert "the machine changed (matrix products: 10.00 % slower" in row.reason
    assert any("matrix products" in warning for warning in answer.warnings)


def test_a_run_against_itself_is_noticed():
    said = "baseline and candidate are the same run"
    assert said in gate(bundle(of_machine(1.0)), bundle(of_machine(1.0))).warnings
    assert said not in gate(bundle(of_machine(1.0)), bundle(of_machine(1.0), run_id="c")).warnings


def test_of_pairs_the_machine_is_the_same():
    answer = gate(bundle(of_machine(1.0)), bundle(of_machine(0.9), run_id="c", paired_with="b"))
    (row,) = [row for row in answer.rows if row.metric == "train_tokens_per_s"]
    assert row.verdict is GateVerdict.PASS
    assert answer.design is Design.PAIRED


def test_either_run_may_name_the_other_as_its_pair():
    one = bundle(record(train_tokens_per_s=FAST), paired_with="c")
    assert gate(one, bundle(record(train_tokens_per_s=FAST), run_id="c")).design is Design.PAIRED


# --- many metrics ---

NAMES = (
    "train_steps_per_s",
    "train_rows_per_s",
    "train_bytes_per_s",
    "step_s",
    "first_step_s",
    "train_padded_tokens_per_s",
)


def pairs(*gains):
    return tuple((100.0 * (1 + gain),) for gain in gains)


def test_one_of_many_metrics_that_looks_changed_is_taken_back():
    """Seven pairs leave 1.4 % to chance, and seven equal signs prove 0.8 %: enough for one metric, not of six."""
    steady = {name: pairs(0, 0.001, -0.001, 0.002, -0.002, 0.003, -0.003) for name in NAMES}
    slow = pairs(-0.05, -0.049, -0.051, -0.052, -0.048, -0.05, -0.047)
    others = {name: steady[name] for name in NAMES if name != "train_rows_per_s"}

    def judged(baseline, candidate):
        return rows([record(**baseline)], [record(**candidate)], paired_with="b")["train_rows_per_s"]

    flat = pairs(*[0.0] * 7)
    alone = judged({"train_rows_per_s": flat}, {"train_rows_per_s": slow})
    assert alone.verdict is GateVerdict.REGRESSION
    among = judged({"train_rows_per_s": flat, **others}, {"train_rows_per_s": slow, **others})
    assert among.verdict is GateVerdict.INCONCLUSIVE
    assert "one of 6 watched metrics" in among.reason
    assert among.more > 0


def many_cases(slow, **changed):
    """Twelve cases of five processes, of which the first is judged with *slow* processes."""
    names = [f"training/m/c{number}" for number in range(12)]
    before = [record(case=name, train_tokens_per_s=FAST[:5]) for name in names]
    after = [record(case=name, train_tokens_per_s=slow if name == names[0] else FAST[:5]) for name in names]
    return gate(bundle(*before), bundle(*after, run_id="c", **changed)).rows[0].verdict


def test_a_gross_change_of_a_required_metric_is_believed_among_many_of_a_stored_baseline():
    """Five against five prove 0.4 %, which is too little among twelve, but for what is far beyond noise."""
    for loss, expected in ((0.12, GateVerdict.INCONCLUSIVE), (0.5, GateVerdict.REGRESSION)):
        assert many_cases(tuple((value * (1 - loss),) for (value,) in FAST[:5])) is expected


def test_of_pairs_and_of_watched_metrics_a_gross_change_needs_as_much_proof_as_any():
    """Seven against seven, or seven pairs, one of six watched metrics halved."""
    steady = {name: pairs(0, 0.001, -0.001, 0.002, -0.002, 0.003, -0.003) for name in NAMES}
    slow = steady | {"train_rows_per_s": pairs(-0.5, -0.51, -0.49, -0.5, -0.52, -0.48, -0.5)}
    before, after = (record(train_tokens_per_s=pairs(*[0.0] * 7), **value) for value in (steady, slow))
    assert rows([before], [after], paired_with="b")["train_rows_per_s"].verdict is GateVerdict.INCONCLUSIVE
    few = [
        replace(value, metrics={n: replace(m, samples=m.samples[:5]) for n, m in value.metrics.items()})
        for value in (before, after)
    ]
    assert rows([few[0]], [few[1]])["train_rows_per_s"].verdict is GateVerdict.INCONCLUSIVE


def test_each_look_spends_its_share():
    """Of ten pairs one look leaves 1 % to chance, four looks a quarter of 0.5 % each."""
    before, after = pairs(*[0.0] * 10), pairs(*[-0.05, -0.02, -0.06, -0.02, 0.01, -0.05, -0.04, -0.01, -0.06, 0.01])

    def judged(looks):
        answer = gate(
            bundle(record(train_tokens_per_s=before)),
            bundle(record(train_tokens_per_s=after), run_id="c", paired_with="b"),
            looks=looks,
        )
        return answer.verdict

    assert judged(1) is GateVerdict.REGRESSION
    assert judged(4) is GateVerdict.INCONCLUSIVE


# --- whatever comes ---

reading = st.one_of(st.sampled_from([0.0, -1.0, 1.0, 1e-300, 1e300]), st.floats(min_value=-1e3, max_value=1e3))
samples = st.lists(st.lists(reading, min_size=1, max_size=3).map(tuple), min_size=1, max_size=8).map(tuple)


@given(
    samples, samples, st.booleans(), st.sampled_from(["train_tokens_per_s", "step_s", "peak_active_bytes", "load_s"])
)
@settings(deadline=None, max_examples=300)
def test_a_pass_is_no_accident(before, after, paired, name):
    """Whatever the readings, and however many: who passes lost no more than is tolerated, by the medians at least."""
    row = rows([record(**{name: before})], [record(**{name: after})], paired_with="b" if paired else None)[name]
    if row.verdict is not GateVerdict.PASS:
        return
    cost = row.candidate - row.baseline if row.better is Better.LOWER else row.baseline - row.candidate
    assert min(row.processes) >= (5 if row.kind is Kind.TIMING else 2)
    assert min(row.baseline, row.candidate) > 0 or row.baseline == row.candidate or row.kind is Kind.MEMORY
    if row.ratio is not None:
        worst = 1 / row.ratio.low if row.better is Better.HIGHER else row.ratio.high
        assert worst < 1 + row.tolerance
    else:
        assert cost <= max(row.tolerance * abs(row.baseline), 2**20)  # the floor of memory, 1 MiB


@given(samples, samples, st.booleans())
@settings(deadline=None, max_examples=200)
def test_swapping_the_sides_turns_a_regression_into_an_improvement(before, after, paired):
    def judged(one, other):
        gate_rows = rows([record(step_s=one)], [record(step_s=other)], paired_with="b" if paired else None)
        return gate_rows["step_s"].verdict

    forth, back = judged(before, after), judged(after, before)
    if forth is GateVerdict.REGRESSION:
        assert back in {GateVerdict.IMPROVED, GateVerdict.PASS}
    assert (forth is GateVerdict.INVALID) == (back is GateVerdict.INVALID)


def test_a_stored_pair_says_itself_how_often_it_was_judged():
    before, after = pairs(*[0.0] * 10), pairs(*[-0.05, -0.02, -0.06, -0.02, 0.01, -0.05, -0.04, -0.01, -0.06, 0.01])
    run_bundle = bundle(record(train_tokens_per_s=after), run_id="c", paired_with="b")
    grown = replace(run_bundle, run=replace(run_bundle.run, options={"ab": {"looks": [10, 15, 20, 30]}}))
    baseline = bundle(record(train_tokens_per_s=before))
    assert gate(baseline, run_bundle).verdict is GateVerdict.REGRESSION
    assert gate(baseline, grown).verdict is GateVerdict.INCONCLUSIVE


# --- what must not pass, though it would not be waited for ---


def test_a_watched_metric_that_looks_gravely_worse_holds_the_gate_up():
    """Ten times as long in every process, and too few of them to prove it among so many."""
    names = [f"training/m/c{number}" for number in range(8)]
    before = [record(case=name, train_tokens_per_s=FAST[:5], load_s=FAST[:5]) for name in names]
    slow = tuple((10 * value,) for (value,) in FAST[:5])
    after = [replace(before[0], metrics=before[0].metrics | {"load_s": metric("load_s", slow)}), *before[1:]]
    answer = gate(bundle(*before), bundle(*after, run_id="c"))
    (row,) = [row for row in answer.rows if row.metric == "load_s" and row.case == names[0]]
    assert (row.verdict, row.role) == (GateVerdict.INCONCLUSIVE, Role.REQUIRED)
    assert answer.verdict is GateVerdict.INCONCLUSIVE


def test_a_watched_peak_of_two_processes_that_is_far_higher_holds_the_gate_up():
    def of(scale):
        return record(train_tokens_per_s=FAST, peak_cache_bytes=((scale * 1e8,), (scale * 1.004e8,)))

    assert verdict([of(1)], [of(10)]) is GateVerdict.INCONCLUSIVE
    assert verdict([of(1)], [of(1)]) is GateVerdict.PASS


def test_a_property_of_all_answers_that_is_lost_holds_the_gate_up():
    def of(value):
        return record(train_tokens_per_s=FAST, fused_top1_agreement=((value,),) * 6)

    assert verdict([of(1.0)], [of(0.0)]) is GateVerdict.INCONCLUSIVE
    assert verdict([of(1.0)], [of(1.0)]) is GateVerdict.PASS


@pytest.mark.parametrize(
    "changed", [{"unit": "ms"}, {"better": Better.HIGHER}, {"kind": Kind.MEMORY}], ids=["unit", "better", "kind"]
)
def test_a_metric_that_is_recorded_as_another_is_invalid(changed):
    fine = record(step_s=FAST)
    odd = replace(fine, metrics={"step_s": replace(fine.metrics["step_s"], **changed)})
    for before, after in ((fine, odd), (odd, fine), (odd, odd)):
        assert rows([before], [after])["step_s"].verdict is GateVerdict.INVALID


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("adapter_bytes", 5.0, -5.0),
        ("disk_bytes", 5.0, 0.0),
        ("peak_active_bytes", 5e9, 0.0),
        ("peak_active_bytes", -5.0, -5.0),
        ("step_s", 1.0, 1.7e308),
    ],
)
def test_what_cannot_be_is_invalid(name, before, after):
    sides = (record(**{name: ((value,) if value < 1e300 else (value, value),) * 6}) for value in (before, after))
    assert rows(*([side] for side in sides))[name].verdict is GateVerdict.INVALID


def test_every_reading_of_a_count_counts():
    before, after = (record(total_parameters=(value,) * 2) for value in ((1.0, 2.0, 3.0), (2.0, 2.0, 900.0)))
    assert rows([before], [after])["total_parameters"].verdict is GateVerdict.REGRESSION


def test_a_run_is_no_pair_of_itself():
    run_bundle = bundle(record(train_tokens_per_s=FAST), paired_with="b")
    assert gate(run_bundle, run_bundle).design is Design.INDEPENDENT
