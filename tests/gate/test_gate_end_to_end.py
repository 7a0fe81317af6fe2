"""The gate can fail: through the command line, on files, as CI calls it. What must not pass does not."""

import random
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.results import codec
from harness.results.metrics import metric
from harness.results.records import Bundle, RunInfo, Status
from tests.gate.test_decide import record as bare

PROCESSES = 10
SCENARIOS = ("short", "medium", "long", "code", "creative")


def samples(*, seed, slowdown=0.0, processes=PROCESSES):
    """Rates of so many processes and scenarios, with noise of 1 %."""
    noise = random.Random(seed)  # noqa: S311 - noise, not a secret
    return tuple(
        tuple(100.0 / (1 + slowdown) * noise.lognormvariate(0, 0.01) for _ in SCENARIOS) for _ in range(processes)
    )


def record(case="inference/m/base", *, seed=0, slowdown=0.0, processes=PROCESSES, **changed):
    names = ("decode_tokens_per_s", "prefill_tokens_per_s")
    values = {
        name: metric(
            name, samples(seed=f"{case}{name}{seed}", slowdown=slowdown, processes=processes), labels=SCENARIOS
        )
        for name in names
    }
    values["total_parameters"] = metric("total_parameters", ((1000.0,),) * processes)
    return replace(bare(), case=case, suite="inference", metrics=values, **changed)


def bundle(*records, run_id="candidate"):
    run = RunInfo(
        id=run_id,
        started_at="2026-11-20T10:00:00Z",
        finished_at="2026-11-20T10:10:00Z",
        command=(),
        profile="standard",
        git=None,
    )
    return Bundle(schema=1, run=run, environment=None, records=records)


@pytest.fixture
def gate(tmp_path):
    """Judge *candidate* (a bundle, or the bytes of a file) against a baseline of two cases."""
    baseline = tmp_path / "baseline.json"
    baseline.write_bytes(codec.encode(bundle(record(), record("inference/m/qv"), run_id="baseline")))

    def run(candidate, *arguments):
        path = tmp_path / "candidate.json"
        path.write_bytes(candidate if isinstance(candidate, bytes) else codec.encode(candidate))
        command = [sys.executable, "-m", "harness", "gate", str(baseline), str(path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_an_unchanged_candidate_passes(gate):
    result = gate(bundle(record(seed=1), record("inference/m/qv", seed=1)))
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_injected_slowdown_is_a_regression(gate):
    result = gate(bundle(record(seed=1, slowdown=0.15), record("inference/m/qv", seed=1)))
    assert result.returncode == 1, result.stdout + result.stderr
    assert "regression" in result.stdout
    assert "decode_tokens_per_s" in result.stdout


def test_an_empty_candidate_does_not_pass(gate):
    assert gate(bundle()).returncode == 3


def test_a_partial_candidate_does_not_pass(gate):
    assert gate(bundle(record(seed=1))).returncode == 3
    halved = replace(record(seed=1), metrics={"total_parameters": record().metrics["total_parameters"]})
    assert gate(bundle(halved, record("inference/m/qv", seed=1))).returncode == 3


@pytest.mark.parametrize("processes", [1, 3])
def test_too_few_processes_do_not_pass(gate, processes):
    few = (record(case, seed=1, processes=processes) for case in ("inference/m/base", "inference/m/qv"))
    assert gate(bundle(*few)).returncode == 3


@pytest.mark.parametrize("status", [Status.CRASHED, Status.OOM, Status.DIVERGED, Status.SKIPPED, Status.INVALID])
def test_a_failed_case_does_not_pass(gate, status):
    failed = record("inference/m/qv", seed=1, status=status, reason="it ended so")
    assert gate(bundle(record(seed=1), failed)).returncode == 3


def test_a_changed_count_is_a_regression(gate):
    stored = record(seed=1)
    grown = replace(
        stored,
        metrics=stored.metrics | {"total_parameters": metric("total_parameters", ((1001.0,),) * 10)},
    )
    assert gate(bundle(grown, record("inference/m/qv", seed=1))).returncode == 1


WHOLE = codec.encode(bundle(record(seed=1), record("inference/m/qv", seed=1)))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "candidate.json"),
        (WHOLE[: len(WHOLE) // 2], "candidate.json"),
        (b'{"benchmarks": []}', "candidate.json"),
        (b"\x89PNG\r\n\x1a\n", "candidate.json"),
        (WHOLE.replace(b'"schema":1', b'"schema":99', 1), "99"),
        (WHOLE.replace(b"100", b"NaN", 1), "candidate.json"),
    ],
    ids=["empty", "torn", "foreign", "binary", "future", "NaN"],
)
def test_a_file_that_cannot_be_read_is_one_message(gate, content, word):
    result = gate(content)
    assert (result.returncode, result.stdout) == (2, "")
    assert word in result.stderr
    assert len(result.stderr.splitlines()) <= 4
    assert "Traceback" not in result.stderr


def test_a_file_that_is_not_there_is_one_message(gate, tmp_path):
    command = [sys.executable, "-m", "harness", "gate", str(tmp_path / "none.json"), str(tmp_path / "none.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert "none.json" in result.stderr
