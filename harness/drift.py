"""Whether the machine itself changed speed during a session: its first half against its second. Pure.

Every measured process also measures the machine, with the same products and the same copies. What these
control probes lose or gain over the session, the models lose or gain too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records import Record
from harness.stats import Interval, ratio_of_independent
from harness.units import format_percent

PROBES = {"probe_gemm_flops_per_s": "matrix products", "probe_copy_bytes_per_s": "moving memory"}
# Beyond this, relative, a comparison of early with late cases is off by more than the smallest change that
# matters in speed; below it, it is what machines do by themselves (docs/decisions/0004-one-judge.md).
TOLERANCE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The second half of a session over its first, by one probe: 1.0 means that nothing changed.

    *ratio* is None where too few processes were measured for an interval.
    """

    probe: str
    processes: int
    ratio: Interval | None

    @property
    def beyond_noise(self) -> bool:
        """Whether the change is real, and large enough to matter."""
        its = self.ratio
        return its is not None and not its.low <= 1 <= its.high and abs(its.point - 1) > TOLERANCE

    @property
    def words(self) -> str:
        """The drift as a sentence."""
        if self.ratio is None:
            return f"{PROBES[self.probe]}: {self.processes} processes are too few to tell a drift"
        change = f"{'+' if self.ratio.point >= 1 else '-'}{format_percent(abs(self.ratio.point - 1))}"
        interval = f"[{self.ratio.low:.3f}, {self.ratio.high:.3f}]"
        return f"{PROBES[self.probe]}: {change} from the first to the second half, ratio in {interval}"


def drifts(order: Sequence[str], records: Sequence[Record]) -> list[Drift]:
    """Compare the halves of a session by each probe. *order* lists its processes as CASE#NUMBER."""
    by_case = {record.case: record for record in records}
    found = []
    for probe in PROBES:
        rates = [rate for turn in order if (rate := _rate(by_case, turn, probe)) is not None]
        half = len(rates) // 2
        ratio = ratio_of_independent(rates[half:], rates[:half]) if half else None
        found.append(Drift(probe=probe, processes=len(rates), ratio=ratio))
    return found


def _rate(records: Mapping[str, Record], turn: str, probe: str) -> float | None:
    """What one process's probe read; None where it has no reading."""
    case, _, number = turn.rpartition("#")
    metric = records[case].metrics.get(probe) if case in records else None
    samples = (metric.samples if metric else None) or ()
    index = int(number) - 1
    return samples[index][0] if index < len(samples) else None
