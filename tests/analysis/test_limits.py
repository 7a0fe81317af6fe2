import pytest

from harness.analysis.limits import Entry, check_limit, entries, find_metric, suites_measuring
from harness.analysis.report_policy import Limit
from harness.results.records import Status
from tests.support.samples import failed, measured, record

STEADY = [1.0, 1.1, 1.2, 1.3, 1.4]
GIB = 2.0**30


def limit(metric="ttft_s", statistic="median", **bounds):
    return Limit(metric=metric, statistic=statistic, **(bounds or {"at_most": 2.0}))


def entry(suite="inference", **metrics):
    return Entry(name="tiny/base", records={suite: record(f"{suite}/tiny/base", metrics=metrics)})


def weighed(policy_limit, values, **labels):
    return check_limit(
        entry(**{policy_limit.metric: measured(policy_limit.metric, *values, **labels)}), policy_limit, ("inference",)
    )


@pytest.mark.parametrize(
    ("bounds", "met"),
    [
        ({"at_most": 1.4}, True),
        ({"at_most": 1.39}, None),
        ({"at_most": 1.0}, None),
        ({"at_most": 0.99}, False),
        ({"at_least": 1.0}, True),
        ({"at_least": 1.01}, None),
        ({"at_least": 1.4}, None),
        ({"at_least": 1.41}, False),
        ({"at_least": 1.0, "at_most": 1.4}, True),
        ({"at_least": 2.0, "at_most": 3.0}, False),
    ],
)
def test_a_limit_is_kept_or_broken_by_the_whole_interval(bounds, met):
    """Of five processes the interval of the median is their range: 1.0 to 1.4."""
    evidence = weighed(limit(**bounds), STEADY)
    assert (evidence.met, evidence.value, evidence.low, evidence.high, evidence.processes) == (met, 1.2, 1.0, 1.4, 5)
    assert evidence.reason == ("the limit lies within the interval" if met is None else None)


def test_fewer_than_five_processes_leave_a_limit_open():
    evidence = weighed(limit(), STEADY[:4])
    assert (evidence.met, evidence.reason, evidence.value) == (None, "n=4; a verdict needs 5", pytest.approx(1.15))


def test_what_is_counted_exactly_needs_no_five():
    evidence = weighed(limit("disk_bytes", at_most=100.0), [100.0])
    assert (evidence.met, evidence.reason) == (True, None)
    assert weighed(limit("disk_bytes", at_most=99.0), [100.0]).met is False


@pytest.mark.parametrize(("statistic", "value"), [("median", 2.0), ("highest", 9.0), ("lowest", 1.0), ("p95", 8.3)])
def test_the_statistic_is_of_the_readings_of_each_process(statistic, value):
    """p95 of 1, 2, 9 lies at 1.9 of the way: 2 + 0.9 x 7."""
    evidence = weighed(limit(statistic=statistic, at_most=50.0), [(2.0, 9.0, 1.0)] * 5)
    assert evidence.value == pytest.approx(value)


def test_each_label_has_to_keep_to_a_limit_and_the_worst_is_shown():
    values = [(1.0, 3.0)] * 5
    evidence = weighed(limit(at_most=2.0), values, labels=("short", "long"))
    assert (evidence.label, evidence.value, evidence.met) == ("long", 3.0, False)
    within = weighed(limit(at_most=4.0), values, labels=("short", "long"))
    assert (within.label, within.met) == ("long", True)
    lowest = weighed(limit(at_least=0.5), values, labels=("short", "long"))
    assert (lowest.label, lowest.met) == ("short", True)


def test_a_label_left_open_speaks_more_against_an_entry_than_one_further_up_that_is_kept():
    wide = [(value, 2.5) for value in (0.1, 1.0, 1.1, 2.0, 3.0)]
    evidence = weighed(limit(at_least=0.5), wide, labels=("open", "kept"))
    assert (evidence.label, evidence.met) == ("open", None)


def test_a_limit_of_one_label_looks_at_no_other():
    policy_limit = Limit(metric="ttft_s", statistic="median", at_most=2.0, label="short")
    assert weighed(policy_limit, [(1.0, 3.0)] * 5, labels=("short", "long")).met is True
    missing = weighed(policy_limit, [(3.0,)] * 5, labels=("long",))
    assert (missing.value, missing.met, missing.reason) == (None, None, "ttft_s was not measured of label 'short'")


def test_the_probe_of_the_machine_and_the_whole_process_are_not_the_work():
    policy_limit = limit("peak_footprint_bytes", "highest", at_most=2 * GIB)
    evidence = weighed(policy_limit, [(GIB, 3 * GIB, 3 * GIB)] * 5, labels=("generate", "probe", "process"))
    assert (evidence.label, evidence.met) == ("generate", True)
    nothing = weighed(policy_limit, [(3 * GIB,)] * 5, labels=("probe",))
    assert nothing.reason == "peak_footprint_bytes was not measured of any label of the work"


def test_the_worst_of_several_suites_counts():
    metric = "peak_active_bytes"
    records = {
        suite: record(f"{suite}/tiny/base", metrics={metric: measured(metric, *[value] * 5)})
        for suite, value in (("training", 3 * GIB), ("inference", GIB))
    }
    evidence = check_limit(
        Entry(name="tiny/base", records=records), limit(metric, at_most=2 * GIB), ("training", "inference")
    )
    assert (evidence.suite, evidence.met, evidence.unit) == ("training", False, "byte")


def test_records_of_one_model_and_adapter_are_joined():
    records = [
        record("inference/a/base"),
        record("training/a/r8"),
        record("evaluation/a/base"),
        record("training/b/r8"),
    ]
    assert [(joined.name, list(joined.records)) for joined in entries(records)] == [
        ("a/base", ["inference", "evaluation"]),
        ("a/r8", ["training"]),
        ("b/r8", ["training"]),
    ]


def test_the_suites_of_a_metric_are_those_that_hold_it():
    peak = {"peak_active_bytes": measured("peak_active_bytes", 1.0)}
    field = entries(
        [record("training/a/r8", metrics=peak), record("inference/a/r8", metrics=peak), record("evaluation/a/r8")]
    )
    assert suites_measuring("peak_active_bytes", field, None) == ("training", "inference")
    assert suites_measuring("peak_active_bytes", field, "inference") == ("inference",)
    assert suites_measuring("ttft_s", field, None) == ()


@pytest.mark.parametrize(
    ("lacking", "suites", "reason"),
    [
        (record(), (), "ttft_s was not measured"),
        (record(), ("inference",), "ttft_s was not measured in inference"),
        (
            record(metrics={"ttft_s": measured("ttft_s", reason="no clock")}),
            ("inference",),
            "ttft_s was not measured in inference: no clock",
        ),
        (failed(status=Status.OOM, reason="too large"), ("inference",), "inference ended as oom: too large"),
    ],
)
def test_what_is_missing_is_named_with_its_reason(lacking, suites, reason):
    unmeasured = Entry(name="tiny/base", records={"inference": lacking})
    assert find_metric(unmeasured, "ttft_s", suites) == ({}, reason)
    evidence = check_limit(unmeasured, limit(), suites)
    assert (evidence.value, evidence.met, evidence.reason) == (None, None, reason)
