"""A verdict that needed no timing rule: from losses at a fixed seed, or from answers prompt by prompt. A value."""

from dataclasses import dataclass

from harness.gating.verdicts import GateVerdict
from harness.stats import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A verdict with its reason.

    *ratio* is candidate / baseline where one can be given. *detectable* is the smallest change for the worse that
    these data would have shown, in the measure of the tolerance. *more* is how many processes a side are still needed,
    where processes would help.
    """

    verdict: GateVerdict
    reason: str
    ratio: Interval | None = None
    detectable: float | None = None
    more: int | None = None
