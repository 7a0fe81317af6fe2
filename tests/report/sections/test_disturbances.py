from harness.report.sections.disturbances import timings_to_distrust
from tests.support.samples import bundle, key, measured, record

GEMM, REPEAT = "probe_gemm_flops_per_s", "repeat_decode_tokens_per_s"


def probed(name, *rates, **others):
    return record(f"inference/{name}/base", metrics={GEMM: measured(GEMM, *rates)}, **others)


def findings_of(*records):
    return [
        (finding.subject, finding.rule, finding.text) for finding in timings_to_distrust([bundle(*records)]).findings
    ]


def test_a_case_measured_while_the_machine_was_slower_is_named():
    quiet = [probed(name, 100.0) for name in ("a", "b", "c")]
    assert findings_of(*quiet, probed("d", 50.0)) == [
        ("inference/d/base", "R2", "the machine's own matrix products ran at 50.00 % of the median case's")
    ]


def test_one_slow_process_of_several_is_enough():
    assert [
        finding[0] for finding in findings_of(*[probed(name, 100.0, 100.0) for name in "ab"], probed("c", 100.0, 50.0))
    ] == ["inference/c/base"]


def test_what_machines_do_by_themselves_accuses_nobody():
    assert findings_of(*[probed(name, rate) for name, rate in (("a", 100.0), ("b", 96.0), ("c", 90.0))]) == []


def test_of_two_cases_there_is_no_telling_which_is_odd():
    assert findings_of(probed("a", 100.0), probed("b", 10.0)) == []


def test_a_compute_type_is_compared_with_its_like():
    """Products in bfloat16 are slower by themselves."""
    halves = [probed(name, 10.0, key=key(dtype="bfloat16")) for name in ("d", "e", "f")]
    assert findings_of(*[probed(name, 100.0) for name in ("a", "b", "c")], *halves) == []


def test_a_prompt_answered_at_a_varying_speed_is_named_once():
    unsteady = record(
        metrics={REPEAT: measured(REPEAT, (10.0, 20.0, 15.0, 10.0, 20.0), (10.0, 20.0, 15.0, 10.0, 20.0))}
    )
    ((subject, rule, words),) = findings_of(unsteady)
    assert (subject, rule) == ("inference/tiny/base", "R5")
    assert "vary by 33.33 %" in words  # 5 of 15


def test_a_steady_one_is_not_and_few_answers_say_too_little():
    assert findings_of(record(metrics={REPEAT: measured(REPEAT, (10.0, 10.5, 10.0, 10.5, 10.0))})) == []
    assert findings_of(record(metrics={REPEAT: measured(REPEAT, (10.0, 20.0))})) == []


def test_a_page_of_one_suite_names_its_own_cases():
    slow = [
        record(f"{suite}/tiny/base", metrics={GEMM: measured(GEMM, rate)})
        for suite, rate in (("training", 50.0), ("evaluation", 100.0), ("inference", 100.0))
    ]
    assert [finding.subject for finding in timings_to_distrust([bundle(*slow)]).findings] == ["training/tiny/base"]
    assert timings_to_distrust([bundle(*slow)], ("inference",)).empty


def test_a_case_without_a_key_or_a_reading_is_passed_over():
    assert findings_of(probed("a", 1.0, key=None), record(metrics={GEMM: measured(GEMM, reason="none")})) == []
