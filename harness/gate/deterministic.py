"""What can be said without a rule for noise: of exact counts, losses, answers, and memory that does not vary. Pure."""

import math
from collections.abc import Sequence
from statistics import median

from harness.gate.losses import judge_loss
from harness.gate.policy import Requirement
from harness.gate.prompt_answers import judge_answers
from harness.gate.verdicts import Decided, GateVerdict
from harness.results.records import Better, Kind, Metric, Record

Sides = tuple[Sequence[float], Sequence[float]]  # the processes' medians, of baseline and candidate
_HELD_BY_ANY = {"peak_active_bytes", "peak_footprint_bytes"}  # a cache may be empty
_FEWEST_ALIKE = 2  # processes a side that show that a quantity does not vary


def without_noise(
    a: Record, b: Record, name: str, label: str | None, metric: Metric, sides: Sides, required: Requirement
) -> Decided | None:
    """What can be said without a rule for noise; None where that is needed."""
    if not all(map(math.isfinite, (*sides[0], *sides[1]))):
        return Decided(verdict=GateVerdict.INVALID, reason="a reading is larger than any that can be measured")
    match required.kind:
        case Kind.EXACT:
            return _exact(metric, *(_readings(its, name, label) for its in (a, b)))
        case Kind.LOSS:
            return judge_loss(a, b, name, required)
        case Kind.QUALITY:
            return judge_answers(a, b, name, required) or _of_all_answers(*sides, required)
        case Kind.MEMORY | Kind.TIMING:
            return _steady(name, metric, *sides, required)


def _steady(
    name: str, metric: Metric, before: Sequence[float], after: Sequence[float], required: Requirement
) -> Decided | None:
    """What can be said of memory that does not vary, of a difference too small to matter, and of what cannot be."""
    if required.kind is Kind.TIMING and min(*before, *after) <= 0:
        return Decided(verdict=GateVerdict.INVALID, reason="a reading is not above 0, which no time or rate can be")
    if name in _HELD_BY_ANY and min(*before, *after) <= 0:
        return Decided(verdict=GateVerdict.INVALID, reason="it is not above 0, and every process holds something")
    if min(len(before), len(after)) < _FEWEST_ALIKE:
        return None
    if required.kind is Kind.MEMORY and len({*before}) == len({*after}) == 1:
        return _alike(metric, before[0], after[0], required)
    if max(max(after) - min(before), max(before) - min(after)) < required.floor:
        return Decided(verdict=GateVerdict.PASS, reason="no two processes differ by as much as the policy's floor")
    return None


def _readings(record: Record, name: str, label: str | None) -> Sequence[Sequence[float]]:
    """Everything an exact quantity read, a sequence a process."""
    return record.metrics[name].parts()[label]


def _exact(metric: Metric, before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> Decided:
    if len({*before}) > 1 or len({*after}) > 1:
        return Decided(verdict=GateVerdict.INVALID, reason="an exact quantity that varies between processes")
    old, new = before[0], after[0]
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


def _of_all_answers(before: Sequence[float], after: Sequence[float], required: Requirement) -> Decided:
    """What is a property of all answers together has no pairs of prompts."""
    if len({*before}) == len({*after}) == 1:
        apart, scale = abs(after[0] - before[0]), max(abs(before[0]), abs(after[0]))
        if apart <= required.tolerance * scale:
            return Decided(verdict=GateVerdict.PASS, reason="equal" if apart == 0 else "within the tolerance")
    words = f"{median(before):.4g} became {median(after):.4g}; of all answers together chance cannot be told"
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=words)


def _alike(metric: Metric, before: float, after: float, required: Requirement) -> Decided:
    """Each side gave the same in every process, so any difference is real; whether it matters is left."""
    if before == after:
        return Decided(verdict=GateVerdict.PASS, reason="the same in every process")
    lost = before - after if metric.better is Better.HIGHER else after - before
    words = f"{before:,.10g} became {after:,.10g} in every process"
    if abs(lost) <= max(required.tolerance * abs(before), required.floor):
        return Decided(verdict=GateVerdict.PASS, reason=f"{words}, within the tolerance")
    return Decided(verdict=GateVerdict.REGRESSION if lost > 0 else GateVerdict.IMPROVED, reason=words)
