"""A fake library stands for macOS, with the struct as its header declares it; a fake /proc for Linux."""

import ctypes
import os
from types import SimpleNamespace

import pytest

from harness.machine import memory
from harness.machine.memory import Allocator, MemoryMeter

GIB = 2**30


class FakeMemory:
    """Counters like MLX's: what lives, the most that lived since the last reset, and what was freed and kept."""

    def __init__(self):
        self.living = self.highest = self.kept = 0
        self.resident = self.resident_highest = 0
        self.swapped = 0

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
        return True

    def meter(self):
        return MemoryMeter(
            allocator=Allocator(
                active=lambda: self.living,
                peak=lambda: self.highest,
                cache=lambda: self.kept,
                reset_peak=self.reset,
            ),
            resident_peak=lambda: self.resident_highest,
            reset_resident=self.reset_resident,
            swapped=lambda: self.swapped,
        )


def by_label(readings):
    return dict(zip(readings.labels, readings.values, strict=True))


def test_a_phase_counts_its_own_peaks_and_none_from_before():
    fake = FakeMemory()
    meter = fake.meter()
    fake.hold(500)
    fake.free(500)
    with meter.phase("load"):
        fake.hold(70)
        fake.free(30)
        fake.kept = 30
    fake.hold(900)
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"load": 70.0}
    assert by_label(readings["peak_cache_bytes"]) == {"load": 30.0}
    assert by_label(readings["peak_footprint_bytes"])["load"] == 1070.0


def test_what_happens_in_an_inner_phase_does_not_count_for_the_outer_one():
    fake = FakeMemory()
    meter = fake.meter()
    with meter.phase("train"):
        fake.hold(40)
        with meter.phase("validate"):
            fake.hold(100)
            fake.free(100)
        fake.hold(10)
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"train": 50.0, "validate": 140.0}
    assert by_label(readings["peak_footprint_bytes"]) == {"train": 2050.0, "validate": 2140.0, "process": 2140.0}


def test_a_mark_that_cannot_be_reset_tells_of_the_process_and_of_no_phase():
    fake = FakeMemory()
    meter = fake.meter()
    meter.reset_resident = lambda: False
    fake.hold(500)
    with meter.phase("load"):
        fake.hold(70)
    footprint = meter.readings()["peak_footprint_bytes"]
    assert by_label(footprint) == {"process": 2570.0}
    assert footprint.reason == "by phase: this system does not let a process reset its mark"


def test_a_system_that_refuses_the_reset_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_libproc", lambda: None)
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert memory.reset_resident_peak() is False
    (tmp_path / "self").mkdir()
    assert memory.reset_resident_peak() is True


def test_the_highest_peak_counts_of_a_phase_that_is_entered_more_than_once():
    fake = FakeMemory()
    meter = fake.meter()
    for amount, kept in ((20, 5), (60, 9), (30, 7)):
        with meter.phase("validate"):
            fake.hold(amount)
            fake.free(amount)
            fake.kept = kept
    readings = meter.readings()
    assert by_label(readings["peak_active_bytes"]) == {"validate": 60.0}
    assert by_label(readings["peak_cache_bytes"]) == {"validate": 9.0}


def test_a_phase_ends_when_its_work_raises():
    fake = FakeMemory()
    meter = fake.meter()

    def fail():
        with meter.phase("train"):
            fake.hold(10)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    fake.hold(1000)
    with meter.phase("load"):
        pass
    assert by_label(meter.readings()["peak_active_bytes"]) == {"train": 10.0, "load": 1010.0}


@pytest.mark.parametrize("when", ["before the meter", "before a phase", "in a phase", "between phases", "after them"])
def test_the_process_s_footprint_is_the_highest_whenever_it_was(when):
    fake = FakeMemory()

    def at(moment):
        fake.hold(100)
        fake.free(100)
        if when == moment:
            fake.hold(9000)
            fake.free(9000)

    at("before the meter")
    meter = fake.meter()
    at("before a phase")
    for _ in range(2):
        with meter.phase("train"):
            at("in a phase")
        at("between phases")
    with meter.phase("validate"):
        pass
    at("after them")
    footprint = by_label(meter.readings()["peak_footprint_bytes"])
    assert footprint["process"] == 10_000.0
    assert footprint["train"] == (10_000.0 if when == "in a phase" else 1100.0)
    assert footprint["validate"] == 0.0


