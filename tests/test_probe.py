import gc
import math

import mlx.core as mx
import pytest

from harness import probe
from harness.meters import Stopwatch


class ScriptedStopwatch:
    """Tells the times of a script, and does the work only where the test wants it done."""

    def __init__(self, times_s):
        self.times_s = iter(times_s)
        self.works = []

    def time_s(self, work):
        self.works.append(work)
        return next(self.times_s)


def test_a_rate_is_of_the_best_time_after_a_warm_up():
    """Per work a first time that does not count, then four: the best are 2, 4 and 0.5 s.

    A product of 2048 x 2048 has 2 * 2048^3 = 17179869184 operations; 256 MiB read and written are 536870912 bytes.
    """
    stopwatch = ScriptedStopwatch([0.1, 9, 2, 3, 5, 0.1, 4, 6, 7, 8, 0.1, 3, 2, 1, 0.5])
    facts = probe.roofline(stopwatch)
    assert facts.pop("method") == "fp32 product 2048x2048; add over 268435456 bytes, read and written; best of 4"
    assert facts == {
        "gemm_flops_per_s": 17179869184 / 2,
        "numpy_gemm_flops_per_s": 17179869184 / 4,
        "copy_bytes_per_s": 536870912 / 0.5,
    }
    assert len(stopwatch.works) == 15


def test_rates_of_this_machine_are_positive_numbers(monkeypatch):
    """With small sizes: it is not about how fast."""
    monkeypatch.setattr(probe, "_SIZE", 64)
    monkeypatch.setattr(probe, "_COPY_BYTES", 1 << 16)
    facts = probe.roofline(Stopwatch(wait=mx.synchronize))
    assert facts["method"].startswith("fp32 product 64x64; add over 65536 bytes")
    for name in ("gemm_flops_per_s", "numpy_gemm_flops_per_s", "copy_bytes_per_s"):
        assert math.isfinite(facts[name])
        assert facts[name] > 0


def test_what_is_timed_is_computed_and_not_only_queued(monkeypatch):
    """An array that is only queued takes no memory: 64 KiB are there while each work runs, or its peak."""
    monkeypatch.setattr(probe, "_SIZE", 128)
    monkeypatch.setattr(probe, "_COPY_BYTES", 1 << 16)
    stopwatch = ScriptedStopwatch([1.0] * 15)
    probe.roofline(stopwatch)
    for work in (stopwatch.works[0], stopwatch.works[10]):
        gc.collect()  # nothing of other tests is freed in between
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        work()
        assert mx.get_peak_memory() - before >= 1 << 16
    assert stopwatch.works[5]().shape == (128, 128)  # NumPy queues nothing


def test_the_device_is_the_one_mlx_computes_on():
    facts = probe.device()
    assert facts["type"] == ("cpu" if mx.default_device() == mx.cpu else "gpu")
    assert None not in facts.values()


@pytest.mark.parametrize("known", [{"device_name": "Some GPU", "memory_size": None}, {}])
def test_a_device_says_of_itself_what_it_knows(monkeypatch, known):
    monkeypatch.setattr(mx, "device_info", lambda device: known, raising=False)
    assert probe.device().keys() - {"type"} == {name for name, value in known.items() if value is not None}
