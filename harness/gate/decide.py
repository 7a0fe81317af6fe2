"""Judge a candidate run against a baseline run: one verdict per metric.

Noisy readings are judged by `analysis.judge`, all others by the modules beside this one. "Cannot tell" is a verdict of
its own and never a pass: a missing case or metric, too few processes, another machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from harness.analysis.drift import between_runs_text, drifts_between_runs
from harness.analysis.judge import Demand, Design, fewest_needed, judge
from harness.analysis.labels import over_all_labels
from harness.analysis.stats.estimates import Interval, process_values
from harness.gate import preconditions
from harness.gate.deterministic import without_noise
from harness.gate.multiplicity import Draft, promoted, settled
from harness.gate.policy import GatePolicy, Requirement, Subject, policy_warnings, requirement
from harness.gate.provenance import origin
from harness.gate.verdicts import Decided, GateResult, GateRow, GateVerdict, Role, from_judge
from harness.results.comparison_entry import ComparisonEntry
from harness.results.metrics import DEFINITIONS
from harness.results.records import Better, Bundle, Kind, Metric, Record, Status
from harness.units import format_percent

_SAME = "baseline and candidate are the same run"
_NEW = "the baseline does not hold it; save a baseline anew to have it judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """Facts that hold for all rows of a gate."""

    baseline: Bundle
    candidate: Bundle
    policy: GatePolicy
    today: str
    design: Design
    looks: int
    machine_change: str | None  # description of how the machine's speed changed since the baseline was made


def gate(
    baseline: Bundle, candidate: Bundle, policy: GatePolicy, *, today: str, looks: int | None = None
) -> GateResult:
    """Judge every metric of every case of *baseline* that can get better or worse, and every exact one.

    *today* is a date in ISO 8601. *looks* is the number of interim analyses of the growing samples. None takes the
    number that the candidate states, which is one unless the run was interleaved.
    """
    paired = baseline.run.id != candidate.run.id and (
        candidate.run.paired_with == baseline.run.id or baseline.run.paired_with == candidate.run.id
    )
    drifts = () if paired else drifts_between_runs(baseline, candidate)
    context = _Context(
        baseline=baseline,
        candidate=candidate,
        policy=policy,
        today=today,
        design=Design.PAIRED if paired else Design.INDEPENDENT,
        looks=_planned_looks(candidate) if looks is None else looks,
        machine_change="; ".join(between_runs_text(drift) for drift in drifts if drift.beyond_noise) or None,
    )
    records = _records_by_case(baseline, candidate)
    drafts = [draft for before, after in records for draft in _case_drafts(context, before, after)]
    rows = tuple(promoted(settled(drafts)))
    if not baseline.records:
        rows = (_case_row("", GateVerdict.MISSING, "the baseline holds no cases"), *rows)
    subjects = [subject for bundle in (baseline, candidate) for subject in _subjects(bundle)]
    return GateResult(
        baseline=baseline.run.id,
        candidate=candidate.run.id,
        design=context.design,
        rows=rows,
        warnings=(
            *([_SAME] if baseline.run.id == candidate.run.id else []),
            *preconditions.warnings(baseline, candidate, today),
            *([context.machine_change] if context.machine_change else []),
            *(between_runs_text(drift) for drift in drifts if drift.beyond_noise is None),
            *policy_warnings(policy, subjects, today),
        ),
        policy=policy.name,
        origins=(origin(baseline), origin(candidate)),
    )


def _planned_looks(candidate: Bundle) -> int:
    """Return how many interim analyses an interleaved run was planned with; 1 for any other run."""
    entry = ComparisonEntry.from_options(candidate.run.options)
    return max(1, len(entry.looks)) if entry else 1


def _subjects(bundle: Bundle) -> Iterator[Subject]:
    """Yield everything that a rule of the policy can match."""
    for record in bundle.records:
        for name, metric in record.metrics.items():
            for label in {None, *metric.parts()}:
                yield Subject(case=record.case, metric=name, label=label, kind=metric.kind)


def _records_by_case(baseline: Bundle, candidate: Bundle) -> Iterator[tuple[Record | None, Record | None]]:
    """Yield the two records of each case."""
    before, after = ({record.case: record for record in bundle.records} for bundle in (baseline, candidate))
    for case in before | after:
        yield before.get(case), after.get(case)


def _case_drafts(context: _Context, baseline: Record | None, candidate: Record | None) -> Iterator[Draft]:
    """Judge all metrics of a case, or explain in one row why they cannot be judged."""
    if baseline is None:
        assert candidate is not None, "a case is on one side at least"
        row = _case_row(candidate.case, GateVerdict.MISSING, _NEW)
        yield Draft(row=replace(row, role=Role.IGNORED, ignored=_NEW))
    elif baseline.status is not Status.OK:
        reason = f"in the baseline: {baseline.status.value}: {baseline.reason}"
        yield Draft(row=_case_row(baseline.case, GateVerdict.INVALID, reason))
    elif candidate is None:
        yield Draft(row=_case_row(baseline.case, GateVerdict.MISSING, "the candidate does not hold this case"))
    elif candidate.status is not Status.OK:
        reason = f"{candidate.status.value}: {candidate.reason}"
        yield Draft(row=_case_row(baseline.case, GateVerdict.INVALID, reason))
    else:
        judged = [name for name, metric in baseline.metrics.items() if _may_be_judged(metric)]
        new = [name for name, metric in candidate.metrics.items() if _may_be_judged(metric) and name not in judged]
        if not judged:
            yield Draft(
                row=_case_row(baseline.case, GateVerdict.MISSING, "the baseline measured nothing that is judged")
            )
        for name in judged:
            yield from _metric_drafts(context, baseline, candidate, name, baseline.metrics[name])
        for name in new:
            row = _unjudged_row(context, candidate.case, name, None, candidate.metrics[name])
            reason = row.ignored or _NEW
            row = replace(row, verdict=GateVerdict.MISSING, reason=_NEW, role=Role.IGNORED, ignored=reason)
            yield Draft(row=row)


def _may_be_judged(metric: Metric) -> bool:
    return metric.samples is not None and (metric.better is not Better.NONE or metric.kind is Kind.EXACT)


def _metric_drafts(context: _Context, a: Record, b: Record, name: str, metric: Metric) -> Iterator[Draft]:
    """Judge a metric as a whole if the policy requires it so, and each of its labels."""
    other = b.metrics.get(name)
    overall = over_all_labels(metric)
    if overall is not None and _unjudged_row(context, a.case, name, None, overall).role is Role.REQUIRED:
        same_labels = other is not None and other.labels is not None and {*other.labels} == {*(metric.labels or ())}
        other_overall = over_all_labels(other) if other and same_labels else None
        yield _draft(context, (a, b), name, None, (overall, other_overall))
        for label in metric.parts():
            draft = _draft(context, (a, b), name, label, (metric, other))
            watched = replace(draft.row, role=Role.WATCHED) if draft.row.role is Role.REQUIRED else draft.row
            yield replace(draft, row=watched)
    else:
        yield from (_draft(context, (a, b), name, label, (metric, other)) for label in metric.parts())


def _draft(
    context: _Context,
    records: tuple[Record, Record],
    name: str,
    label: str | None,
    metrics: tuple[Metric, Metric | None],
) -> Draft:
    """Judge one metric, or its readings under one label."""
    (a, b), (metric, other) = records, metrics
    row = _unjudged_row(context, a.case, name, label, metric)
    after = other.parts().get(label) if other else None
    if other is None or after is None:
        reason = (other.reason if other else None) or "the candidate did not measure it"
        return Draft(row=replace(row, verdict=GateVerdict.MISSING, reason=reason))
    sides = process_values(metric.parts()[label]), process_values(after)
    row = replace(row, baseline=median(sides[0]), candidate=median(sides[1]), processes=(len(sides[0]), len(sides[1])))
    if differences := preconditions.differing(context.baseline, context.candidate, a, b, metric, name):
        row = replace(
            row,
            verdict=GateVerdict.NOT_COMPARABLE,
            reason="; ".join(difference.text for difference in differences),
            differing=tuple(difference.field for difference in differences if difference.field is not None),
        )
        return Draft(row=row)
    if contradiction := _misdeclared(name, metric, other):
        return Draft(row=replace(row, verdict=GateVerdict.INVALID, reason=contradiction))
    subject = Subject(case=a.case, metric=name, label=label, kind=metric.kind)
    required = requirement(context.policy, subject, context.today)
    metric, other = replace(metric, kind=required.kind), replace(other, kind=required.kind)
    decided = without_noise(a, b, name, label, metric, sides, required)
    if decided is None:
        return _judge_noisy(context, row, metric, other, required)
    return Draft(row=_decided_row(row, decided))


def _misdeclared(name: str, *sides: Metric) -> str | None:
    """Describe how the declaration of a metric in a record differs from its definition; None where they agree."""
    known = DEFINITIONS.get(name)
    defined = (known.unit, known.better, known.kind) if known else (sides[0].unit, sides[0].better, sides[0].kind)
    for side in sides:
        if (side.unit, side.better, side.kind) != defined:
            recorded = f"{side.unit}, {side.better.value} is better, {side.kind.value}"
            return f"recorded as {recorded}; it is {defined[0]}, {defined[1].value} is better, {defined[2].value}"
    return None


def _unjudged_row(context: _Context, case: str, name: str, label: str | None, metric: Metric) -> GateRow:
    """Return the row of a metric before it is judged."""
    subject = Subject(case=case, metric=name, label=label, kind=metric.kind)
    required = requirement(context.policy, subject, context.today)
    return GateRow(
        case=case,
        metric=name,
        label=label,
        verdict=GateVerdict.INCONCLUSIVE,
        reason="",
        kind=required.kind,
        role=required.role,
        ignored=required.ignored,
        unit=metric.unit,
        better=metric.better,
        tolerance=required.tolerance,
    )


def _case_row(case: str, verdict: GateVerdict, reason: str) -> GateRow:
    return GateRow(case=case, metric="", verdict=verdict, reason=reason)


def _decided_row(row: GateRow, decided: Decided) -> GateRow:
    return replace(
        row, verdict=decided.verdict, reason=decided.reason, detectable=decided.detectable, more=decided.more
    )


def _judge_noisy(context: _Context, row: GateRow, metric: Metric, other: Metric, required: Requirement) -> Draft:
    """Judge noisy readings."""
    paired, timing = context.design is Design.PAIRED, required.kind is Kind.TIMING
    margin = context.policy.another_day if timing and not paired else 0.0
    demand = Demand(tolerance=required.tolerance, margin=margin, looks=context.looks if paired else 1)
    judgement = judge(metric, other, label=row.label, design=context.design, demand=demand)
    cost = judgement.worse.ratio if judgement.worse else None
    verdict, reason = from_judge(judgement.verdict), judgement.reason
    if verdict is GateVerdict.INCONCLUSIVE and cost and cost.high < 1 + required.tolerance:
        verdict = GateVerdict.PASS  # whether it is better is open; it is not worse
    if margin and verdict is GateVerdict.INCONCLUSIVE and cost and not _includes_one(cost):
        needed = format_percent((1 + margin) * (1 + required.tolerance) - 1)
        reason = (
            f"the machine alone may be {format_percent(margin)} off on another day: it takes {needed}, or tunebench ab"
        )
    row = replace(row, verdict=verdict, reason=reason, ratio=judgement.ratio)
    if judgement.worse is None:
        lacking = max(0, fewest_needed(context.design) - min(row.processes or (0, 0))) or None
        return Draft(row=replace(row, more=lacking))
    if context.machine_change and timing:
        reason = f"the machine changed ({context.machine_change}); compare on one day: tunebench ab"
        return Draft(row=replace(row, verdict=GateVerdict.INCONCLUSIVE, reason=reason))
    return Draft(row=row, judgement=judgement, demand=demand)


def _includes_one(ratio: Interval) -> bool:
    """Tell whether the interval includes 1, which is no change."""
    return ratio.low <= 1 <= ratio.high
