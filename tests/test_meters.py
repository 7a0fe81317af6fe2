import re

from harness import meters
from harness.meters import Stopwatch


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
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", meters.utc_now())
