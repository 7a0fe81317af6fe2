"""A candidate run against a baseline run: a verdict a metric. Pure; it asks `judge`, and what stands beside it here.

"Cannot tell" is an answer of its own and never a pass: a case or metric that is missing, too few processes, another
machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from harness.analysis import drift_between_runs
from harness.analysis.judge import Demand, Verdict, fewest_needed, judge
from harness.analysis.labels import over_all_labels
from harness.analysis.stats.estimates import Interval, process_values
from harness.gate import preconditions
from harness.gate.exact import without_noise
from harness.gate.multiplicity import Draft, promoted, settled
from harness.gate.policy import GatePolicy, Subject, Terms, policy_warnings, terms
from harness.gate.provenance import origin
from harness.gate.verdicts import Decided, GateResult, GateRow, GateVerdict, Role
from harness.results.comparison_entry import ComparisonEntry
from harness.results.metrics import DEFINITIONS
from harness.results.records import Better, Bundle, Kind, Metric, Record, Status
from harness.units import format_percent

PAIRED, STORED = "interleaved pairs", "a stored baseline"
_OF = {
    Verdict.BETTER: GateVerdict.IMPROVED,
    Verdict.WORSE: GateVerdict.REGRESSION,
    Verdict.EQUIVALENT: GateVerdict.PASS,
    Verdict.INCONCLUSIVE: GateVerdict.INCONCLUSIVE,
    Verdict.NOT_JUDGED: GateVerdict.INCONCLUSIVE,
}
_SAME = "baseline and candidate are the same run"
_NEW = "the baseline does not hold it; save a baseline anew to have it judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """What holds for all rows of a gate."""

    baseline: Bundle
    candidate: Bundle
    policy: GatePolicy
    today: str
    paired: bool
    looks: int
    moved: str | None  # how the machine changed since the baseline was made, in words


def gate(
    baseline: Bundle, candidate: Bundle, policy: GatePolicy, *, today: str, looks: int | None = None
) -> GateResult:
    """Judge every metric of every case of *baseline* that more or less of could be better, and every exact one.

    *today* is a date in ISO 8601. *looks* is how often growing samples are judged; None: as often as the candidate
    says it was, which is once unless it was measured in turns.
    """
    paired = baseline.run.id != candidate.run.id and (
        candidate.run.paired_with == baseline.run.id or baseline.run.paired_with == candidate.run.id
    )
    shifts = () if paired else drift_between_runs.shift(baseline, candidate)
    its = _Setting(
        baseline=baseline,
        candidate=candidate,
        policy=policy,
        today=today,
        paired=paired,
        looks=_looks(candidate) if looks is None else looks,
        moved="; ".join(shift.words for shift in shifts if shift.beyond_noise) or None,
    )
    drafts = [draft for one, other in _sides(baseline, candidate) for draft in _of_case(its, one, other)]
    rows = tuple(promoted(settled(drafts)))
    if not baseline.records:
        rows = (_whole("", GateVerdict.MISSING, "the baseline holds no cases"), *rows)
    seen = [subject for bundle in (baseline, candidate) for subject in _subjects(bundle)]
    unknown = tuple(shift.words for shift in shifts if shift.beyond_noise is None)
    return GateResult(
        baseline=baseline.run.id,
        candidate=candidate.run.id,
        design=PAIRED if paired else STORED,
        rows=rows,
        warnings=(
            *([_SAME] if baseline.run.id == candidate.run.id else []),
            *preconditions.warnings(baseline, candidate, today),
            *([its.moved] if its.moved else []),
            *unknown,
            *policy_warnings(policy, seen, today),
        ),
        policy=policy.name,
        origins=(origin(baseline), origin(candidate)),
    )


def _looks(candidate: Bundle) -> int:
    """How often a run that was measured in turns was to be judged while it grew."""
    entry = ComparisonEntry.from_options(candidate.run.options)
    return max(1, len(entry.looks)) if entry else 1


def _subjects(bundle: Bundle) -> Iterator[Subject]:
    """Everything a rule of the policy may be about."""
    for record in bundle.records:
        for name, metric in record.metrics.items():
            for label in {None, *metric.parts()}:
                yield Subject(case=record.case, metric=name, label=label, kind=metric.kind)


def _sides(baseline: Bundle, candidate: Bundle) -> Iterator[tuple[Record | None, Record | None]]:
    """Each case with its record on either side."""
    before, after = ({record.case: record for record in bundle.records} for bundle in (baseline, candidate))
    for case in before | after:
        yield before.get(case), after.get(case)


def _of_case(its: _Setting, baseline: Record | None, candidate: Record | None) -> Iterator[Draft]:
    if baseline is None:
        assert candidate is not None, "a case is on one side at least"
        row = _whole(candidate.case, GateVerdict.MISSING, _NEW)
        yield Draft(row=replace(row, role=Role.IGNORED, ignored=_NEW))
    elif baseline.status is not Status.OK:
        reason = f"in the baseline: {baseline.status.value}: {baseline.reason}"
        yield Draft(row=_whole(baseline.case, GateVerdict.INVALID, reason))
    elif candidate is None:
        yield Draft(row=_whole(baseline.case, GateVerdict.MISSING, "the candidate does not hold this case"))
    elif candidate.status is not Status.OK:
        reason = f"{candidate.status.value}: {candidate.reason}"
        yield Draft(row=_whole(baseline.case, GateVerdict.INVALID, reason))
    else:
        judged = [name for name, metric in baseline.metrics.items() if _may_be_judged(metric)]
        new = [name for name, metric in candidate.metrics.items() if _may_be_judged(metric) and name not in judged]
        if not judged:
            yield Draft(row=_whole(baseline.case, GateVerdict.MISSING, "the baseline measured nothing that is judged"))
        for name in judged:
            yield from _of_metric(its, baseline, candidate, name, baseline.metrics[name])
        for name in new:
            row = _empty(its, candidate.case, name, None, candidate.metrics[name])
            reason = row.ignored or _NEW
            row = replace(row, verdict=GateVerdict.MISSING, reason=_NEW, role=Role.IGNORED, ignored=reason)
            yield Draft(row=row)


def _may_be_judged(metric: Metric) -> bool:
    return metric.samples is not None and (metric.better is not Better.NONE or metric.kind is Kind.EXACT)


def _of_metric(its: _Setting, a: Record, b: Record, name: str, metric: Metric) -> Iterator[Draft]:
    other = b.metrics.get(name)
    whole = over_all_labels(metric)
    if whole is not None and _empty(its, a.case, name, None, whole).role is Role.REQUIRED:
        alike = other is not None and other.labels is not None and {*other.labels} == {*(metric.labels or ())}
        yield _of_piece(its, (a, b), name, None, (whole, over_all_labels(other) if other and alike else None))
        for label in metric.parts():
            draft = _of_piece(its, (a, b), name, label, (metric, other))
            watched = replace(draft.row, role=Role.WATCHED) if draft.row.role is Role.REQUIRED else draft.row
            yield replace(draft, row=watched)
    else:
        yield from (_of_piece(its, (a, b), name, label, (metric, other)) for label in metric.parts())


def _of_piece(
    its: _Setting,
    records: tuple[Record, Record],
    name: str,
    label: str | None,
    metrics: tuple[Metric, Metric | None],
) -> Draft:
    """Judge one metric, or what it read of one label."""
    (a, b), (metric, other) = records, metrics
    row = _empty(its, a.case, name, label, metric)
    after = other.parts().get(label) if other else None
    if other is None or after is None:
        reason = (other.reason if other else None) or "the candidate did not measure it"
        return Draft(row=replace(row, verdict=GateVerdict.MISSING, reason=reason))
    sides = process_values(metric.parts()[label]), process_values(after)
    row = replace(row, baseline=median(sides[0]), candidate=median(sides[1]), processes=(len(sides[0]), len(sides[1])))
    if differing := preconditions.differing(its.baseline, its.candidate, a, b, metric, name):
        return Draft(row=replace(row, verdict=GateVerdict.NOT_COMPARABLE, reason="; ".join(differing)))
    if odd := _misdeclared(name, metric, other):
        return Draft(row=replace(row, verdict=GateVerdict.INVALID, reason=odd))
    wanted = terms(its.policy, Subject(case=a.case, metric=name, label=label, kind=metric.kind), its.today)
    metric, other = replace(metric, kind=wanted.kind), replace(other, kind=wanted.kind)
    decided = without_noise(a, b, name, label, metric, sides, wanted)
    return _by_rule(its, row, metric, other, wanted) if decided is None else Draft(row=_said(row, decided))


def _misdeclared(name: str, *sides: Metric) -> str | None:
    """What a record says of a metric, and what the metric is; None where they agree."""
    known = DEFINITIONS.get(name)
    meant = (known.unit, known.better, known.kind) if known else (sides[0].unit, sides[0].better, sides[0].kind)
    for its in sides:
        if (its.unit, its.better, its.kind) != meant:
            found = f"{its.unit}, {its.better.value} is better, {its.kind.value}"
            return f"recorded as {found}; it is {meant[0]}, {meant[1].value} is better, {meant[2].value}"
    return None


def _empty(its: _Setting, case: str, name: str, label: str | None, metric: Metric) -> GateRow:
    """The row of a metric before it is judged."""
    wanted = terms(its.policy, Subject(case=case, metric=name, label=label, kind=metric.kind), its.today)
    return GateRow(
        case=case,
        metric=name,
        label=label,
        verdict=GateVerdict.INCONCLUSIVE,
        reason="",
        kind=wanted.kind,
        role=wanted.role,
        ignored=wanted.ignored,
        unit=metric.unit,
        better=metric.better,
        tolerance=wanted.tolerance,
    )


def _whole(case: str, verdict: GateVerdict, reason: str) -> GateRow:
    return GateRow(case=case, metric="", verdict=verdict, reason=reason)


def _said(row: GateRow, its: Decided) -> GateRow:
    return replace(
        row, verdict=its.verdict, reason=its.reason, ratio=its.ratio, detectable=its.detectable, more=its.more
    )


def _by_rule(its: _Setting, row: GateRow, metric: Metric, other: Metric, wanted: Terms) -> Draft:
    """Judge noisy readings."""
    margin = its.policy.another_day if wanted.kind is Kind.TIMING and not its.paired else 0.0
    demand = Demand(tolerance=wanted.tolerance, margin=margin, looks=its.looks if its.paired else 1)
    said = judge(metric, other, label=row.label, paired=its.paired, demand=demand)
    verdict = _OF[said.verdict]
    if verdict is GateVerdict.INCONCLUSIVE and said.worse and said.worse.ratio.high < 1 + wanted.tolerance:
        verdict = GateVerdict.PASS  # whether it is better is open; worse it is not
    row = replace(row, verdict=verdict, reason=said.reason, ratio=said.ratio)
    if margin and verdict is GateVerdict.INCONCLUSIVE and said.worse and not _holds_none(said.worse.ratio):
        needed = format_percent((1 + margin) * (1 + wanted.tolerance) - 1)
        words = (
            f"the machine alone may be {format_percent(margin)} off on another day: it takes {needed}, or tunebench ab"
        )
        row = replace(row, reason=f"{said.reason}; {words}")
    if said.worse is None:
        lacking = max(0, fewest_needed(paired=its.paired) - min(row.processes or (0, 0))) or None
        return Draft(row=replace(row, more=lacking))
    if its.moved and wanted.kind is Kind.TIMING:
        words = f"the machine changed ({its.moved}); compare on one day: tunebench ab"
        return Draft(row=replace(row, verdict=GateVerdict.INCONCLUSIVE, reason=f"{said.reason}; {words}"))
    return Draft(row=row, judgement=said, demand=demand)


def _holds_none(ratio: Interval) -> bool:
    """Whether no change is within the interval."""
    return ratio.low <= 1 <= ratio.high
