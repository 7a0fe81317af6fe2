import os
from types import SimpleNamespace

import psutil
import pytest

from harness.machine import environment, load
from tests.support.fake_system import FakeSystem

COOL = """Note: No thermal warning level has been recorded
Note: No performance warning level has been recorded
Note: No CPU power status has been recorded"""
WARNED = """Thermal warning level is set to 1
Note: No performance warning level has been recorded"""
LIMITED = """Note: No thermal warning level has been recorded
2026-01-02 11:00:04 +0000 CPU Power notify
\tCPU_Scheduler_Limit \t= 100
\tCPU_Available_CPUs \t= 8
\tCPU_Speed_Limit \t= 62"""
SETTINGS = """System-wide power settings:
Currently in use:
 standby              1
 powernap             1
 lowpowermode         1
 sleep                1 (sleep prevented by something)"""
KEYS = {
    "load_average_1min",
    "other_cpu_share",
    "cpu_steal_share",
    "competing_processes",
    "memory_available_bytes",
    "swap_used_bytes",
    "on_battery",
    "low_power_mode",
    "power_profile",
    "cpu_governor",
    "cpu_frequency_driver",
    "thermal_warning",
    "cpu_speed_limit_share",
    "temperature_c",
    "throttle_count",
}
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def times(passed):
    values = {column: 10.0 + value for column, value in zip(COLUMNS, passed, strict=True)}
    return SimpleNamespace(_asdict=lambda: values)


class FakeProcess:
    """Has used a share of a core, in percent, when asked the second time."""

    def __init__(self, pid=1, percent=0.0, error=None):
        self.pid, self._answers, self._error = pid, [0.0, percent], error

    def cpu_percent(self):
        if self._error is not None:
            raise self._error
        return self._answers.pop(0)


@pytest.fixture
def processor(monkeypatch):
    """Two cores that are looked at twice, 0.4 s of their time apart, with processes on them."""

    def install(*, after, processes=(), own=0.0):
        looks = [times(0.0 for _ in after), times(after)]
        monkeypatch.setattr(psutil, "cpu_times", lambda: looks.pop(0))
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval: None)
        monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
        monkeypatch.setattr(psutil, "Process", lambda: FakeProcess(pid=0, percent=own))
        monkeypatch.setattr(psutil, "process_iter", lambda: [FakeProcess(pid=0, percent=900.0), *processes])

    return install


def test_the_facts_of_this_machine_are_possible():
    facts = load.load_and_power()
    assert facts.keys() == KEYS
    assert 0 < facts["memory_available_bytes"] <= psutil.virtual_memory().total
    assert 0 <= facts["other_cpu_share"] <= 1
    assert facts["competing_processes"] >= 0


def test_what_a_system_does_not_tell_is_none_under_the_same_keys(monkeypatch):
    def unknown():
        raise OSError

    FakeSystem().install(monkeypatch)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    monkeypatch.setattr(os, "getloadavg", unknown)
    facts = load.load_and_power()
    assert facts.keys() == KEYS
    told = {"memory_available_bytes", "swap_used_bytes", "other_cpu_share", "cpu_steal_share", "competing_processes"}
    assert {name for name, value in facts.items() if value is not None} <= told


def test_the_environment_s_changing_facts_are_these():
    assert environment.load_and_power is load.load_and_power


def test_other_programs_use_what_is_neither_idle_nor_stolen_nor_ours(monkeypatch, processor):
    """Of 0.4 s: 0.2 user and system, 0.04 stolen, 0.16 idle or waiting. Half a core of two is our own."""
    processor(after=(0.15, 0, 0.05, 0.1, 0.06, 0, 0, 0.04, 0.15, 0), own=50.0)
    facts = load.load_and_power()
    assert facts["other_cpu_share"] == pytest.approx(0.2 / 0.4 - 0.5 / 2)
    assert facts["cpu_steal_share"] == pytest.approx(0.04 / 0.4)


def test_a_share_never_leaves_its_bounds(processor):
    processor(after=(0, 0, 0, 0.4, 0, 0, 0, 0, 0, 0), own=100.0)
    assert load.load_and_power()["other_cpu_share"] == 0.0


def test_where_no_time_passes_there_is_no_share(processor):
    processor(after=[0] * 10)
    facts = load.load_and_power()
    assert (facts["other_cpu_share"], facts["cpu_steal_share"]) == (None, None)


