"""Account of a wall time: do its measured parts add up to it? All times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

TOLERANCE = 0.10  # of the wall clock: saving, logging and start-up are seldom timed apart


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAccount:
    """A wall time beside the sum of its measured parts."""

    wall_s: float
    accounted_s: float
    share_off: float  # (wall - accounted) / wall: above 0 is time in no part, below 0 the parts exceed the wall time
    reconciled: bool


def reconcile(wall_s: float, parts: Mapping[str, float]) -> TimeAccount:
    """Compare a wall time with the sum of its *parts*; they are reconciled if they differ by at most 10 % of it.

    Raises:
        ValueError: if *wall_s* is not above 0.
    """
    if wall_s <= 0:
        raise ValueError(f"a clock is reconciled with a time above 0, got {wall_s!r} s")
    accounted_s = sum(parts.values())
    share_off = (wall_s - accounted_s) / wall_s
    return TimeAccount(
        wall_s=wall_s, accounted_s=accounted_s, share_off=share_off, reconciled=abs(share_off) <= TOLERANCE
    )
