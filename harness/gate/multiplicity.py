"""Rows of a gate from judgements of single metrics: corrected for multiple testing, with their final roles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.judge import Demand, Judgement, level
from harness.analysis.stats import false_discovery
from harness.gate import power
from harness.gate.verdicts import GateRow, GateVerdict, Role
from harness.results.records import Better, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Row with the judgement it rests on, which is None where no rule for noisy readings was needed."""

    row: GateRow
    judgement: Judgement | None = None
    demand: Demand | None = None


def settled(drafts: Sequence[Draft]) -> Iterator[GateRow]:
    """Correct for multiple testing: changes expected by chance among this many metrics become inconclusive.

    Required and watched metrics are two families, so that many watched ones hide no change of a required one.
    """
    chances: dict[Role, dict[int, false_discovery.Chance]] = {role: {} for role in Role}
    for index, draft in enumerate(drafts):
        if draft.judgement is not None and draft.demand is not None:
            chances[draft.row.role][index] = _chance(draft.row, draft.judgement, draft.demand)
    believed = {index for family in chances.values() for index in false_discovery.believed(family)}
    for index, draft in enumerate(drafts):
        yield _finished(draft, among=len(chances[draft.row.role]), believed=index in believed)


def _chance(row: GateRow, judgement: Judgement, demand: Demand) -> false_discovery.Chance:
    assert judgement.worse is not None, "a row judged by the rule has an interval"
    assert row.processes is not None, "and was measured"
    worse = judgement.worse
    near = worse.ratio.low if worse.ratio.point > 1 else worse.ratio.high
    excludes_one = (near > 1) == (worse.ratio.point > 1)
    may_stand_alone = (
        demand.margin > 0 and row.role is Role.REQUIRED
    )  # more pairs can be measured; watched rows are noisier
    return false_discovery.Chance(
        chance=min(worse.rise, worse.fall),
        level=level(min(row.processes), demand.looks),
        gross=may_stand_alone and excludes_one and false_discovery.is_gross(near, demand.tolerance, demand.margin),
    )


def _finished(draft: Draft, *, among: int, believed: bool) -> GateRow:
    """Return the final row, with its detectable change and the number of processes that would decide it."""
    row, judgement, demand = draft.row, draft.judgement, draft.demand
    if judgement is None or demand is None or judgement.worse is None or row.processes is None:
        return row
    processes = min(row.processes)
    row = replace(row, detectable=power.detectable(judgement.worse, demand, processes, among=among))
    if row.verdict in {GateVerdict.REGRESSION, GateVerdict.IMPROVED} and not believed:
        chance = f"one of {among} {row.role.value} metrics may show as much by chance"
        reason = "; ".join(filter(None, (row.reason, chance)))
        row = replace(row, verdict=GateVerdict.INCONCLUSIVE, reason=reason)
    if row.verdict is GateVerdict.INCONCLUSIVE:
        row = replace(row, more=power.more(judgement.worse, demand, processes, among=among))
    return row


def promoted(rows: Iterator[GateRow]) -> Iterator[GateRow]:
    """Promote watched rows to required ones: times of a case without a required time, and grave suspicions."""
    kept = list(rows)
    timed = {row.case for row in kept if row.kind is Kind.TIMING and row.role is Role.REQUIRED}
    for row in kept:
        only_times = row.kind is Kind.TIMING and row.case not in timed
        promote = row.role is Role.WATCHED and (only_times or _is_grave(row))
        yield replace(row, role=Role.REQUIRED) if promote else row


def _is_grave(row: GateRow) -> bool:
    """Tell whether an undecided row would be far beyond its tolerance if it were confirmed.

    The end of the interval nearer to no change counts. The medians count where there are too few processes for an
    interval, or where the metric is one figure of all answers.
    """
    if row.verdict is not GateVerdict.INCONCLUSIVE or row.tolerance is None or row.baseline is None:
        return False
    if row.ratio is not None:
        near = row.ratio.low if row.better is Better.LOWER else 1 / row.ratio.high
    elif row.candidate is not None and min(row.baseline, row.candidate) > 0 and _has_medians_only(row):
        near = row.candidate / row.baseline if row.better is Better.LOWER else row.baseline / row.candidate
    else:
        return row.candidate == 0 < row.baseline and row.better is Better.HIGHER and row.kind is Kind.QUALITY
    return near > 1 and false_discovery.is_gross(near, row.tolerance, 0.0)


def _has_medians_only(row: GateRow) -> bool:
    return row.more is not None or row.kind is Kind.QUALITY
