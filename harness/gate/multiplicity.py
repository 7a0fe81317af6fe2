"""From judgements of single metrics to the rows of a gate: what is believed, and what must be decided. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.judge import Demand, Judgement, level
from harness.analysis.stats import false_discovery
from harness.gate import power
from harness.gate.verdicts import GateRow, GateVerdict, Role
from harness.results.records import Better, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A row, and the judgement it rests on: None where it was decided without the rule for noisy readings."""

    row: GateRow
    judgement: Judgement | None = None
    demand: Demand | None = None


def settled(drafts: Sequence[Draft]) -> Iterator[GateRow]:
    """The rows, with those changes taken back that are no more than so many metrics show by chance.

    Required metrics are one family and watched ones another, so that many of these hide no change of those.
    """
    chances: dict[Role, dict[int, false_discovery.Chance]] = {role: {} for role in Role}
    for place, draft in enumerate(drafts):
        if draft.judgement is not None and draft.demand is not None:
            chances[draft.row.role][place] = _chance(draft.row, draft.judgement, draft.demand)
    believed = {place for its in chances.values() for place in false_discovery.believed(its)}
    for place, draft in enumerate(drafts):
        yield _finished(draft, among=len(chances[draft.row.role]), believed=place in believed)


def _chance(row: GateRow, its: Judgement, demand: Demand) -> false_discovery.Chance:
    assert its.worse is not None, "a row judged by the rule has an interval"
    assert row.processes is not None, "and was measured"
    worse = its.worse
    near = worse.ratio.low if worse.ratio.point > 1 else worse.ratio.high
    away = (near > 1) == (worse.ratio.point > 1)
    alone = demand.margin > 0 and row.role is Role.REQUIRED  # pairs can become more, and what is watched is noisier
    return false_discovery.Chance(
        chance=min(worse.rise, worse.fall),
        level=level(min(row.processes), demand.looks),
        gross=alone and away and false_discovery.is_gross(near, demand.tolerance, demand.margin),
    )


def _finished(draft: Draft, *, among: int, believed: bool) -> GateRow:
    row, its, demand = draft.row, draft.judgement, draft.demand
    if its is None or demand is None or its.worse is None or row.processes is None:
        return row
    processes = min(row.processes)
    row = replace(row, detectable=power.detectable(its.worse, demand, processes, among=among))
    if row.verdict in {GateVerdict.REGRESSION, GateVerdict.IMPROVED} and not believed:
        words = f"{row.reason}; one of {among} {row.role.value} metrics may show as much by chance"
        row = replace(row, verdict=GateVerdict.INCONCLUSIVE, reason=words)
    if row.verdict is GateVerdict.INCONCLUSIVE:
        row = replace(row, more=power.more(its.worse, demand, processes, among=among))
    return row


def promoted(rows: Iterator[GateRow]) -> Iterator[GateRow]:
    """The rows; watched ones are required where no other time of the case is, and where they look gravely worse."""
    every = list(rows)
    timed = {row.case for row in every if row.kind is Kind.TIMING and row.role is Role.REQUIRED}
    for row in every:
        alone = row.kind is Kind.TIMING and row.case not in timed
        promote = row.role is Role.WATCHED and (alone or _is_grave(row))
        yield replace(row, role=Role.REQUIRED) if promote else row


def _is_grave(row: GateRow) -> bool:
    """Whether an open row would be far beyond its tolerance if it held: nobody wants that passed over.

    By the near end of its interval; where there is none for want of processes, or it is of all answers, by the medians.
    """
    if row.verdict is not GateVerdict.INCONCLUSIVE or row.tolerance is None or row.baseline is None:
        return False
    if row.ratio is not None:
        near = row.ratio.low if row.better is Better.LOWER else 1 / row.ratio.high
    elif row.candidate is not None and min(row.baseline, row.candidate) > 0 and _by_medians(row):
        near = row.candidate / row.baseline if row.better is Better.LOWER else row.baseline / row.candidate
    else:
        return row.candidate == 0 < row.baseline and row.better is Better.HIGHER and row.kind is Kind.QUALITY
    return near > 1 and false_discovery.is_gross(near, row.tolerance, 0.0)


def _by_medians(row: GateRow) -> bool:
    return row.more is not None or row.kind is Kind.QUALITY
