import pytest

from harness.inputs.plans import Job, Work
from harness.results.records import Key, Sample, Weights
from harness.worker import jobs, probe

RIGHT = {"ok": True, "problem": None}
SAMPLE = Sample(
    key=Key(
        model="m",
        weights=Weights(source="nano", sha256="0", bytes=1),
        tokenizer="0",
        dtype="float32",
        quantization=None,
        adapter=None,
        dataset=None,
        device="cpu: x",
        settings={},
    ),
    readings={},
)


@pytest.fixture
def measured(monkeypatch):
    """Do a training job whose work is *work*, on a device whose self-check is *check*; give its sample."""

    def run(work=lambda context: None, check=RIGHT):
        def measure(context):
            work(context)
            return SAMPLE

        monkeypatch.setattr(probe, "self_check", lambda: check)
        monkeypatch.setitem(jobs._WORKLOADS, "training", measure)
        return jobs.run_job(Job(work=Work.TRAINING), None, lambda *_: None).sample

    return run


def test_a_sample_that_nothing_speaks_against_is_valid(measured):
    assert measured() == SAMPLE


def test_a_sample_of_a_device_that_multiplies_wrong_is_invalid(measured):
    assert measured(check={"ok": False, "problem": "wrong at M=8"}).invalid == "wrong at M=8"


def test_the_device_is_checked_before_it_is_measured(monkeypatch, measured):
    seen = []
    measured(lambda context: seen.append(list(context.doubts)), {"ok": False, "problem": "wrong at M=8"})
    assert seen == [["wrong at M=8"]]


@pytest.mark.parametrize(
    ("device_bytes", "invalid"),
    [
        (None, "peak_active_bytes of train is 18446744073709551615 bytes, which cannot be: the memory has 8.000 GiB"),
        (2**62, "peak_active_bytes of train is 18446744073709551615 bytes, which cannot be: the memory has "),
        (2**63 + 1, None),
    ],
)
def test_a_sample_with_a_peak_that_cannot_be_is_invalid(monkeypatch, measured, device_bytes, invalid):
    """2^64 - 1 bytes: what a counter says that went below zero."""
    monkeypatch.setattr(jobs, "physical_bytes", lambda: 2**33)
    monkeypatch.setattr(probe, "device_memory_bytes", lambda: device_bytes)

    def work(context):
        context.memory._active["train"] = 2**64 - 1

    sample = measured(work)
    assert sample.invalid is invalid is None or sample.invalid.startswith(invalid)


def test_every_doubt_is_told(measured):
    def work(context):
        context.doubts.append("its answers mean nothing")
        context.memory._active["train"] = 0

    first, second, third = measured(work, {"ok": False, "problem": "wrong at M=8"}).invalid.split("; ")
    assert (first, second) == ("wrong at M=8", "its answers mean nothing")
    assert third.startswith("peak_active_bytes of train is 0 bytes")


def test_the_environment_holds_the_self_check_and_a_roofline(monkeypatch, blas):
    monkeypatch.setattr(probe, "self_check", lambda: RIGHT)
    monkeypatch.setattr(probe, "roofline", lambda stopwatch: {"gemm_flops_per_s": 1.0})
    environment = jobs.run_job(Job(work=Work.ENVIRONMENT), blas, lambda *_: None).environment
    assert environment.self_check == RIGHT
    assert environment.roofline == {"gemm_flops_per_s": 1.0}
    assert environment.device["name"] == jobs.device_name()
