import re

import pytest

from harness.machine import clock
from harness.machine.clock import Stopwatch


def test_only_the_work_and_its_queue_are_timed():
    """A device that is busy 5 s before, works 2 s, and drains 3 s more: 5 s were measured."""
    clock_s, queued_s = 0, 5

    def wait():
        nonlocal clock_s, queued_s
        clock_s, queued_s = clock_s + queued_s, 0

    def work():
        nonlocal clock_s, queued_s
        clock_s, queued_s = clock_s + 2, queued_s + 3

    stopwatch = Stopwatch(now_ns=lambda: clock_s * 10**9, wait=wait)
    assert stopwatch.time_s(work) == 5.0


def test_the_time_of_day_is_utc_to_the_second():
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", clock.utc_now())


@pytest.mark.parametrize(
    ("earlier", "later", "days"),
    [
        ("2026-02-28", "2026-03-01", 1),
        ("2024-02-28", "2024-03-01", 2),
        ("2026-01-02T23:59:59Z", "2026-01-03T00:00:00Z", 1),
        ("2026-01-03", "2026-01-02", -1),
        ("unknown", "2026-01-02", None),
        ("2026-01-02", "2026-13-02", None),
        ("", "", None),
    ],
)
def test_days_are_between_dates(earlier, later, days):
    assert clock.days_between(earlier, later) == days
