"""What else the machine is doing, and what holds it back: what changes while a session runs.

Other processes are counted, never named. Unknown is None, and never absent: the keys are the same on every system.
"""

import os
import re
from typing import Any

import psutil

from harness.machine import os_queries

_WINDOW_S = 0.2  # long enough for 20 ticks of the kernel's clock, short enough to go unnoticed
_COMPETING_SHARE = 0.2  # of one core: below it are the shells, watchers and daemons of any machine


def load_and_power() -> dict[str, Any]:
    """Look at load, memory, power and heat for a fifth of a second. Shares are of 1."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    thermal = os_queries.output("pmset", "-g", "therm")
    return {
        "load_average_1min": _load_average(),
        **_others(),
        "memory_available_bytes": psutil.virtual_memory().available,
        "swap_used_bytes": psutil.swap_memory().used,
        "on_battery": None if battery is None else not battery.power_plugged,
        "low_power_mode": low_power_mode(os_queries.output("pmset", "-g")),
        "power_profile": os_queries.text("sys/firmware/acpi/platform_profile"),
        "cpu_governor": _alike(os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")),
        "cpu_frequency_driver": _alike(os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_driver")),
        "thermal_warning": thermal_warning(thermal),
        "cpu_speed_limit_share": cpu_speed_limit_share(thermal),
        "temperature_c": temperature_c(os_queries.texts("sys/class/thermal/thermal_zone*/temp")),
        "throttle_count": throttle_count(
            os_queries.texts("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")
        ),
    }


def low_power_mode(settings: str | None) -> bool | None:
    """Read `pmset -g`. Newer Macs write powermode: 0 automatic, 1 low, 2 high."""
    found = re.search(r"^\s*(?:lowpowermode|powermode)\s+(\d+)", settings or "", flags=re.MULTILINE)
    return found[1] == "1" if found else None


def thermal_warning(printed: str | None) -> bool | None:
    """Whether `pmset -g therm` reports a thermal or a performance warning."""
    if printed is None:
        return None
    warnings = [line for line in printed.splitlines() if "warning level" in line]
    return any("No " not in line for line in warnings) if warnings else None


def cpu_speed_limit_share(printed: str | None) -> float | None:
    """Read the speed that heat leaves the processor from `pmset -g therm`; Apple silicon does not tell."""
    found = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", printed or "")
    return int(found[1]) / 100 if found else None


def temperature_c(zones: list[str]) -> float | None:
    """Give the highest temperature of the thermal zones, which are in thousandths of a degree Celsius."""
    readings = [reading / 1000 for zone in zones if (reading := os_queries.number(zone)) is not None]
    return max(readings, default=None)


def throttle_count(counts: list[str]) -> int | None:
    """How often heat has slowed the cores and packages down since the start: differences tell."""
    readings = [reading for count in counts if (reading := os_queries.number(count)) is not None]
    return sum(readings) if readings else None


def cpu_shares(before: dict[str, float], after: dict[str, float]) -> dict[str, float | None]:
    """Of the processors' time between two looks at it, the share in use here and the share given to other machines.

    What guests of this machine use is part of "user" already. None for both where no time has passed.
    """
    passed = {name: after[name] - before[name] for name in after if not name.startswith("guest")}
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


def _others() -> dict[str, Any]:
    """What other processes and other virtual machines take of the processor, in a short window."""
    own = psutil.Process()
    others = [process for process in psutil.process_iter() if process.pid != own.pid]
    for process in (own, *others):
        _cpu_share(process)  # its first answer is 0: the window begins here
    before = psutil.cpu_times()
    psutil.cpu_percent(_WINDOW_S)  # waits; psutil's own shares are too small in windows of less than a second
    shares = cpu_shares(before._asdict(), psutil.cpu_times()._asdict())
    if shares["busy"] is not None:
        busy = shares["busy"] - _cpu_share(own) / (psutil.cpu_count() or 1)
        shares["busy"] = round(min(1.0, max(0.0, busy)), 3)
    return {
        "other_cpu_share": shares["busy"],
        "cpu_steal_share": shares["steal"],
        "competing_processes": sum(_cpu_share(process) > _COMPETING_SHARE for process in others),
    }


def _cpu_share(process: psutil.Process) -> float:
    """Cores that a process has used since the last time it was asked about; 0 for one that is gone or hidden."""
    try:
        return process.cpu_percent() / 100
    except (psutil.Error, OSError):
        return 0.0


def _alike(values: list[str]) -> str | None:
    """Write what all cores say; where they differ, each value once."""
    return ", ".join(sorted(set(values))) or None
