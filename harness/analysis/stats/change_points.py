"""Change points of a series: places where its level changed for good. Only this module uses ruptures.

Values are taken as logarithms, and single outliers are replaced first. The penalty for a change point grows with the
autocorrelation of the values, because machines warm up, drift and settle.
Source of the penalty: docs/decisions/0020-change-points.md, with simulations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from statistics import median

LIBRARY = "ruptures"
FEWEST = 10  # values, below which a change cannot be told from chance
LATER = 3  # values a level needs: one or two may be a busy machine
_PRICE = 4.0  # of a change point, times the variance and the logarithm of the number of values
_REACH, _OUTSTANDING = 3, 3.0  # neighbors on each side, and deviations from both, that make a value stand out
_TO_DEVIATION = 1.4826 / math.sqrt(2)  # from the median of absolute differences of neighbors
_KEPT = 0.9  # of squared differences: the largest ones are steps, and what stands out
_MOST_DEPENDENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Change of level: index of the first value at the new level, and the medians before and after."""

    at: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """Relative change of the level, above 0 for an increase."""
        return self.after / self.before - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """Change points of a series; *why_not* explains why none were looked for."""

    found: tuple[Shift, ...] = ()
    why_not: str | None = None


def shifts(values: Sequence[float], tolerance: float) -> Shifts:
    """Find every change of level beyond the relative *tolerance*, in the order of the values."""
    if len(values) < FEWEST:
        return Shifts(why_not=f"{len(values)} of {FEWEST} points that a change point needs")
    if min(values) <= 0:
        return Shifts(why_not="a value of 0 or less has no relative change")
    if find_spec(LIBRARY) is None:
        return Shifts(why_not=f"the package {LIBRARY} is not installed: pip install 'tunebench[history]'")
    logs = _without_outstanding([math.log(value) for value in values])
    limits = _merged(logs, [0, *_boundaries(logs, _price(logs)), len(logs)], math.log1p(tolerance))
    levels = [median(values[start:end]) for start, end in pairwise(limits)]
    shifts_found = (
        Shift(at=at, before=before, after=after)
        for at, before, after in zip(limits[1:-1], levels, levels[1:], strict=False)
    )
    return Shifts(found=tuple(shifts_found))


def _boundaries(logs: Sequence[float], price: float) -> list[int]:
    """Return the boundaries of the least-squares levels, with a penalty of *price* for each change."""
    import numpy as np  # noqa: PLC0415 - none of it is needed by who has no history
    import ruptures  # noqa: PLC0415

    signal = np.array(logs).reshape(-1, 1)
    ends = ruptures.KernelCPD(kernel="linear", min_size=LATER).fit(signal).predict(pen=price)
    return [int(end) for end in ends[:-1]]


def _price(logs: Sequence[float]) -> float:
    """Return the penalty: the sum of squares a change point has to save, larger for autocorrelated values.

    Source: the variance of a mean of an autoregressive row, (1 + f) / (1 - f) of that of independent values.
    """
    spread = _deviation(logs) ** 2
    together = _dependence(logs)
    variance = spread / (1 - together)  # differences of neighbors show this much less of it
    return _PRICE * math.log(len(logs)) * variance * (1 + together) / (1 - together)


def _deviation(logs: Sequence[float]) -> float:
    """Estimate the standard deviation from differences of neighbors, robust to a step; never exactly 0."""
    steps = [abs(after - before) for before, after in pairwise(logs)]
    return max(_TO_DEVIATION * median(steps), 1e-9)


def _dependence(logs: Sequence[float]) -> float:
    """Estimate the autocorrelation from squared differences over two steps and over one, without the largest."""
    single_steps, double_steps = (
        sorted((after - before) ** 2 for before, after in zip(logs, logs[gap:], strict=False)) for gap in (1, 2)
    )
    near, far = (
        sum(squares[: int(_KEPT * len(squares))]) / int(_KEPT * len(squares))
        for squares in (single_steps, double_steps)
    )
    return min(max(far / near - 1, 0.0), _MOST_DEPENDENCE) if near > 0 else 0.0


def _without_outstanding(logs: Sequence[float]) -> list[float]:
    """Replace each outlier by the nearer of its two neighboring medians."""
    limit = _OUTSTANDING * _deviation(logs)
    calm = list(logs)
    for at, value in enumerate(logs):
        sides = [logs[max(0, at - _REACH) : at], logs[at + 1 : at + 1 + _REACH]]
        levels = [median(side) for side in sides if side]
        if all(abs(value - level) > limit for level in levels):
            calm[at] = min(levels, key=lambda level: abs(value - level))
    return calm


def _merged(logs: Sequence[float], limits: list[int], smallest: float) -> list[int]:
    """Remove the limits across which the level changes by no more than *smallest*, smallest change first."""
    while len(limits) > 2:  # noqa: PLR2004 - the two ends
        levels = [median(logs[start:end]) for start, end in pairwise(limits)]
        jumps = [abs(after - before) for before, after in pairwise(levels)]
        smallest_jump = min(range(len(jumps)), key=jumps.__getitem__)
        if jumps[smallest_jump] > smallest:
            break
        limits = [*limits[: smallest_jump + 1], *limits[smallest_jump + 2 :]]
    return limits
