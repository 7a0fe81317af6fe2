"""Reads how much memory is used: by arrays, by a process, by phase of the work. The door to /proc and libproc.

A process's memory is what its system charges it for: the resident set on Linux; on macOS phys_footprint, which
counts what the device uses and what is compressed, and the resident set does not. None where a system tells neither.

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
_RESET_PEAK = "5"  # to clear_refs: a new high-water mark of the resident set; 1 to 4 do other things
_USAGE_FLAVOR = 4  # RUSAGE_INFO_V4, the first that has the high-water mark of an interval
_COUNTERS = 35  # of struct rusage_info_v4, all of 64 bits, after a UUID of 16 bytes
_PHYS_FOOTPRINT = 7  # ri_phys_footprint among them
_INTERVAL_PEAK = 33  # ri_interval_max_phys_footprint: since its last reset, or the process's start
_BELIEVABLE = 2  # times the memory there is: compressed and swapped memory counts, 2^64 bytes do not


class _Usage(ctypes.Structure):
    """`struct rusage_info_v4`."""

    _fields_ = (("uuid", ctypes.c_uint8 * 16), ("counters", ctypes.c_uint64 * _COUNTERS))


def resident_bytes(pid: int | None = None) -> int | None:
    """What a process (this one by default) uses now."""
    if _libproc() is not None:
        return _usage(_PHYS_FOOTPRINT, pid)
    return _status("VmRSS", pid)


def used_bytes(pid: int) -> int | None:
    """What a process uses now, with what of it is swapped out. phys_footprint holds that already."""
    resident = resident_bytes(pid)
    return None if resident is None else resident + (_status("VmSwap", pid) or 0)


def resident_peak_bytes() -> int | None:
    """The most this process has used since its last reset, or its start."""
    if _libproc() is not None:
        return _usage(_INTERVAL_PEAK)
    return _status("VmHWM")


def reset_resident_peak() -> bool:
    """Start a new high-water mark; False where the system does not allow it, and the mark stays."""
    if (library := _libproc()) is not None:
        return bool(library.proc_reset_footprint_interval(os.getpid()) == 0)
    try:
        (_PROC / "self" / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def swapped_bytes() -> int | None:
    """How much of this process is swapped out; known on Linux alone."""
    return _status("VmSwap")


def physical_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocator:
    """What the array library tells of its memory, in bytes. A value of its own so that tests can fake it."""

    active: Callable[[], int]  # live arrays
    peak: Callable[[], int]  # the most of them since the last reset
    cache: Callable[[], int]  # freed, and held on to
    reset_peak: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class MemoryMeter:
    """Peak memory by phase. A phase may be entered more than once; its highest peak counts.

    Phases nest: what happens in the inner one does not count for the outer one. The footprint has one label more,
    *process*: the highest of all, of what was before, between and after the phases too.
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
    _marks: bool = True  # whether the high-water mark could be reset each time
    _swapped_at_first: int | None = None

    def __post_init__(self) -> None:
        self._swapped_at_first = self.swapped()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the peaks of the enclosed work, apart from what was before and from inner phases."""
        self._count()
        self._reset()
        self._open.append(name)
        try:
            yield
        finally:
            self._count()
            self._open.pop()
            if self._open:  # else the mark stays: what the system tells of the process in the end is of the last phase
                self._reset()

    def _count(self) -> None:
        """Count the peaks since the last reset, and the cache as it is, for the innermost phase and the process."""
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
        """Count the process's peak since the last reset, and give it."""
        if (resident := self.resident_peak()) is not None:
            _raise_to(self._process, "process", resident)
        return resident

    def readings(self) -> dict[str, Readings]:
        """Every peak so far, a label a phase, and what was swapped out since the meter was made."""
        self._note_process()
        untold = "this system does not tell a process its memory's high-water mark"
        footprint = _by_label((self._footprint if self._marks else {}) | self._process, untold)
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
        """The peaks that cannot be true: none at all, or twice the memory there is.

        *device_bytes* is the memory of a device that has its own; arrays live there.
        """
        array_bytes = device_bytes or physical_bytes
        rows = (
            ("peak_active_bytes", self._active, 1, array_bytes),
            ("peak_cache_bytes", self._cache, 0, array_bytes),  # none at all is fine: nothing was freed
            ("peak_footprint_bytes", self._footprint | self._process, 1, physical_bytes),
        )
        return [
            f"{metric} of {label} is {value} bytes, which cannot be: the memory has {format_value(there, 'byte')}"
            for metric, peaks, least, there in rows
            for label, value in peaks.items()
            if not least <= value < _BELIEVABLE * there
        ]


def _raise_to(peaks: dict[str, int], name: str, value: int) -> None:
    peaks[name] = max(value, peaks.get(name, 0))


def _by_label(peaks: dict[str, int], reason: str) -> Readings:
    if not peaks:
        return Readings(values=(), reason=reason)
    return Readings(values=tuple(map(float, peaks.values())), labels=tuple(peaks))


def _status(name: str, pid: int | None = None) -> int | None:
    """One of the sizes in /proc/PID/status; None where there is no such file, or no such line in it."""
    text = os_queries.text(str(_PROC / str(pid or "self") / "status")) or ""
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:")), None)


@cache
def _libproc() -> Any:
    """The library of macOS that knows of processes; None elsewhere, or where it cannot start an interval."""
    if sys.platform != "darwin":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("proc_pid_rusage", "proc_reset_footprint_interval"))
    return library if known else None


def _usage(counter: int, pid: int | None = None) -> int | None:
    """One of the counters of `struct rusage_info_v4`; None of a process that is gone, or another user's."""
    usage = _Usage()
    failed = _libproc().proc_pid_rusage(pid or os.getpid(), _USAGE_FLAVOR, ctypes.byref(usage))
    return None if failed else int(usage.counters[counter])
