import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.machine import energy

RANGE_UJ = 262_143_328_850  # of a real package: 32 bits of 61 microjoules


@pytest.fixture
def powercap(tmp_path):
    """A tree as Linux shows it, flat, and a way to add a zone or to move its counter."""
    directory = tmp_path / "powercap"
    directory.mkdir()

    def zone(path, name, energy_uj, range_uj=RANGE_UJ):
        (directory / path).mkdir(exist_ok=True)
        for file, value in (("name", name), ("max_energy_range_uj", range_uj), ("energy_uj", energy_uj)):
            (directory / path / file).write_text(f"{value}\n")

    return SimpleNamespace(path=directory, zone=zone)


@dataclass
class FakeNvml:
    """Stands in for pynvml: GPUs with a counter each, or an error at one of the calls."""

    counters_mj: list
    fails: set = field(default_factory=set)

    class NVMLError(Exception):
        pass

    def _call(self, name):
        if name in self.fails:
            raise self.NVMLError(f"{name} Not Supported")

    def nvmlInit(self):  # noqa: N802
        self._call("nvmlInit")

    def nvmlDeviceGetCount(self):  # noqa: N802
        self._call("nvmlDeviceGetCount")
        return len(self.counters_mj)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, device):  # noqa: N802
        self._call("nvmlDeviceGetTotalEnergyConsumption")
        return self.counters_mj[device]


class FakeApple:
    """Stands in for zeus_apple_silicon: metrics by name, or an error."""

    def __init__(self, metrics, error=None):
        self.metrics, self.error = metrics, error

    def AppleEnergyMonitor(self):  # noqa: N802
        if self.error:
            raise self.error
        return self

    def get_cumulative_energy(self):
        return SimpleNamespace(**self.metrics)


def without(monkeypatch, *modules):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


# --- RAPL ---


def test_a_package_counts_microjoules_as_joules(powercap):
    powercap.zone("intel-rapl:0", "package-0", 12_300_000)
    meter = energy.open_rapl(powercap.path)
    assert (meter.reason, meter.joules()) == (None, {"package": 12.3})
    powercap.zone("intel-rapl:0", "package-0", 15_000_000)
    assert meter.joules() == {"package": 15.0}


def test_packages_are_added_up_and_their_inner_and_outer_zones_are_not(powercap):
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:0:0", "core", 700_000)
    powercap.zone("intel-rapl:0:1", "uncore", 100_000)
    powercap.zone("intel-rapl:0:2", "dram", 250_000)
    powercap.zone("intel-rapl:1", "package-1", 2_000_000)
    powercap.zone("intel-rapl:1:0", "dram", 500_000)
    powercap.zone("intel-rapl:2", "psys", 9_000_000)
    powercap.zone("intel-rapl-mmio:0", "package-0", 1_000_000)
    assert energy.open_rapl(powercap.path).joules() == {"package": 3.0, "dram": 0.75}


def test_a_counter_that_starts_again_goes_on_by_its_range_each_time(powercap):
    powercap.zone("intel-rapl:0", "package-0", 9_000_000, range_uj=10_000_000)
    meter = energy.open_rapl(powercap.path)
    start_j = meter.joules()["package"]
    risen_j = []
    for counter_uj in (1_000_000, 1_000_000, 8_000_000, 500_000):
        powercap.zone("intel-rapl:0", "package-0", counter_uj, range_uj=10_000_000)
        risen_j.append(meter.joules()["package"] - start_j)
    assert risen_j == pytest.approx([2.0, 2.0, 9.0, 11.5])


def test_each_package_starts_again_for_itself(powercap):
    powercap.zone("intel-rapl:0", "package-0", 9_000_000, range_uj=10_000_000)
    powercap.zone("intel-rapl:1", "package-1", 5_000_000, range_uj=20_000_000)
    meter = energy.open_rapl(powercap.path)
    powercap.zone("intel-rapl:0", "package-0", 0, range_uj=10_000_000)
    powercap.zone("intel-rapl:1", "package-1", 6_000_000, range_uj=20_000_000)
    assert meter.joules() == {"package": 16.0}


