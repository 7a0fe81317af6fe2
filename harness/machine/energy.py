"""Energy meters that can be read without root: RAPL on Linux, NVML for NVIDIA, IOReport on Apple silicon.

A meter gives cumulative joules by part, from an arbitrary start, so only the difference of two readings has a meaning.
The parts do not overlap: their sum is the energy used. It is that of the whole machine, not of one process.

Sources: https://docs.kernel.org/power/powercap/powercap.html, NVML API reference (nvmlDeviceGetTotalEnergyConsumption),
https://github.com/ml-energy/zeus-apple-silicon
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_POWERCAP = Path("/sys/class/powercap")
_APPLE_PARTS = ("cpu_total_mj", "gpu_mj", "ane_mj", "dram_mj")  # the others are shares of these
_NONE = "no energy meter can be read without root here"
_EXTRA = "install it with: pip install 'tunebench[energy]'"


class Meter(Protocol):
    """An energy meter."""

    @property
    def reason(self) -> str | None:
        """Why nothing can be read, and the remedy; None if the meter can be read."""

    def joules(self) -> dict[str, float]:
        """Return cumulative joules by part; empty if they cannot be read."""


def open_meter() -> Meter:
    """Open all meters that this machine has, as one."""
    meters = (open_apple(),) if sys.platform == "darwin" else (open_rapl(), open_nvidia())
    readable = tuple(meter for meter in meters if meter.reason is None)
    if readable:
        return CombinedMeter(meters=readable)
    return Unreadable(reason=f"{_NONE}: {'; '.join(filter(None, (meter.reason for meter in meters)))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A meter that cannot be read, with the reason."""

    reason: str

    def joules(self) -> dict[str, float]:
        """Return nothing."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedMeter:
    """Several meters of different parts, read as one."""

    meters: Sequence[Meter]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """Return the parts of all meters; empty if one is unreadable, as a partial sum would look like a saving."""
        readings = [meter.joules() for meter in self.meters]
        return {part: joules for reading in readings for part, joules in reading.items()} if all(readings) else {}


@dataclass(slots=True, kw_only=True)
class Zone:
    """One RAPL counter. It wraps to 0 at the end of its range: every few minutes under full load."""

    part: str
    counter: Path
    range_uj: int
    last_uj: int
    wrapped_uj: int = 0

    def microjoules(self) -> int:
        """Return the count, corrected for wraps since the counter was opened.

        Raises:
            OSError: if the counter can no longer be read.
        """
        now_uj = _read_number(self.counter)
        if now_uj < self.last_uj:
            self.wrapped_uj += self.range_uj
        self.last_uj = now_uj
        return self.wrapped_uj + now_uj


@dataclass(frozen=True, slots=True, kw_only=True)
class Rapl:
    """RAPL meter of the processor packages and their memory. Read it at least once per wrap of its counters."""

    zones: Sequence[Zone]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """Return the joules of all packages, and of all memory if it has counters of its own."""
        sums: dict[str, float] = {}
        try:
            for zone in self.zones:
                sums[zone.part] = sums.get(zone.part, 0.0) + zone.microjoules() / 1e6
        except (OSError, ValueError):
            return {}
        return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A meter over a library that returns millijoules by part."""

    read_mj: Callable[[], dict[str, int]]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """Return joules by part; empty if the library fails."""
        try:
            return {part: millijoules / 1000 for part, millijoules in self.read_mj().items()}
        except Exception:  # noqa: BLE001 - each library has errors of its own, and no meter may end a run
            return {}


def open_rapl(powercap: Path = _POWERCAP) -> Meter:
    """Open the counters of the processor packages and of memory.

    The zones core and uncore are parts of a package, and psys contains the packages; memory ("dram") is separate.
    """
    if not powercap.is_dir():
        return Unreadable(reason=f"{powercap} is missing")
    zones = []
    try:
        for directory in sorted(powercap.glob("intel-rapl:*")):
            part = (directory / "name").read_text(encoding="ascii").strip().partition("-")[0]
            if part in {"package", "dram"}:
                counter = directory / "energy_uj"
                range_uj = _read_number(directory / "max_energy_range_uj")
                zones.append(Zone(part=part, counter=counter, range_uj=range_uj, last_uj=_read_number(counter)))
    except PermissionError as error:
        return Unreadable(
            reason=f"only root may read {error.filename}; allow it with: sudo chmod a+r {powercap}/*/energy_uj"
        )
    except (OSError, ValueError) as error:
        return Unreadable(reason=f"{powercap} cannot be read ({error})")
    return Rapl(zones=zones) if zones else Unreadable(reason=f"{powercap} has no counter of the processor")


def open_nvidia() -> Meter:
    """Open the counters of the NVIDIA GPUs (Volta or newer), with the numbers of the driver."""
    try:
        import pynvml  # noqa: PLC0415 - optional
    except ImportError:
        return Unreadable(reason=f"for an NVIDIA GPU the package nvidia-ml-py is missing; {_EXTRA}")
    try:
        pynvml.nvmlInit()
        devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]

        def read_mj() -> dict[str, int]:
            return {
                f"gpu-{index}": pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
                for index, device in enumerate(devices)
            }

        read_mj()
    except pynvml.NVMLError as error:
        return Unreadable(reason=f"no NVIDIA GPU tells its energy ({error})")
    return Counters(read_mj=read_mj) if devices else Unreadable(reason="there is no NVIDIA GPU")


def open_apple() -> Meter:
    """Open the counters of an Apple chip: its own estimates for CPU, GPU, Neural Engine and memory."""
    try:
        import zeus_apple_silicon  # noqa: PLC0415 - optional
    except ImportError:
        return Unreadable(reason=f"the package zeus-apple-silicon is missing; {_EXTRA}")
    try:
        monitor = zeus_apple_silicon.AppleEnergyMonitor()
        parts = _apple_mj(monitor)
    except Exception as error:  # noqa: BLE001 - whatever the library raises on a chip that it does not know
        return Unreadable(reason=f"the chip does not tell its energy ({error})")
    return Counters(read_mj=lambda: _apple_mj(monitor)) if parts else Unreadable(reason="the chip counts no energy")


def _apple_mj(monitor: Any) -> dict[str, int]:
    """Return the millijoules of the parts that do not overlap, without parts that the chip does not count."""
    metrics = monitor.get_cumulative_energy()
    named = {name.partition("_")[0]: getattr(metrics, name, None) for name in _APPLE_PARTS}
    return {part: millijoules for part, millijoules in named.items() if millijoules is not None}


def _read_number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