def test_the_system_s_mark_is_left_as_it_is_after_the_last_phase():
    """So the system's own word on the process, when it ends, covers the last phase."""
    fake = FakeMemory()
    meter = fake.meter()
    with meter.phase("train"):
        with meter.phase("validate"):
            fake.hold(500)
            fake.free(500)
        fake.hold(100)
        fake.free(100)
    assert (fake.highest, fake.resident_highest) == (100, 1100)


def test_the_growth_of_swap_is_from_the_meter_s_creation_to_its_reading():
    fake = FakeMemory()
    fake.swapped = 4000
    meter = fake.meter()
    fake.swapped = 4700
    assert meter.readings()["swap_growth_bytes"].values == (700.0,)


@pytest.mark.parametrize("known", [(None, None), (None, 5), (5, None)])
def test_a_system_that_does_not_tell_of_its_swap_is_a_reason_not_a_zero(known):
    fake = FakeMemory()
    fake.swapped = known[0]
    meter = fake.meter()
    fake.swapped = known[1]
    growth = meter.readings()["swap_growth_bytes"]
    assert growth.values == ()
    assert "swapped out" in growth.reason


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
    for name in ("peak_active_bytes", "peak_cache_bytes"):
        assert readings[name].values == ()
        assert readings[name].reason == "no phase was measured"
    assert readings["peak_footprint_bytes"].labels == ("process",)


def doubtful(*, active=GIB, kept=0, resident=GIB, device_bytes=None):
    """What is doubted of one phase with these peaks, on a machine with 8 GiB."""
    fake = FakeMemory()
    meter = fake.meter()
    with meter.phase("train"):
        fake.highest, fake.kept, fake.resident_highest = active, kept, resident
    return meter.doubts(8 * GIB, device_bytes)


def test_peaks_that_can_be_true_are_not_doubted():
    assert doubtful() == []
    assert doubtful(active=1, resident=1) == []
    assert doubtful(active=16 * GIB - 1, kept=16 * GIB - 1, resident=16 * GIB - 1) == []


@pytest.mark.parametrize("value", [0, 16 * GIB, 2**64 - 4096])
def test_a_peak_of_nothing_or_of_twice_the_memory_is_doubted(value):
    there = "bytes, which cannot be: the memory has 8.000 GiB"
    assert doubtful(active=value) == [f"peak_active_bytes of train is {value} {there}"]
    assert doubtful(kept=value) == ([f"peak_cache_bytes of train is {value} {there}"] if value else [])
    assert doubtful(resident=value) == [
        f"peak_footprint_bytes of train is {value} {there}",
        f"peak_footprint_bytes of process is {value} {there}",
    ]


