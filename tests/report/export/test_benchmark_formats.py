import json
import re
import subprocess
import sys

import pytest

from harness.errors import HarnessError, UnknownName
from harness.report.export.benchmark_formats import github_action_benchmark_json, pytest_benchmark_json
from tests.support.samples import bundle, environment, failed, measured, record

TIMES = record(
    "inference/tiny/r8",
    metrics={
        "ttft_s": measured("ttft_s", *((value, value, 9.0) for value in (1.0, 2.0, 3.0, 4.0)), labels=("a", "a", "b")),
        "decode_tokens_per_s": measured("decode_tokens_per_s", (4.0, 5.0, 6.0), (2.0, 2.0, 2.0)),
        "probe_copy_bytes_per_s": measured("probe_copy_bytes_per_s", 4e9),
        "peak_active_bytes": measured("peak_active_bytes", 1024.0),
        "load_s": measured("load_s", reason="no clock"),
    },
)


def as_pytest_benchmark(*records, **changes):
    return json.loads(pytest_benchmark_json(bundle(*records, **changes)))


def as_action(*records, better="lower"):
    return json.loads(github_action_benchmark_json(bundle(*records, id="run-a"), better))


def test_every_time_and_rate_is_a_benchmark_and_nothing_else():
    exported = as_pytest_benchmark(TIMES, failed("inference/tiny/base", metrics={"load_s": measured("load_s", 1.0)}))
    assert [benchmark["fullname"] for benchmark in exported["benchmarks"]] == [
        "inference/tiny/r8::ttft_s[a]",
        "inference/tiny/r8::ttft_s[b]",
        "inference/tiny/r8::decode_s_per_token",
    ]


def test_the_statistics_are_over_processes_by_the_tool_s_definitions():
    """By hand: of 1, 2, 3 and 4 the halves' medians are 1.5 and 3.5; the squares around 2.5 add up to 5."""
    stats = as_pytest_benchmark(TIMES)["benchmarks"][0]["stats"]
    assert stats.pop("stddev") == pytest.approx((5 / 3) ** 0.5)
    assert stats == {
        "min": 1.0,
        "max": 4.0,
        "mean": 2.5,
        "rounds": 4,
        "median": 2.5,
        "iqr": 2.0,
        "q1": 1.5,
        "q3": 3.5,
        "iqr_outliers": 0,
        "stddev_outliers": 2,
        "outliers": "2;0",
        "ld15iqr": 1.0,
        "hd15iqr": 4.0,
        "ops": 0.4,
        "total": 10.0,
        "data": [1.0, 2.0, 3.0, 4.0],
        "iterations": 1,
    }


def test_a_rate_is_the_time_of_one_in_seconds():
    *_, rate = as_pytest_benchmark(TIMES)["benchmarks"]
    assert rate["stats"]["data"] == [0.2, 0.5]
    assert rate["group"] == "decode_s_per_token"
    assert rate["extra_info"] == {
        "run": "20260102-030405-abcd",
        "case": "inference/tiny/r8",
        "metric": "decode_tokens_per_s",
        "label": None,
        "stored_unit": "token/s",
        "readings": 6,
    }


def test_a_label_is_a_parameter():
    first, *_, last = as_pytest_benchmark(TIMES)["benchmarks"]
    assert (first["param"], first["params"], first["group"]) == ("a", {"label": "a"}, "ttft_s[a]")
    assert (last["param"], last["params"]) == (None, None)


def test_a_rate_of_nothing_has_no_time():
    still = record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", 0.0, 1.0)})
    with pytest.raises(HarnessError, match="holds no time of a case that ended ok; --format csv has all it holds"):
        as_pytest_benchmark(still)


