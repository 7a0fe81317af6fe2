"""What samples would probably have shown, and how many more would decide. Pure.

The change is taken as distributed by Student's t with the standard error that was found: guides, not promises.
"""

import math

from harness.analysis.judge import Demand, level
from harness.analysis.stats.changes import Change
from harness.analysis.stats.estimates import power_of_e

_FOUND, _WITHIN = 0.9, 0.975  # nine times of ten, and the interval's share
_MOST = 10_000  # more than anybody measures


def detectable(change: Change, demand: Demand, processes: int, *, among: int = 1) -> float | None:
    """The smallest true change for the worse, relative, that these samples would probably have shown.

    *among* is how many metrics are judged at once. None where they are too few to show any.
    """
    least = level(processes, demand.looks) / among
    if _fewest(least, demand) > processes:
        return None
    matters = math.log1p(demand.tolerance)
    surely, within = _errors(change, 1 - least), _errors(change, 1 - (1 - _WITHIN) / demand.looks)
    beyond = max(math.log1p(demand.margin) + surely, matters - within)
    if demand.margin:
        beyond = max(beyond, math.log1p(demand.margin) + matters)
    return power_of_e(beyond + _errors(change, _FOUND)) - 1


def more(change: Change, demand: Demand, processes: int, *, among: int = 1) -> int | None:
    """How many more processes a side would decide, if the change is what it seems to be; None if none would."""
    seems, matters = abs(math.log(change.ratio.point)), math.log1p(demand.tolerance)
    beyond = math.log1p(demand.margin)
    needed = []
    if seems < matters:
        needed.append((_errors(change, 1 - (1 - _WITHIN) / demand.looks) / (matters - seems)) ** 2 * processes)
    if seems > beyond and (not demand.margin or seems >= beyond + matters):
        least = level(processes, demand.looks) / among
        enough = (_errors(change, 1 - least) / (seems - beyond)) ** 2 * processes
        needed.append(max(enough, _fewest(least, demand)))
    fewest = min(needed, default=math.inf)
    return max(1, math.ceil(fewest) - processes) if fewest <= _MOST else None


def _errors(change: Change, share: float) -> float:
    """How far from the estimate the quantile at *share* lies, on logarithms."""
    from scipy.special import stdtrit  # noqa: PLC0415 - as in `changes`

    return change.error * float(stdtrit(change.freedom, share))


def _fewest(least: float, demand: Demand) -> int:
    """Processes a side, all changed one way, that leave no more than *least* to chance: of pairs, or of two samples."""
    if not demand.margin:
        return math.ceil(-math.log2(least))
    return next(n for n in range(1, _MOST) if math.comb(2 * n, n) * least >= 1)
