"""Statistical power: the change that samples would probably have detected, and how many more would decide.

The change is assumed to follow Student's t distribution with the estimated standard error: results are guides.
"""

import math

from harness.analysis.judge import Demand, level
from harness.analysis.stats.changes import Change
from harness.analysis.stats.estimates import power_of_e

_FOUND, _WITHIN = 0.9, 0.975  # nine times of ten, and the interval's share
_MOST = 10_000  # more than anybody measures


def detectable(change: Change, demand: Demand, processes: int, *, among: int = 1) -> float | None:
    """Return the smallest true relative change for the worse that these samples would probably have detected.

    *among* is the number of metrics judged at once. None where the samples are too few to detect any change.
    """
    significance = level(processes, demand.looks) / among
    if _fewest(significance, demand) > processes:
        return None
    matters = math.log1p(demand.tolerance)
    surely, within = _errors(change, 1 - significance), _errors(change, 1 - (1 - _WITHIN) / demand.looks)
    beyond = max(math.log1p(demand.margin) + surely, matters - within)
    if demand.margin:
        beyond = max(beyond, math.log1p(demand.margin) + matters)
    return power_of_e(beyond + _errors(change, _FOUND)) - 1


def more(change: Change, demand: Demand, processes: int, *, among: int = 1) -> int | None:
    """Return how many more processes a side would decide if the estimate is the true change; None if none would."""
    seems, matters = abs(math.log(change.ratio.point)), math.log1p(demand.tolerance)
    beyond = math.log1p(demand.margin)
    needed = []
    if seems < matters:
        needed.append((_errors(change, 1 - (1 - _WITHIN) / demand.looks) / (matters - seems)) ** 2 * processes)
    if seems > beyond and (not demand.margin or seems >= beyond + matters):
        significance = level(processes, demand.looks) / among
        enough = (_errors(change, 1 - significance) / (seems - beyond)) ** 2 * processes
        needed.append(max(enough, _fewest(significance, demand)))
    fewest = min(needed, default=math.inf)
    return max(1, math.ceil(fewest) - processes) if fewest <= _MOST else None


def _errors(change: Change, share: float) -> float:
    """Return the distance, on logarithms, between the estimate and the quantile at *share*."""
    from scipy.special import stdtrit  # noqa: PLC0415 - as in `changes`

    return change.error * float(stdtrit(change.freedom, share))


def _fewest(significance: float, demand: Demand) -> int:
    """Return the fewest processes a side that can reach *significance*, if all of them change in one direction."""
    if not demand.margin:
        return math.ceil(-math.log2(significance))
    return next(n for n in range(1, _MOST) if math.comb(2 * n, n) * significance >= 1)
