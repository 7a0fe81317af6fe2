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


def weighed(its, values, **labels):
    return check_limit(entry(**{its.metric: measured(its.metric, *values, **labels)}), its, ("inference",))


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
    found = weighed(limit(**bounds), STEADY)
    assert (found.met, found.value, found.low, found.high, found.processes) == (met, 1.2, 1.0, 1.4, 5)
    assert found.reason == ("the limit lies within the interval" if met is None else None)


def test_fewer_than_five_processes_leave_a_limit_open():
    found = weighed(limit(), STEADY[:4])
    assert (found.met, found.reason, found.value) == (None, "n=4; a verdict needs 5", pytest.approx(1.15))


def test_what_is_counted_exactly_needs_no_five():
    found = weighed(limit("disk_bytes", at_most=100.0), [100.0])
    assert (found.met, found.reason) == (True, None)
    assert weighed(limit("disk_bytes", at_most=99.0), [100.0]).met is False


@pytest.mark.parametrize(("statistic", "value"), [("median", 2.0), ("highest", 9.0), ("lowest", 1.0), ("p95", 8.3)])
def test_the_statistic_is_of_the_readings_of_each_process(statistic, value):
    """p95 of 1, 2, 9 lies at 1.9 of the way: 2 + 0.9 x 7."""
    found = weighed(limit(statistic=statistic, at_most=50.0), [(2.0, 9.0, 1.0)] * 5)
    assert found.value == pytest.approx(value)


def test_each_label_has_to_keep_to_a_limit_and_the_worst_is_shown():
    values = [(1.0, 3.0)] * 5
    found = weighed(limit(at_most=2.0), values, labels=("short", "long"))
    assert (found.label, found.value, found.met) == ("long", 3.0, False)
    within = weighed(limit(at_most=4.0), values, labels=("short", "long"))
    assert (within.label, within.met) == ("long", True)
    least = weighed(limit(at_least=0.5), values, labels=("short", "long"))
    assert (least.label, least.met) == ("short", True)


def test_a_label_left_open_speaks_more_against_an_entry_than_one_further_up_that_is_kept():
    wide = [(value, 2.5) for value in (0.1, 1.0, 1.1, 2.0, 3.0)]
    found = weighed(limit(at_least=0.5), wide, labels=("open", "kept"))
    assert (found.label, found.met) == ("open", None)


def test_a_limit_of_one_label_looks_at_no_other():
    its = Limit(metric="ttft_s", statistic="median", at_most=2.0, label="short")
    assert weighed(its, [(1.0, 3.0)] * 5, labels=("short", "long")).met is True
    missing = weighed(its, [(3.0,)] * 5, labels=("long",))
    assert (missing.value, missing.met, missing.reason) == (None, None, "ttft_s was not measured of label 'short'")


def test_the_probe_of_the_machine_and_the_whole_process_are_not_the_work():
    its = limit("peak_footprint_bytes", "highest", at_most=2 * GIB)
    found = weighed(its, [(GIB, 3 * GIB, 3 * GIB)] * 5, labels=("generate", "probe", "process"))
    assert (found.label, found.met) == ("generate", True)
    nothing = weighed(its, [(3 * GIB,)] * 5, labels=("probe",))
    assert nothing.reason == "peak_footprint_bytes was not measured of any label of the work"


def test_the_worst_of_several_suites_counts():
    metric = "peak_active_bytes"
    records = {
        suite: record(f"{suite}/tiny/base", metrics={metric: measured(metric, *[value] * 5)})
        for suite, value in (("training", 3 * GIB), ("inference", GIB))
    }
    found = check_limit(
        Entry(name="tiny/base", records=records), limit(metric, at_most=2 * GIB), ("training", "inference")
    )
    assert (found.suite, found.met, found.unit) == ("training", False, "byte")


def test_records_of_one_model_and_adapter_are_joined():
    records = [
        record("inference/a/base"),
        record("training/a/r8"),
        record("evaluation/a/base"),
        record("training/b/r8"),
    ]
    assert [(its.name, list(its.records)) for its in entries(records)] == [
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
    ("its", "suites", "reason"),
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
def test_what_is_missing_is_named_with_its_reason(its, suites, reason):
    one = Entry(name="tiny/base", records={"inference": its})
    assert find_metric(one, "ttft_s", suites) == ({}, reason)
    found = check_limit(one, limit(), suites)
    assert (found.value, found.met, found.reason) == (None, None, reason)
