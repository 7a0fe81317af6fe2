"""Whether the parts of a time add up to it. Seconds throughout."""

from collections.abc import Mapping
from dataclasses import dataclass

TOLERANCE = 0.10  # of the wall clock: saving, logging and start-up are seldom timed apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A wall clock against the sum of what was timed within it."""

    wall_s: float
    accounted_s: float
    share_off: float  # (wall - accounted) / wall: above 0 is time without an account, below 0 more than there was
    reconciled: bool


def reconcile(wall_s: float, parts: Mapping[str, float]) -> Clock:
    """Compare *wall_s* with the sum of its *parts*: reconciled if they differ by at most a tenth of it.

    Raises:
        ValueError: if the wall clock is not above 0.
    """
    if wall_s <= 0:
        raise ValueError(f"a clock is reconciled with a time above 0, got {wall_s!r} s")
    accounted_s = sum(parts.values())
    share_off = (wall_s - accounted_s) / wall_s
    return Clock(wall_s=wall_s, accounted_s=accounted_s, share_off=share_off, reconciled=abs(share_off) <= TOLERANCE)