def test_machine_commit_and_date_are_the_run_s():
    exported = as_pytest_benchmark(TIMES)
    assert exported["machine_info"] == {
        "machine": "x86_64",
        "processor": "One",
        "release": "6.1",
        "system": "Linux",
        "python_version": "3.12.1",
        "cpu": {"brand_raw": "One", "count": 4},
        "device": "gpu: One",
    }
    assert exported["commit_info"] == {
        "id": "0123456789abcdef",
        "time": None,
        "author_time": None,
        "dirty": False,
        "project": "tunebench",
        "branch": "(unknown)",
    }
    assert exported["datetime"] == "2026-01-02T03:04:05+00:00"


def test_a_run_without_a_commit_or_an_environment_says_so():
    exported = as_pytest_benchmark(TIMES, git=None, environment=None)
    assert (exported["machine_info"], exported["commit_info"]["id"]) == ({}, "unversioned")
    assert as_pytest_benchmark(TIMES, environment=environment(os={}))["machine_info"]["processor"] is None


def test_the_tool_itself_compares_two_runs(tmp_path):
    slower = record("inference/tiny/r8", metrics={"ttft_s": measured("ttft_s", 2.0, 4.0, 6.0, 8.0, labels=None)})
    for name, run in (("0001_before", TIMES), ("0002_after", slower)):
        (tmp_path / f"{name}.json").write_text(pytest_benchmark_json(bundle(run)), encoding="utf-8")
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "0001_before.json", "0002_after.json"]
    done = subprocess.run(
        [*command, "--columns=median"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "benchmark 'ttft_s[a]': 1 tests" in done.stdout
    assert "Failed" not in done.stdout + done.stderr


def test_pytest_itself_loads_it_to_compare_with(pytester):
    name = "inference/tiny/r8::ttft_s[a]"
    path = pytester.path / "0001_run.json"
    path.write_text(pytest_benchmark_json(bundle(TIMES)).replace(name, "test_it.py::test_it"), encoding="utf-8")
    pytester.makepyfile(test_it="def test_it(benchmark):\n    benchmark.pedantic(int, rounds=2)\n")
    done = pytester.runpytest_subprocess("--benchmark-compare=0001_run.json", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)
    assert "(0001_run)" in done.stdout.str()


def test_the_action_gets_one_direction_a_file():
    assert [entry["name"] for entry in as_action(TIMES)] == [
        "inference/tiny/r8 ttft_s[a]",
        "inference/tiny/r8 ttft_s[b]",
        "inference/tiny/r8 peak_active_bytes",
    ]
    assert [entry["name"] for entry in as_action(TIMES, better="higher")] == [
        "inference/tiny/r8 decode_tokens_per_s",
        "inference/tiny/r8 probe_copy_bytes_per_s",
    ]


def test_the_action_gets_the_median_of_the_processes_with_their_spread():
    """By hand: of 5 and 2 the mean is 3.5, and the squares around it add up to 4.5 with one degree of freedom."""
    rate, probe = as_action(TIMES, better="higher")
    assert rate == {
        "name": "inference/tiny/r8 decode_tokens_per_s",
        "unit": "token/s",
        "value": 3.5,
        "range": "± 2.1213203435596424",
        "extra": "kind: timing\nprocesses: 2\nreadings: 6\nrun: run-a",
    }
    assert "range" not in probe


@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e20])
def test_the_action_can_read_the_spread(spread):
    """Its pattern, from src/extractRangeInfo.ts: a sign, then what JavaScript takes for a number."""
    (entry,) = as_action(record(metrics={"load_s": measured("load_s", 1.0, 1.0 + spread)}))
    spread_text = re.search(r"(\+-|±)\s*(\d.+)", entry["range"])
    assert float(spread_text[2]) == pytest.approx(spread / 2**0.5, rel=1e-6)


def test_a_direction_or_a_run_without_metrics_is_refused():
    with pytest.raises(UnknownName, match=r"unknown direction 'up'. Known: higher, lower\."):
        as_action(TIMES, better="up")
    with pytest.raises(HarnessError, match="holds no metric of a case that ended ok with --better higher"):
        as_action(failed(metrics={"mfu": measured("mfu", 0.5)}), better="higher")
