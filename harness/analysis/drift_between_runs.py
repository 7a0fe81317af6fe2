"""Whether the machine itself changed speed between two runs, by the control probes of their processes. Pure.

`drift` compares the halves of one session in the same way. Rates are compared within a compute type.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.analysis.drift import PROBES
from harness.analysis.judge import TOLERANCE
from harness.analysis.stats.estimates import Interval, ratio_of_independent
from harness.results.records import Bundle, Kind
from harness.units import format_percent

_MOST = 40  # processes a side: the exact interval of more takes seconds, and is no narrower than anybody needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The candidate's machine over the baseline's, by one probe: 1.0 means that nothing changed.

    *ratio* is None where too few processes were measured for an interval.
    """

    probe: str
    processes: tuple[int, int]  # of the baseline, and of the candidate
    ratio: Interval | None

    @property
    def beyond_noise(self) -> bool | None:
        """Whether the change is real, and large enough to matter; None where that is not known."""
        its = self.ratio
        if its is None:
            return None
        return not its.low <= 1 <= its.high and abs(its.point - 1) > TOLERANCE[Kind.TIMING]

    @property
    def words(self) -> str:
        """The shift in words, for a reason or a warning."""
        what = PROBES[self.probe]
        if self.ratio is None:
            before, after = self.processes
            return f"{what}: {before} and {after} processes are too few to tell whether the machine changed"
        change = f"{format_percent(abs(self.ratio.point - 1))} {'slower' if self.ratio.point < 1 else 'faster'}"
        return f"{what}: {change} than when the baseline was made"


def shift(baseline: Bundle, candidate: Bundle) -> tuple[Shift, ...]:
    """One shift a probe; () of a pair of runs that were measured alternately: what moves, moves both."""
    return tuple(_shift(probe, _rates(baseline, probe), _rates(candidate, probe)) for probe in PROBES)


def _rates(bundle: Bundle, probe: str) -> dict[str, list[float]]:
    """What the probe read in each process, by compute type."""
    rates: dict[str, list[float]] = defaultdict(list)
    for record in bundle.records:
        metric = record.metrics.get(probe)
        if record.key is not None and metric is not None and metric.samples is not None:
            rates[record.key.dtype] += [readings[0] for readings in metric.samples]
    return rates


def _shift(probe: str, before: dict[str, list[float]], after: dict[str, list[float]]) -> Shift:
    """Each rate over the median of the baseline's of its type; types of one side alone say nothing."""
    middles = {dtype: median(rates) for dtype, rates in before.items() if dtype in after and min(rates) > 0}
    sides = [[rate / middles[dtype] for dtype in middles for rate in side[dtype]] for side in (before, after)]
    old, new = map(_some, sides)
    ratio = ratio_of_independent(new, old) if old and new and min(new) > 0 else None
    return Shift(probe=probe, processes=(len(sides[0]), len(sides[1])), ratio=ratio)


def _some(values: Sequence[float]) -> Sequence[float]:
    """At most so many that the exact interval stays quick, evenly spaced."""
    return values[:: -(-len(values) // _MOST)] if values else values
