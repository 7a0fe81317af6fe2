"""Verdicts that need no rule for noise: on exact counts, losses, answers, and memory that does not vary."""

import math
from collections.abc import Sequence
from statistics import median

from harness.gate.losses import judge_loss
from harness.gate.policy import Requirement
from harness.gate.prompt_answers import judge_answers
from harness.gate.verdicts import Decided, GateVerdict
from harness.results.records import Better, Kind, Metric, Record

Sides = tuple[Sequence[float], Sequence[float]]  # medians of the processes, of baseline and candidate
_HELD_BY_ANY = {"peak_active_bytes", "peak_footprint_bytes"}  # a cache may be empty
_FEWEST_FOR_CONSTANT = 2  # processes a side that show that a quantity does not vary


def without_noise(
    a: Record, b: Record, name: str, label: str | None, metric: Metric, sides: Sides, required: Requirement
) -> Decided | None:
    """Decide without a rule for noise; None where that rule is needed."""
    if not all(map(math.isfinite, (*sides[0], *sides[1]))):
        return Decided(verdict=GateVerdict.INVALID, reason="a reading is larger than any that can be measured")
    match required.kind:
        case Kind.EXACT:
            return _exact(metric, *(_readings(record, name, label) for record in (a, b)))
        case Kind.LOSS:
            return judge_loss(a, b, name, required)
        case Kind.QUALITY:
            return judge_answers(a, b, name, required) or _of_all_answers(*sides, required)
        case Kind.MEMORY | Kind.TIMING:
            return _steady(name, metric, *sides, required)


def _steady(
    name: str, metric: Metric, baseline: Sequence[float], candidate: Sequence[float], required: Requirement
) -> Decided | None:
    """Decide on impossible readings, memory that does not vary, and differences below the floor; None otherwise."""
    if required.kind is Kind.TIMING and min(*baseline, *candidate) <= 0:
        return Decided(verdict=GateVerdict.INVALID, reason="a reading is not above 0, which no time or rate can be")
    if name in _HELD_BY_ANY and min(*baseline, *candidate) <= 0:
        return Decided(verdict=GateVerdict.INVALID, reason="it is not above 0, and every process holds something")
    if min(len(baseline), len(candidate)) < _FEWEST_FOR_CONSTANT:
        return None
    if required.kind is Kind.MEMORY and len({*baseline}) == len({*candidate}) == 1:
        return _constant(metric, baseline[0], candidate[0], required)
    if max(max(candidate) - min(baseline), max(baseline) - min(candidate)) < required.floor:
        return Decided(verdict=GateVerdict.PASS, reason="no two processes differ by as much as the policy's floor")
    return None


def _readings(record: Record, name: str, label: str | None) -> Sequence[Sequence[float]]:
    """Return all readings of an exact quantity, one sequence per process."""
    return record.metrics[name].parts()[label]


def _exact(metric: Metric, baseline: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]) -> Decided:
    """Decide on an exact quantity: any difference is real."""
    if len({*baseline}) > 1 or len({*candidate}) > 1:
        return Decided(verdict=GateVerdict.INVALID, reason="an exact quantity that varies between processes")
    old, new = baseline[0], candidate[0]
    if min(*old, *new) < 0:
        return Decided(verdict=GateVerdict.INVALID, reason="a count is below 0, which none can be")
    if old == new:
        return Decided(verdict=GateVerdict.PASS, reason="equal")
    if len(old) != 1 or len(new) != 1:
        return Decided(verdict=GateVerdict.REGRESSION, reason="the counts of a process differ")
    if new[0] == 0:
        return Decided(verdict=GateVerdict.INVALID, reason=f"{old[0]:,.10g} became 0")
    better = metric.better is not Better.NONE and (new[0] > old[0]) == (metric.better is Better.HIGHER)
    words = f"{old[0]:,.10g} became {new[0]:,.10g}"
    return Decided(verdict=GateVerdict.IMPROVED if better else GateVerdict.REGRESSION, reason=words)


def _of_all_answers(baseline: Sequence[float], candidate: Sequence[float], required: Requirement) -> Decided:
    """Decide on one figure of all answers together, which cannot be compared prompt by prompt."""
    if len({*baseline}) == len({*candidate}) == 1:
        difference, scale = abs(candidate[0] - baseline[0]), max(abs(baseline[0]), abs(candidate[0]))
        if difference <= required.tolerance * scale:
            return Decided(verdict=GateVerdict.PASS, reason="equal" if difference == 0 else "within the tolerance")
    words = f"{median(baseline):.4g} became {median(candidate):.4g}; of all answers together chance cannot be told"
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=words)


def _constant(metric: Metric, baseline: float, candidate: float, required: Requirement) -> Decided:
    """Decide on readings that are equal in every process of a side: a difference is real, but may be too small."""
    if baseline == candidate:
        return Decided(verdict=GateVerdict.PASS, reason="the same in every process")
    lost = baseline - candidate if metric.better is Better.HIGHER else candidate - baseline
    words = f"{baseline:,.10g} became {candidate:,.10g} in every process"
    if abs(lost) <= max(required.tolerance * abs(baseline), required.floor):
        return Decided(verdict=GateVerdict.PASS, reason=f"{words}, within the tolerance")
    return Decided(verdict=GateVerdict.REGRESSION if lost > 0 else GateVerdict.IMPROVED, reason=words)
