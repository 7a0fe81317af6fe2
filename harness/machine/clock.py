"""Clocks: the time of day, deadlines, and a stopwatch for work on a device. No other module reads the time.

Work on a device is finished only when its results are evaluated, so the stopwatch waits for an idle device before and
after the work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def days_between(earlier: str, later: str) -> int | None:
    """Return the whole days between two ISO 8601 dates or times; None if either cannot be parsed."""
    try:
        first, last = (datetime.fromisoformat(text[:10]) for text in (earlier, later))
    except ValueError:
        return None
    return (last - first).days


def pause_s(seconds: float) -> None:
    """Sleep, so that the machine cools down."""
    if seconds > 0:
        time.sleep(seconds)


def monotonic_s() -> float:
    """Return the time of a clock for deadlines, in seconds."""
    return time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """A stopwatch for work on a device that may still be busy after the call has returned."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    cpu_ns: Callable[[], int] = time.process_time_ns  # processor time of this process, user and system
    wait: Callable[[], None]  # returns once the device is idle

    def time_s(self, work: Callable[[], object]) -> float:
        """Return the seconds that *work* takes, from an idle device to an idle device."""
        self.wait()
        start_ns = self.now_ns()
        work()
        self.wait()
        return (self.now_ns() - start_ns) / 1e9