def test_counters_that_only_root_may_read_say_so_and_how_to_change_it(powercap, monkeypatch):
    powercap.zone("intel-rapl:0", "package-0", 1)
    read_text = Path.read_text

    def guarded(self, **options):
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(self))
        return read_text(self, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    meter = energy.open_rapl(powercap.path)
    assert meter.joules() == {}
    counter = powercap.path / "intel-rapl:0" / "energy_uj"
    assert meter.reason == f"only root may read {counter}; allow it with: sudo chmod a+r {powercap.path}/*/energy_uj"


def test_a_machine_without_counters_says_what_is_missing(tmp_path, powercap):
    meter = energy.open_rapl(tmp_path / "nothing")
    assert (meter.joules(), meter.reason) == ({}, f"{tmp_path / 'nothing'} is missing")
    powercap.zone("intel-rapl:0", "psys", 1)
    assert energy.open_rapl(powercap.path).reason == f"{powercap.path} has no counter of the processor"


def test_a_counter_that_is_no_number_is_no_meter(powercap):
    powercap.zone("intel-rapl:0", "package-0", "")
    meter = energy.open_rapl(powercap.path)
    assert meter.joules() == {}
    assert meter.reason.startswith(f"{powercap.path} cannot be read (")


def test_a_counter_that_goes_away_gives_nothing_rather_than_half_a_sum(powercap):
    powercap.zone("intel-rapl:0", "package-0", 1)
    powercap.zone("intel-rapl:1", "package-1", 1)
    meter = energy.open_rapl(powercap.path)
    os.unlink(powercap.path / "intel-rapl:1" / "energy_uj")  # noqa: PTH108
    assert meter.joules() == {}


# --- NVIDIA ---


def test_gpus_count_millijoules_each_for_itself(monkeypatch):
    nvml = FakeNvml([1500, 2_000_000])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = energy.open_nvidia()
    assert (meter.reason, meter.joules()) == (None, {"gpu-0": 1.5, "gpu-1": 2000.0})
    nvml.counters_mj[0] = 2500
    assert meter.joules()["gpu-0"] == 2.5


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_driver_that_does_not_tell_is_no_meter(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([1], fails={call}))
    meter = energy.open_nvidia()
    assert (meter.joules(), meter.reason) == ({}, f"no NVIDIA GPU tells its energy ({call} Not Supported)")


def test_a_driver_without_gpus_is_no_meter(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([]))
    assert energy.open_nvidia().reason == "there is no NVIDIA GPU"


def test_a_gpu_that_is_lost_gives_nothing(monkeypatch):
    nvml = FakeNvml([1])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = energy.open_nvidia()
    nvml.fails.add("nvmlDeviceGetTotalEnergyConsumption")
    assert meter.joules() == {}


def test_without_its_package_a_gpu_is_no_meter_and_the_extra_is_named(monkeypatch):
    without(monkeypatch, "pynvml")
    meter = energy.open_nvidia()
    assert meter.joules() == {}
    assert "nvidia-ml-py is missing; install it with: pip install 'tunebench[energy]'" in meter.reason


# --- Apple silicon ---


def test_a_chip_counts_its_parts_without_what_lies_in_another(monkeypatch):
    metrics = {
        "cpu_total_mj": 4000,
        "performance_cores_mj": [1, 2],
        "efficiency_cluster_mj": [3],
        "gpu_mj": 2500,
        "gpu_sram_mj": 100,
        "ane_mj": 0,
        "dram_mj": None,
    }
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", FakeApple(metrics))
    meter = energy.open_apple()
    assert (meter.reason, meter.joules()) == (None, {"cpu": 4.0, "gpu": 2.5, "ane": 0.0})
    metrics["cpu_total_mj"] = 5000
    assert meter.joules()["cpu"] == 5.0


def test_a_chip_that_does_not_tell_is_no_meter(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", FakeApple({}, error=RuntimeError("no channels")))
    assert energy.open_apple().reason == "the chip does not tell its energy (no channels)"
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", FakeApple({"cpu_total_mj": None}))
    assert energy.open_apple().reason == "the chip counts no energy"


def test_without_its_package_a_chip_is_no_meter(monkeypatch):
    without(monkeypatch, "zeus_apple_silicon")
    assert "zeus-apple-silicon is missing" in energy.open_apple().reason


# --- all of them ---


def test_meters_of_several_parts_are_read_as_one(monkeypatch, powercap):
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(energy, "open_rapl", lambda: rapl)
    monkeypatch.setitem(sys.modules, "pynvml", nvml := FakeNvml([2000]))
    rapl = energy.Rapl(
        zones=[energy.Zone(part="package", counter=powercap.path / "intel-rapl:0" / "energy_uj", range_uj=9, last_uj=0)]
    )
    meter = energy.open_meter()
    assert (meter.reason, meter.joules()) == (None, {"package": 1.0, "gpu-0": 2.0})
    nvml.fails.add("nvmlDeviceGetTotalEnergyConsumption")
    assert meter.joules() == {}, "half a sum would look like a saving"


def test_one_meter_is_enough(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(energy, "open_rapl", lambda: energy.Unreadable(reason="not there"))
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([2000]))
    meter = energy.open_meter()
    assert (meter.reason, meter.joules()) == (None, {"gpu-0": 2.0})


def test_without_any_meter_the_reasons_of_all_are_given(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(energy, "open_rapl", lambda: energy.Unreadable(reason="/sys/class/powercap is missing"))
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([]))
    meter = energy.open_meter()
    assert meter.joules() == {}
    assert meter.reason == (
        "no energy meter can be read without root here: /sys/class/powercap is missing; there is no NVIDIA GPU"
    )


def test_a_mac_is_asked_for_its_chip_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", FakeApple({"cpu_total_mj": 1000}))
    monkeypatch.setattr(energy, "open_rapl", lambda: pytest.fail("a Mac has no powercap"))
    assert energy.open_meter().joules() == {"cpu": 1.0}


def test_this_machine_s_meter_reads_or_says_why_not():
    meter = energy.open_meter()
    readings = meter.joules()
    assert bool(readings) != bool(meter.reason)
    assert all(reading >= 0 for reading in readings.values())
