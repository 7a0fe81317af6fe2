import re

import pytest

from harness import meters
from harness.meters import Allocator, MemoryMeter, Stopwatch


def test_only_the_work_and_its_queue_are_timed():
    """A device that is busy 5 s before, works 2 s, and drains 3 s more: 5 s were measured."""
    clock_s, queued_s = 0, 5

    def wait():
        nonlocal clock_s, queued_s
        clock_s, queued_s = clock_s + queued_s, 0

    def work():
        nonlocal clock_s, queued_s
        clock_s, queued_s = clock_s + 2, queued_s + 3

    stopwatch = Stopwatch(now_ns=lambda: clock_s * 10**9, wait=wait)
    assert stopwatch.time_s(work) == 5.0


class FakeMemory:
    """Counters like MLX's: what lives, the most that lived since the last reset, and what was freed and kept."""

    def __init__(self):
        self.living = self.highest = self.kept = 0
        self.resident = self.resident_highest = 0

    def hold(self, amount):
        self.living += amount
        self.highest = max(self.highest, self.living)
        self.resident += amount + 1000
        self.resident_highest = max(self.resident_highest, self.resident)

    def free(self, amount):
        self.living -= amount
        self.resident -= amount + 1000

    def reset(self):
        self.highest = self.living

    def reset_resident(self):
        self.resident_highest = self.resident

    def meter(self):
        return MemoryMeter(
            allocator=Allocator(
                peak=lambda: self.highest,
                cache=lambda: self.kept,
                reset_peak=self.reset,
            ),
            resident_peak=lambda: self.resident_highest,
            reset_resident=self.reset_resident,
        )


def by_label(readings):
    return dict(zip(readings.labels, readings.values, strict=True))


def test_a_phase_counts_its_own_peaks_and_none_from_before():
    memory = FakeMemory()
    meter = memory.meter()
    memory.hold(500)
    memory.free(500)
    with meter.phase("load"):
        memory.hold(70)
        memory.free(30)
        memory.kept = 30
    memory.hold(900)
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"load": 70.0}
    assert by_label(readings["peak_cache_bytes"]) == {"load": 30.0}
    assert by_label(readings["peak_footprint_bytes"]) == {"load": 1070.0}


def test_what_happens_in_an_inner_phase_does_not_count_for_the_outer_one():
    memory = FakeMemory()
    meter = memory.meter()
    with meter.phase("train"):
        memory.hold(40)
        with meter.phase("validate"):
            memory.hold(100)
            memory.free(100)
        memory.hold(10)
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"train": 50.0, "validate": 140.0}
    assert by_label(readings["peak_footprint_bytes"]) == {"train": 2050.0, "validate": 2140.0}


def test_the_highest_peak_counts_of_a_phase_that_is_entered_more_than_once():
    memory = FakeMemory()
    meter = memory.meter()
    for amount, kept in ((20, 5), (60, 9), (30, 7)):
        with meter.phase("validate"):
            memory.hold(amount)
            memory.free(amount)
            memory.kept = kept
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"validate": 60.0}
    assert by_label(readings["peak_cache_bytes"]) == {"validate": 9.0}


def test_a_phase_ends_when_its_work_raises():
    memory = FakeMemory()
    meter = memory.meter()

    def fail():
        with meter.phase("train"):
            memory.hold(10)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    memory.hold(1000)
    with meter.phase("load"):
        pass
    assert by_label(meter.readings()["peak_active_bytes"]) == {"train": 10.0, "load": 1010.0}


def test_a_system_that_does_not_tell_its_resident_peak_is_a_reason_not_a_zero():
    meter = FakeMemory().meter()
    meter.resident_peak = lambda: None
    with meter.phase("load"):
        pass
    footprint = meter.readings()["peak_footprint_bytes"]
    assert footprint.values == ()
    assert "high-water mark" in footprint.reason


def test_a_meter_without_a_phase_says_so():
    readings = FakeMemory().meter().readings()
    assert {name: its.values for name, its in readings.items()} == dict.fromkeys(
        ["peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes"], ()
    )
    assert readings["peak_active_bytes"].reason == "no phase was measured"


def test_the_resident_peak_is_the_system_s_figure_in_bytes(tmp_path, monkeypatch):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999 kB\nVmHWM:\t   12 kB\nVmRSS:\t   7 kB\n")
    monkeypatch.setattr(meters, "_STATUS", status)
    assert meters.resident_peak_bytes() == 12288
    status.write_text("Name:\tpython\n")
    assert meters.resident_peak_bytes() is None
    monkeypatch.setattr(meters, "_STATUS", tmp_path / "none")
    assert meters.resident_peak_bytes() is None


def test_the_resident_peak_is_reset_by_writing_a_five(tmp_path, monkeypatch):
    """Man 5 proc: writing 5 to clear_refs resets the high-water mark; 1 to 4 do other things."""
    file = tmp_path / "clear_refs"
    monkeypatch.setattr(meters, "_CLEAR_REFS", file)
    meters.reset_resident_peak()
    assert file.read_text() == "5"


def test_a_system_without_a_resettable_peak_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(meters, "_CLEAR_REFS", tmp_path / "none" / "clear_refs")
    meters.reset_resident_peak()
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_day_is_utc_to_the_second():
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", meters.utc_now())
