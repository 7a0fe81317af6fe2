"""Memory in use: by arrays, by a process, and by phase of the work. No other module reads /proc and libproc for it.

The memory of a process is what the system charges it for: on Linux the resident set; on macOS phys_footprint, which
includes device memory and compressed memory, as the resident set does not. None if a system reports neither.

Sources: man 5 proc (status, clear_refs); <libproc.h> and <sys/resource.h> of macOS.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.machine import os_queries
from harness.results.records import Readings
from harness.units import format_value

_PROC = Path("/proc")
_RESET_PEAK = "5"  # written to clear_refs: resets the high-water mark of the resident set; 1 to 4 do other things
_USAGE_FLAVOR = 4  # RUSAGE_INFO_V4, the first that has the high-water mark of an interval
_COUNTERS = 35  # in struct rusage_info_v4, each of 64 bits, after a UUID of 16 bytes
_PHYS_FOOTPRINT = 7  # index of ri_phys_footprint
_INTERVAL_PEAK = 33  # index of ri_interval_max_phys_footprint: since its last reset, or the start of the process
_BELIEVABLE = 2  # times the physical memory: compressed and swapped memory counts, 2^64 bytes are an error


class _Usage(ctypes.Structure):
    """`struct rusage_info_v4`."""

    _fields_ = (("uuid", ctypes.c_uint8 * 16), ("counters", ctypes.c_uint64 * _COUNTERS))


def resident_bytes(pid: int | None = None) -> int | None:
    """Return the memory that a process (by default this one) uses now."""
    if _libproc() is not None:
        return _usage(_PHYS_FOOTPRINT, pid)
    return _status("VmRSS", pid)


def used_bytes(pid: int) -> int | None:
    """Return the memory that a process uses now, swapped memory included; phys_footprint includes it already."""
    resident = resident_bytes(pid)
    return None if resident is None else resident + (_status("VmSwap", pid) or 0)


def resident_peak_bytes() -> int | None:
    """Return the peak memory of this process since the last reset, or its start."""
    if _libproc() is not None:
        return _usage(_INTERVAL_PEAK)
    return _status("VmHWM")


def reset_resident_peak() -> bool:
    """Reset the peak memory of this process; False if the system does not allow it."""
    if (library := _libproc()) is not None:
        return bool(library.proc_reset_footprint_interval(os.getpid()) == 0)
    try:
        (_PROC / "self" / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def swapped_bytes() -> int | None:
    """Return how much of this process is swapped out; known on Linux only."""
    return _status("VmSwap")


def physical_bytes() -> int:
    """Return the physical memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocator:
    """Functions that read the memory of the array library, in bytes. A class of its own so that tests can fake it."""

    active: Callable[[], int]  # live arrays
    peak: Callable[[], int]  # peak of live arrays since the last reset
    cache: Callable[[], int]  # freed memory that the library keeps
    reset_peak: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class MemoryMeter:
    """Meter of peak memory by phase. A phase may be entered several times; its highest peak counts.

    Phases nest: peaks of an inner phase do not count for the outer one. The footprint has one more label, *process*:
    the highest peak of all, including the time before, between and after phases.
    """

    allocator: Allocator
    resident_peak: Callable[[], int | None] = resident_peak_bytes
    reset_resident: Callable[[], bool] = reset_resident_peak
    swapped: Callable[[], int | None] = swapped_bytes
    _open: list[str] = field(default_factory=list)
    _active: dict[str, int] = field(default_factory=dict)
    _cache: dict[str, int] = field(default_factory=dict)
    _footprint: dict[str, int] = field(default_factory=dict)
    _process: dict[str, int] = field(default_factory=dict)
    _marks: bool = True  # the high-water mark could be reset each time
    _swapped_at_first: int | None = None

    def __post_init__(self) -> None:
        self._swapped_at_first = self.swapped()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the peaks of the enclosed work, without earlier work and inner phases."""
        self._count()
        self._reset()
        self._open.append(name)
        try:
            yield
        finally:
            self._count()
            self._open.pop()
            if self._open:  # else the mark stays, so that a later reading of the process is the peak of the last phase
                self._reset()

    def _count(self) -> None:
        """Add the peaks since the last reset, and the present cache, to the innermost phase and the process."""
        resident = self._note_process()
        if self._open:
            name = self._open[-1]
            _raise_to(self._active, name, self.allocator.peak())
            _raise_to(self._cache, name, self.allocator.cache())
            if resident is not None:
                _raise_to(self._footprint, name, resident)

    def _reset(self) -> None:
        self.allocator.reset_peak()
        self._marks = self.reset_resident() and self._marks

    def _note_process(self) -> int | None:
        """Add the peak since the last reset to the process, and return it."""
        if (resident := self.resident_peak()) is not None:
            _raise_to(self._process, "process", resident)
        return resident

    def readings(self) -> dict[str, Readings]:
        """Return all peaks so far by phase, and the memory swapped out since the meter was created."""
        self._note_process()
        no_mark_reason = "this system does not tell a process its memory's high-water mark"
        footprint = _by_label((self._footprint if self._marks else {}) | self._process, no_mark_reason)
        if self._process and not self._marks:
            footprint = replace(footprint, reason="by phase: this system does not let a process reset its mark")
        return {
            "peak_active_bytes": _by_label(self._active, "no phase was measured"),
            "peak_cache_bytes": _by_label(self._cache, "no phase was measured"),
            "peak_footprint_bytes": footprint,
            "swap_growth_bytes": self._swap_growth(),
        }

    def _swap_growth(self) -> Readings:
        swapped = self.swapped()
        if swapped is None or self._swapped_at_first is None:
            return Readings(values=(), reason="this system does not tell a process how much of it is swapped out")
        return Readings(values=(float(swapped - self._swapped_at_first),))

    def doubts(self, physical_bytes: int, device_bytes: int | None) -> list[str]:
        """Describe the peaks that are impossible: zero, or at least twice the available memory.

        *device_bytes* is the memory of a device that has its own, where the arrays are.
        """
        array_bytes = device_bytes or physical_bytes
        rows = (
            ("peak_active_bytes", self._active, 1, array_bytes),
            ("peak_cache_bytes", self._cache, 0, array_bytes),  # zero is possible: nothing was freed
            ("peak_footprint_bytes", self._footprint | self._process, 1, physical_bytes),
        )
        return [
            f"{metric} of {label} is {value} bytes, which cannot be: "
            f"the memory has {format_value(memory_bytes, 'byte')}"
            for metric, peaks, lowest, memory_bytes in rows
            for label, value in peaks.items()
            if not lowest <= value < _BELIEVABLE * memory_bytes
        ]


def _raise_to(peaks: dict[str, int], name: str, value: int) -> None:
    peaks[name] = max(value, peaks.get(name, 0))


def _by_label(peaks: dict[str, int], reason: str) -> Readings:
    if not peaks:
        return Readings(values=(), reason=reason)
    return Readings(values=tuple(map(float, peaks.values())), labels=tuple(peaks))


def _status(name: str, pid: int | None = None) -> int | None:
    """Return one of the sizes in /proc/PID/status, in bytes; None without the file or the line."""
    text = os_queries.text(str(_PROC / str(pid or "self") / "status")) or ""
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:")), None)


@cache
def _libproc() -> Any:
    """Return the macOS library for process information; None elsewhere, or if it cannot reset the peak."""
    if sys.platform != "darwin":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("proc_pid_rusage", "proc_reset_footprint_interval"))
    return library if known else None


def _usage(counter: int, pid: int | None = None) -> int | None:
    """Return one counter of `struct rusage_info_v4`; None for a process that is gone or belongs to another user."""
    usage = _Usage()
    failed = _libproc().proc_pid_rusage(pid or os.getpid(), _USAGE_FLAVOR, ctypes.byref(usage))
    return None if failed else int(usage.counters[counter])