def test_arrays_are_held_against_the_memory_of_a_device_that_has_its_own():
    assert doubtful(active=20 * GIB, device_bytes=24 * GIB) == []
    assert doubtful(active=GIB, resident=20 * GIB, device_bytes=24 * GIB) != []
    (doubt,) = doubtful(active=5 * GIB, device_bytes=2 * GIB)
    assert doubt.endswith("cannot be: the memory has 2.000 GiB")


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc of our own."""
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    for pid, text in {"self": "VmHWM:\t   12 kB\nVmRSS:\t   7 kB\nVmSwap:\t   3 kB\n", "42": "VmRSS: 1 kB\n"}.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "status").write_text(f"Name:\tpythön\nVmPeak:\t  999 kB\n{text}", encoding="latin-1")
    return tmp_path


def test_linux_tells_the_sizes_in_kib(proc):
    assert memory.resident_peak_bytes() == 12288
    assert memory.resident_bytes() == 7168
    assert memory.swapped_bytes() == 3072
    assert memory.resident_bytes(42) == 1024


def test_what_a_process_uses_is_with_what_is_swapped_out(proc):
    assert memory.used_bytes(42) == 1024
    with (proc / "42" / "status").open("a") as status:
        status.write("VmSwap: 5 kB\n")
    assert memory.used_bytes(42) == 6144


def test_a_process_that_is_gone_uses_nothing_that_is_known(proc):
    assert memory.resident_bytes(43) is None
    assert memory.used_bytes(43) is None
    (proc / "42" / "status").write_text("Name:\tpython\nState:\tZ (zombie)\n")  # ended, and not waited for
    assert memory.used_bytes(42) is None


def test_the_resident_peak_is_reset_by_writing_a_five(proc):
    """Man 5 proc: writing 5 to clear_refs resets the high-water mark; 1 to 4 do other things."""
    memory.reset_resident_peak()
    assert (proc / "self" / "clear_refs").read_text() == "5"


def test_a_system_that_tells_nothing_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "none")
    memory.reset_resident_peak()
    assert memory.resident_peak_bytes() is memory.resident_bytes() is memory.swapped_bytes() is None
    assert list(tmp_path.iterdir()) == []


def test_this_machine_tells_what_can_be_true():
    assert 0 < memory.resident_bytes() < memory.physical_bytes()
    assert memory.resident_bytes(os.getpid()) > 0
    assert memory.physical_bytes() > 2**28


# <sys/resource.h> of macOS: the fields of struct rusage_info_v4 behind its UUID, in their order.
HEADER = """
    user_time system_time pkg_idle_wkups interrupt_wkups pageins wired_size resident_size phys_footprint
    proc_start_abstime proc_exit_abstime child_user_time child_system_time child_pkg_idle_wkups
    child_interrupt_wkups child_pageins child_elapsed_abstime diskio_bytesread diskio_byteswritten
    cpu_time_qos_default cpu_time_qos_maintenance cpu_time_qos_background cpu_time_qos_utility
    cpu_time_qos_legacy cpu_time_qos_user_initiated cpu_time_qos_user_interactive billed_system_time
    serviced_system_time logical_writes lifetime_max_phys_footprint instructions cycles billed_energy
    serviced_energy interval_max_phys_footprint runnable_time
"""
RUSAGE_INFO_V4 = HEADER.split()


class UsageV4(ctypes.Structure):
    _fields_ = (("uuid", ctypes.c_uint8 * 16), *((name, ctypes.c_uint64) for name in RUSAGE_INFO_V4))


@pytest.fixture
def libproc(monkeypatch):
    """As macOS answers: 0 and a filled struct of 296 bytes, or -1 for a process that is gone."""
    assert ctypes.sizeof(UsageV4) == 296
    now = {os.getpid(): {"phys_footprint": 500, "interval_max_phys_footprint": 900}, 42: {"phys_footprint": 70}}

    def proc_pid_rusage(pid, flavor, buffer):
        assert flavor == 4  # RUSAGE_INFO_V4
        if pid not in now:
            return -1
        others = dict.fromkeys(RUSAGE_INFO_V4, 10**12)
        ctypes.memmove(buffer, ctypes.byref(UsageV4(**(others | now[pid]))), ctypes.sizeof(UsageV4))
        return 0

    def proc_reset_footprint_interval(pid):
        now[pid]["interval_max_phys_footprint"] = now[pid]["phys_footprint"]
        return 0

    library = SimpleNamespace(
        proc_pid_rusage=proc_pid_rusage, proc_reset_footprint_interval=proc_reset_footprint_interval
    )
    monkeypatch.setattr(memory, "_libproc", lambda: library)
    return library


def test_macos_tells_the_footprint_now_and_its_peak_since_the_reset(libproc, proc):
    assert memory.resident_bytes() == 500
    assert memory.resident_peak_bytes() == 900
    memory.reset_resident_peak()
    assert memory.resident_peak_bytes() == 500
    assert not (proc / "self" / "clear_refs").exists()


def test_macos_tells_the_footprint_of_another_process(libproc):
    assert memory.resident_bytes(42) == 70
    assert memory.resident_bytes(43) is None


@pytest.mark.parametrize(
    ("platform", "names", "known"),
    [
        ("darwin", ["proc_pid_rusage", "proc_reset_footprint_interval"], True),
        ("darwin", ["proc_pid_rusage"], False),  # it could not tell the phases apart
        ("linux", ["proc_pid_rusage", "proc_reset_footprint_interval"], False),
    ],
)
def test_the_library_is_that_of_macos_and_whole(monkeypatch, platform, names, known):
    library = SimpleNamespace(**dict.fromkeys(names))
    monkeypatch.setattr(memory.sys, "platform", platform)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    memory._libproc.cache_clear()
    try:
        assert memory._libproc() is (library if known else None)
    finally:
        memory._libproc.cache_clear()
