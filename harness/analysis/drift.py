"""Whether the machine itself changed speed during a session: its first half against its second. Pure.

Every measured process also measures the machine. What these control probes lose or gain over the session, the
models lose or gain too. Products are measured in the model's compute type, so each is compared with its like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.analysis.judge import TOLERANCE
from harness.analysis.stats.estimates import Interval, ratio_of_independent
from harness.results.records import Kind, Record
from harness.results.turn_id import TurnId
from harness.units import format_percent

PROBES = {"probe_gemm_flops_per_s": "matrix products", "probe_copy_bytes_per_s": "moving memory"}


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
        return its is not None and not its.low <= 1 <= its.high and abs(its.point - 1) > TOLERANCE[Kind.TIMING]

    @property
    def what(self) -> str:
        """What the probe does."""
        return PROBES[self.probe]

    @property
    def change(self) -> str:
        """How much faster or slower it became."""
        if self.ratio is None:
            return f"{self.processes} processes are too few to tell a drift, or a probe read 0"
        change = f"{'+' if self.ratio.point >= 1 else '-'}{format_percent(abs(self.ratio.point - 1))}"
        return f"{change} from the first to the second half, ratio in [{self.ratio.low:.3f}, {self.ratio.high:.3f}]"

    @property
    def words(self) -> str:
        """The drift as a sentence."""
        return f"{self.what}: {self.change}"


def drifts(order: Sequence[str], records: Sequence[Record]) -> list[Drift]:
    """Compare the halves of a session by each probe. *order* lists its processes as CASE#NUMBER."""
    by_case = {record.case: record for record in records}
    found = []
    for probe in PROBES:
        rates = _comparable([its for turn in order if (its := _rate(by_case, turn, probe)) is not None])
        half = len(rates) // 2
        ratio = ratio_of_independent(rates[half:], rates[:half]) if half and min(rates) > 0 else None
        found.append(Drift(probe=probe, processes=len(rates), ratio=ratio))
    return found


def _comparable(rates: Sequence[tuple[str, float]]) -> list[float]:
    """Rates of several compute types, each over the median of its type."""
    middle = {dtype: median(rate for its, rate in rates if its == dtype) for dtype, _ in rates}
    return [rate / middle[dtype] if middle[dtype] else 0.0 for dtype, rate in rates]


def _rate(records: Mapping[str, Record], turn: str, probe: str) -> tuple[str, float] | None:
    """The compute type of one process, and what its probe read; None where it has no reading."""
    turn_id = TurnId.parse(turn)
    case = turn_id.case
    metric = records[case].metrics.get(probe) if case in records else None
    samples = (metric.samples if metric else None) or ()
    index = turn_id.number - 1
    if index >= len(samples):
        return None
    key = records[case].key
    return key.dtype if key else "", samples[index][0]
