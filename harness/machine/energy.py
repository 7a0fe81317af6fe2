"""Energy meters that can be read without being root: RAPL under Linux, NVML for NVIDIA, IOReport on Apple silicon.

Cumulative joules by part, from an arbitrary start: what counts is the difference of two readings. No part contains
another, so their sum is what was drawn. A meter tells of the whole machine, not of one process.

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
    """Something that counts joules."""

    @property
    def reason(self) -> str | None:
        """Why nothing can be read, and what would help; None if something can."""

    def joules(self) -> dict[str, float]:
        """Cumulative joules by part; empty if they cannot be read."""


def open_meter() -> Meter:
    """Open every meter that this machine has."""
    meters = (open_apple(),) if sys.platform == "darwin" else (open_rapl(), open_nvidia())
    readable = tuple(meter for meter in meters if meter.reason is None)
    if readable:
        return Together(meters=readable)
    return Unreadable(reason=f"{_NONE}: {'; '.join(filter(None, (meter.reason for meter in meters)))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """No meter, for a reason."""

    reason: str

    def joules(self) -> dict[str, float]:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Several meters of different parts, read as one."""

    meters: Sequence[Meter]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """The parts of all; empty if one of them cannot be read any more, for half a sum would look like a saving."""
        readings = [meter.joules() for meter in self.meters]
        return {part: its for reading in readings for part, its in reading.items()} if all(readings) else {}


@dataclass(slots=True, kw_only=True)
class Zone:
    """One counter of RAPL. It starts again at 0 beyond its range: every few minutes under full load."""

    part: str
    counter: Path
    range_uj: int
    last_uj: int
    wrapped_uj: int = 0

    def microjoules(self) -> int:
        """Read the counter, with every range it has passed since it was opened.

        Raises:
            OSError: if it cannot be read any more.
        """
        now_uj = _whole(self.counter)
        if now_uj < self.last_uj:
            self.wrapped_uj += self.range_uj
        self.last_uj = now_uj
        return self.wrapped_uj + now_uj


@dataclass(frozen=True, slots=True, kw_only=True)
class Rapl:
    """The processor's packages and their memory. Read it more often than its counters start again."""

    zones: Sequence[Zone]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """Joules of all packages, and of all memory where it is counted apart."""
        sums: dict[str, float] = {}
        try:
            for zone in self.zones:
                sums[zone.part] = sums.get(zone.part, 0.0) + zone.microjoules() / 1e6
        except (OSError, ValueError):
            return {}
        return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A library that gives millijoules by part."""

    read_mj: Callable[[], dict[str, int]]
    reason: None = None

    def joules(self) -> dict[str, float]:
        """Joules by part; empty if the library fails."""
        try:
            return {part: its / 1000 for part, its in self.read_mj().items()}
        except Exception:  # noqa: BLE001 - each library has errors of its own, and no meter may end a run
            return {}


def open_rapl(powercap: Path = _POWERCAP) -> Meter:
    """Open the counters of the processor's packages.

    Their other parts (core, uncore) are within the package, and psys is around it; memory ("dram") is apart.
    """
    if not powercap.is_dir():
        return Unreadable(reason=f"{powercap} is missing")
    zones = []
    try:
        for directory in sorted(powercap.glob("intel-rapl:*")):
            part = (directory / "name").read_text(encoding="ascii").strip().partition("-")[0]
            if part in {"package", "dram"}:
                counter = directory / "energy_uj"
                range_uj = _whole(directory / "max_energy_range_uj")
                zones.append(Zone(part=part, counter=counter, range_uj=range_uj, last_uj=_whole(counter)))
    except PermissionError as error:
        return Unreadable(
            reason=f"only root may read {error.filename}; allow it with: sudo chmod a+r {powercap}/*/energy_uj"
        )
    except (OSError, ValueError) as error:
        return Unreadable(reason=f"{powercap} cannot be read ({error})")
    return Rapl(zones=zones) if zones else Unreadable(reason=f"{powercap} has no counter of the processor")


def open_nvidia() -> Meter:
    """Open the counters of the NVIDIA GPUs, numbered as the driver numbers them; Volta or newer."""
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
    """Open the counters of an Apple chip: its own estimate of what CPU, GPU, Neural Engine and memory draw."""
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
    """Read the parts that do not overlap; those that the chip does not count are None."""
    metrics = monitor.get_cumulative_energy()
    named = {name.partition("_")[0]: getattr(metrics, name, None) for name in _APPLE_PARTS}
    return {part: its for part, its in named.items() if its is not None}


def _whole(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
