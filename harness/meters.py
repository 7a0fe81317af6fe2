"""Reads the clock and the memory around a piece of work. The only module that knows the time and /proc.

Work on a device is done when its results are evaluated, so a clock is read only from an idle device
to an idle device: *wait* returns once nothing is queued.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness.records import Readings

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc: /proc/pid/clear_refs, resets the high-water mark of the resident set


def utc_now() -> str:
    """The time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def monotonic_s() -> float:
    """A clock for deadlines, in seconds."""
    return time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """Times work on a device that may still be busy after the call returned."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    wait: Callable[[], None]  # returns once the device is idle

    def time_s(self, work: Callable[[], object]) -> float:
        """Seconds of *work*, from an idle device to an idle device."""
        self.wait()
        start_ns = self.now_ns()
        work()
        self.wait()
        return (self.now_ns() - start_ns) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocator:
    """What the array library tells of its memory, in bytes. A value of its own so that tests can fake it."""

    peak: Callable[[], int]
    cache: Callable[[], int]
    reset_peak: Callable[[], None]


def resident_peak_bytes() -> int | None:
    """The process's resident high-water mark since it was last reset; None where the system does not tell."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def reset_resident_peak() -> None:
    """Start a new high-water mark, where the system allows it."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return


@dataclass(slots=True, kw_only=True)
class MemoryMeter:
    """Peak memory by phase. A phase may be entered more than once; its highest peak counts.

    Phases nest: what happens in the inner one does not count for the outer one.
    """

    allocator: Allocator
    resident_peak: Callable[[], int | None] = resident_peak_bytes
    reset_resident: Callable[[], None] = reset_resident_peak
    _open: list[str] = field(default_factory=list)
    _active: dict[str, int] = field(default_factory=dict)
    _cache: dict[str, int] = field(default_factory=dict)
    _footprint: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the peaks of the enclosed work, apart from what was before and from inner phases."""
        self._close_window()
        self._open.append(name)
        try:
            yield
        finally:
            self._close_window()
            self._open.pop()

    def _close_window(self) -> None:
        """Count the peaks since the last reset for the innermost open phase, and reset."""
        if self._open:
            name = self._open[-1]
            _raise_to(self._active, name, self.allocator.peak())
            _raise_to(self._cache, name, self.allocator.cache())
            if (resident := self.resident_peak()) is not None:
                _raise_to(self._footprint, name, resident)
        self.allocator.reset_peak()
        self.reset_resident()

    def readings(self) -> dict[str, Readings]:
        """Every peak so far, a label a phase."""
        reason = "this system does not tell a process its resident high-water mark"
        return {
            "peak_active_bytes": _by_phase(self._active, "no phase was measured"),
            "peak_cache_bytes": _by_phase(self._cache, "no phase was measured"),
            "peak_footprint_bytes": _by_phase(self._footprint, reason),
        }


def _raise_to(peaks: dict[str, int], name: str, value: int) -> None:
    peaks[name] = max(value, peaks.get(name, 0))


def _by_phase(peaks: dict[str, int], reason: str) -> Readings:
    if not peaks:
        return Readings(values=(), reason=reason)
    return Readings(values=tuple(map(float, peaks.values())), labels=tuple(peaks))
