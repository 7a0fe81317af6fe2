"""Reads the clock around a piece of work. The only module that knows the time.

Work on a device is done when its results are evaluated, so a clock is read only from an idle device
to an idle device: *wait* returns once nothing is queued.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> str:
    """The time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def days_between(earlier: str, later: str) -> int | None:
    """Whole days from one date or time of day in ISO 8601 to another; None where one of them is none."""
    try:
        first, last = (datetime.fromisoformat(its[:10]) for its in (earlier, later))
    except ValueError:
        return None
    return (last - first).days


def pause_s(seconds: float) -> None:
    """Do nothing for so long: a machine cools down."""
    if seconds > 0:
        time.sleep(seconds)


def monotonic_s() -> float:
    """A clock for deadlines, in seconds."""
    return time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """Times work on a device that may still be busy after the call returned."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    cpu_ns: Callable[[], int] = time.process_time_ns  # processor time of this process: user and system
    wait: Callable[[], None]  # returns once the device is idle

    def time_s(self, work: Callable[[], object]) -> float:
        """Seconds of *work*, from an idle device to an idle device."""
        self.wait()
        start_ns = self.now_ns()
        work()
        self.wait()
        return (self.now_ns() - start_ns) / 1e9
