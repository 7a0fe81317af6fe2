"""Changes of the machine's own speed, within a session and between two runs, measured by control probes.

Every measured process also measures the machine. A change that the probes show over a session or between two runs
affects the models too. Products are measured in the model's compute type, so rates are compared within a type.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.analysis.judge import TOLERANCE
from harness.analysis.stats.estimates import Interval, ratio_of_independent
from harness.results.records import Bundle, Kind, Record
from harness.results.turn_id import TurnId
from harness.units import format_percent

PROBES = {"probe_gemm_flops_per_s": "matrix products", "probe_copy_bytes_per_s": "moving memory"}
_MOST_PROCESSES = 40  # a side: the exact interval of more takes seconds, and is no narrower than anybody needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Later speed of the machine over its earlier speed by one probe: 1.0 means no change.

    *processes* are the numbers of earlier and of later processes. *ratio* is None where they are too few for an
    interval, or a rate is 0.
    """

    probe: str
    processes: tuple[int, int]
    ratio: Interval | None

    @property
    def beyond_noise(self) -> bool | None:
        """Tell whether the change is significant and large enough to matter; None where that is unknown."""
        if self.ratio is None:
            return None
        outside = not self.ratio.low <= 1 <= self.ratio.high
        return outside and abs(self.ratio.point - 1) > TOLERANCE[Kind.TIMING]


def probe_rates(record: Record, probe: str) -> list[float]:
    """Return the rate that *probe* read in each process of a case; [] where it was not measured."""
    metric = record.metrics.get(probe)
    return [readings[0] for readings in (metric.samples if metric else None) or ()]


def drifts_in_session(order: Sequence[str], records: Sequence[Record]) -> list[Drift]:
    """Compare the second half of a session with its first by each probe. *order* lists its processes as CASE#NUMBER."""
    by_case = {record.case: record for record in records}
    drifts = []
    for probe in PROBES:
        rates = _relative([rate for turn in order if (rate := _rate(by_case, turn, probe)) is not None])
        half = len(rates) // 2
        ratio = ratio_of_independent(rates[half:], rates[:half]) if half and min(rates) > 0 else None
        drifts.append(Drift(probe=probe, processes=(half, len(rates) - half), ratio=ratio))
    return drifts


def in_session_text(drift: Drift) -> str:
    """Describe the change from the first to the second half of a session."""
    if drift.ratio is None:
        return f"{sum(drift.processes)} processes are too few to tell a drift, or a probe read 0"
    change = f"{'+' if drift.ratio.point >= 1 else '-'}{format_percent(abs(drift.ratio.point - 1))}"
    return f"{change} from the first to the second half, ratio in [{drift.ratio.low:.3f}, {drift.ratio.high:.3f}]"


def _relative(rates: Sequence[tuple[str, float]]) -> list[float]:
    """Divide each rate by the median rate of its compute type."""
    medians = {dtype: median(rate for other, rate in rates if other == dtype) for dtype, _ in rates}
    return [rate / medians[dtype] if medians[dtype] else 0.0 for dtype, rate in rates]


def _rate(records: Mapping[str, Record], turn: str, probe: str) -> tuple[str, float] | None:
    """Return the compute type of one process and the rate that *probe* read in it; None without a reading."""
    turn_id = TurnId.parse(turn)
    case = turn_id.case
    rates = probe_rates(records[case], probe) if case in records else []
    index = turn_id.number - 1
    if index >= len(rates):
        return None
    key = records[case].key
    return key.dtype if key else "", rates[index]


def drifts_between_runs(baseline: Bundle, candidate: Bundle) -> tuple[Drift, ...]:
    """Compare the machine of *candidate* with that of *baseline* by each probe.

    Two interleaved runs need no such comparison: a change of the machine affects both.
    """
    return tuple(
        _drift_between(probe, _rates_by_dtype(baseline, probe), _rates_by_dtype(candidate, probe)) for probe in PROBES
    )


def between_runs_text(drift: Drift) -> str:
    """Describe the change from the baseline's machine to the candidate's, for a reason or a warning."""
    probe_name = PROBES[drift.probe]
    if drift.ratio is None:
        old, new = drift.processes
        return f"{probe_name}: {old} and {new} processes are too few to tell whether the machine changed"
    change = f"{format_percent(abs(drift.ratio.point - 1))} {'slower' if drift.ratio.point < 1 else 'faster'}"
    return f"{probe_name}: {change} than when the baseline was made"


def _rates_by_dtype(bundle: Bundle, probe: str) -> dict[str, list[float]]:
    """Return the rates of all identified cases by compute type."""
    rates: dict[str, list[float]] = defaultdict(list)
    for record in bundle.records:
        if record.key is not None and (case_rates := probe_rates(record, probe)):
            rates[record.key.dtype] += case_rates
    return rates


def _drift_between(probe: str, baseline: dict[str, list[float]], candidate: dict[str, list[float]]) -> Drift:
    """Divide each rate by the baseline's median of its type, leaving out types that only one side has."""
    medians = {dtype: median(rates) for dtype, rates in baseline.items() if dtype in candidate and min(rates) > 0}
    sides = [[rate / medians[dtype] for dtype in medians for rate in side[dtype]] for side in (baseline, candidate)]
    old, new = map(_thinned, sides)
    ratio = ratio_of_independent(new, old) if old and new and min(new) > 0 else None
    return Drift(probe=probe, processes=(len(sides[0]), len(sides[1])), ratio=ratio)


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """Return at most 40 of the values, evenly spaced, so that the exact interval stays quick."""
    return values[:: -(-len(values) // _MOST_PROCESSES)] if values else values
