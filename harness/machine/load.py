"""Load, power and heat of the machine: the facts that change while a session runs.

Other processes are counted, never named. An unknown fact is None and never absent: the keys are the same on every
system.
"""

import os
import re
from typing import Any

import psutil

from harness.machine import os_queries

_WINDOW_S = 0.2  # long enough for 20 ticks of the kernel's clock, short enough to go unnoticed
_COMPETING_SHARE = 0.2  # of one core: the shells, watchers and daemons of any machine use less


def load_and_power() -> dict[str, Any]:
    """Return load, memory, power and heat, observed for 0.2 s. Shares are fractions of 1."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    thermal = os_queries.output("pmset", "-g", "therm")
    return {
        "load_average_1min": _load_average(),
        **_other_load(),
        "memory_available_bytes": psutil.virtual_memory().available,
        "swap_used_bytes": psutil.swap_memory().used,
        "on_battery": None if battery is None else not battery.power_plugged,
        "low_power_mode": low_power_mode(os_queries.output("pmset", "-g")),
        "power_profile": os_queries.text("sys/firmware/acpi/platform_profile"),
        "cpu_governor": _join_distinct(os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")),
        "cpu_frequency_driver": _join_distinct(
            os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_driver")
        ),
        "thermal_warning": thermal_warning(thermal),
        "cpu_speed_limit_share": cpu_speed_limit_share(thermal),
        "temperature_c": temperature_c(os_queries.texts("sys/class/thermal/thermal_zone*/temp")),
        "throttle_count": throttle_count(
            os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")
        ),
    }


def low_power_mode(settings: str | None) -> bool | None:
    """Parse the output of `pmset -g`. Newer Macs write powermode: 0 automatic, 1 low, 2 high."""
    match = re.search(r"^\s*(?:lowpowermode|powermode)\s+(\d+)", settings or "", flags=re.MULTILINE)
    return match[1] == "1" if match else None


def thermal_warning(printed: str | None) -> bool | None:
    """Detect a thermal or performance warning in the output of `pmset -g therm`; None if unknown."""
    if printed is None:
        return None
    warnings = [line for line in printed.splitlines() if "warning level" in line]
    return any("No " not in line for line in warnings) if warnings else None


def cpu_speed_limit_share(printed: str | None) -> float | None:
    """Parse the processor's speed limit due to heat from `pmset -g therm`; Apple silicon does not report it."""
    match = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", printed or "")
    return int(match[1]) / 100 if match else None


def temperature_c(zones: list[str]) -> float | None:
    """Return the highest temperature of the thermal zones, which are in thousandths of a degree Celsius."""
    readings = [reading / 1000 for zone in zones if (reading := os_queries.number(zone)) is not None]
    return max(readings, default=None)


def throttle_count(counts: list[str]) -> int | None:
    """Return how often heat has slowed cores and packages since boot; compare two readings."""
    readings = [reading for count in counts if (reading := os_queries.number(count)) is not None]
    return sum(readings) if readings else None


def cpu_shares(start: dict[str, float], end: dict[str, float]) -> dict[str, float | None]:
    """Return two shares of the processor time from *start* to *end*: in use here, and given to other virtual machines.

    The time of guests of this machine is already part of "user". Both are None if no time has passed.
    """
    passed = {name: end[name] - start[name] for name in end if not name.startswith("guest")}
    total = sum(passed.values())
    if total <= 0:
        return {"busy": None, "steal": None}
    steal = passed.get("steal")
    idle = passed["idle"] + passed.get("iowait", 0.0) + (steal or 0.0)
    return {"busy": 1 - idle / total, "steal": None if steal is None else round(max(0.0, steal) / total, 3)}


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _other_load() -> dict[str, Any]:
    """Return the processor shares of other processes and other virtual machines in a short window."""
    this_process = psutil.Process()
    others = [process for process in psutil.process_iter() if process.pid != this_process.pid]
    for process in (this_process, *others):
        _cpu_share(process)  # the first call returns 0 and begins the window
    start = psutil.cpu_times()
    psutil.cpu_percent(_WINDOW_S)  # waits; psutil's own shares are too small in windows of less than a second
    shares = cpu_shares(start._asdict(), psutil.cpu_times()._asdict())
    if shares["busy"] is not None:
        busy = shares["busy"] - _cpu_share(this_process) / (psutil.cpu_count() or 1)
        shares["busy"] = round(min(1.0, max(0.0, busy)), 3)
    return {
        "other_cpu_share": shares["busy"],
        "cpu_steal_share": shares["steal"],
        "competing_processes": sum(_cpu_share(process) > _COMPETING_SHARE for process in others),
    }


def _cpu_share(process: psutil.Process) -> float:
    """Return the cores that a process has used since the last call; 0 for one that is gone or hidden."""
    try:
        return process.cpu_percent() / 100
    except (psutil.Error, OSError):
        return 0.0


def _join_distinct(values: list[str]) -> str | None:
    """Join the distinct values of all cores; None if there are none."""
    return ", ".join(sorted(set(values))) or None