def test_a_system_that_counts_no_steal_has_none():
    times = {"user": 1.0, "nice": 0.0, "system": 1.0, "idle": 2.0}
    later = {"user": 2.0, "nice": 0.0, "system": 1.0, "idle": 5.0}
    assert load.cpu_shares(times, later) == {"busy": 0.25, "steal": None}


def test_processes_above_a_fifth_of_a_core_compete_and_those_that_are_gone_or_hidden_do_not(processor):
    processes = [
        FakeProcess(percent=19.0),
        FakeProcess(percent=21.0),
        FakeProcess(percent=180.0),
        FakeProcess(error=psutil.NoSuchProcess(1)),
        FakeProcess(error=psutil.AccessDenied(1)),
        FakeProcess(error=FileNotFoundError()),
    ]
    processor(after=(0.4, 0, 0, 0, 0, 0, 0, 0, 0, 0), processes=processes)
    assert load.load_and_power()["competing_processes"] == 2


@pytest.mark.parametrize(
    ("battery", "expected"),
    [(None, None), (SimpleNamespace(power_plugged=True), False), (SimpleNamespace(power_plugged=False), True)],
)
def test_a_machine_on_its_battery_is_told(monkeypatch, battery, expected):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert load.load_and_power()["on_battery"] is expected


def test_a_mac_tells_its_mode_and_its_heat(monkeypatch):
    FakeSystem(commands={"pmset -g": SETTINGS, "pmset -g therm": LIMITED}).install(monkeypatch)
    facts = load.load_and_power()
    assert (facts["low_power_mode"], facts["thermal_warning"], facts["cpu_speed_limit_share"]) == (True, False, 0.62)


def test_linux_tells_its_governor_its_heat_and_how_often_it_slowed_down(monkeypatch):
    cpu = "sys/devices/system/cpu"
    files = {
        "sys/firmware/acpi/platform_profile": "balanced",
        f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave",
        f"{cpu}/cpu1/cpufreq/scaling_governor": "powersave",
        f"{cpu}/cpu0/cpufreq/scaling_driver": "intel_pstate",
        f"{cpu}/cpu0/thermal_throttle/core_throttle_count": "2",
        f"{cpu}/cpu1/thermal_throttle/core_throttle_count": "3",
        f"{cpu}/cpu0/thermal_throttle/package_throttle_count": "40",
        "sys/class/thermal/thermal_zone0/temp": "27800",
        "sys/class/thermal/thermal_zone1/temp": "61500",
        "sys/class/thermal/thermal_zone2/temp": "broken",
    }
    FakeSystem(files=files).install(monkeypatch)
    facts = load.load_and_power()
    assert (facts["power_profile"], facts["cpu_governor"]) == ("balanced", "powersave")
    assert facts["cpu_frequency_driver"] == "intel_pstate"
    assert (facts["temperature_c"], facts["throttle_count"]) == (61.5, 45)


def test_cores_of_different_governors_are_all_told(monkeypatch):
    cpu = "sys/devices/system/cpu"
    files = {
        f"{cpu}/cpu{n}/cpufreq/scaling_governor": entry for n, entry in enumerate(["powersave", "performance"] * 2)
    }
    FakeSystem(files=files).install(monkeypatch)
    assert load.load_and_power()["cpu_governor"] == "performance, powersave"


@pytest.mark.parametrize(
    ("settings", "on"),
    [
        (SETTINGS, True),
        (SETTINGS.replace("lowpowermode         1", "lowpowermode         0"), False),
        (" powermode 1", True),
        (" powermode 2", False),
        (" standby 1", None),
        (None, None),
    ],
)
def test_low_power_mode_is_on_off_or_unknown(settings, on):
    assert load.low_power_mode(settings) is on


@pytest.mark.parametrize(
    ("printed", "warned"), [(COOL, False), (WARNED, True), (LIMITED, False), ("", None), (None, None)]
)
def test_a_thermal_warning_is_there_absent_or_unknown(printed, warned):
    assert load.thermal_warning(printed) is warned


@pytest.mark.parametrize(("printed", "share"), [(LIMITED, 0.62), (COOL, None), (None, None)])
def test_the_speed_that_heat_leaves_is_a_share(printed, share):
    assert load.cpu_speed_limit_share(printed) == share


def test_a_machine_without_sensors_has_no_temperature_and_no_count():
    assert load.temperature_c([]) is None
    assert load.throttle_count([]) is None
    assert load.throttle_count(["0", "0"]) == 0
