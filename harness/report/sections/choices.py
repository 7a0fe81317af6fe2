"""What helps to choose: which fields keep cases apart, what each use case calls for, a checklist. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.analysis.comparability import Keyed, matrix
from harness.analysis.cost import Share, relative_costs
from harness.analysis.limits import Evidence, entries
from harness.analysis.report_policy import Limit, Policy
from harness.analysis.training.checklist import ItemOutcome, TrainingFacts, checklist
from harness.analysis.use_cases import Recommendation, recommend
from harness.report.cells import Column, Footnotes, change_of, computed, text, texts
from harness.report.page import Cell, Section, State, Table
from harness.report.sections.page_frame import Runs
from harness.results.metrics import DEFINITIONS
from harness.units import NOT_MEASURED, format_value

_MOST_CASES = 12


def comparability(columns: Mapping[str, Sequence[Column]], runs: Runs) -> Section:
    """A table a suite: one row a field the cases were measured with, and what a difference does (rule R26)."""
    return Section(
        name="comparability",
        title="What compares with what",
        text="Each effect is the judge's own: what it refuses to compare when this field alone differs.",
        tables=tuple(_comparability(suite, its, runs) for suite, its in columns.items()),
        detail=True,
    )


def _comparability(suite: str, columns: Sequence[Column], runs: Runs) -> Table:
    environments = {bundle.run.id: bundle.environment for bundle in runs.bundles}
    measured = [column for column in columns if column.record.metrics]
    keyed = [
        Keyed(name=column.name, key=column.record.key, environment=environments[column.run])
        for column in measured[:_MOST_CASES]
    ]
    found = matrix(keyed) if len(keyed) > 1 else ()
    more = len(measured) - len(keyed)
    rows = [texts((its.field, "equal" if its.equal else "different", its.effect, *its.values)) for its in found]
    return Table(
        columns=("field", "", "effect", *(its.name for its in keyed)),
        rows=tuple(rows),
        notes=(f"{more} more cases are left out here",) if more > 0 else (),
        caption=f"{suite.capitalize()}, by field",
    )


Decided = tuple[tuple[str, Recommendation], ...]  # the name of a use case, and what was decided of it


def decide(runs: Runs, policy: Policy) -> Decided:
    """What each use case of the policy calls for, run by run (rule R21)."""
    return tuple(
        (f"{its.use_case.name} ({bundle.run.id})" if len(runs.bundles) > 1 else its.use_case.name, its)
        for bundle in runs.bundles
        if (field := entries(bundle.records))
        for its in recommend(policy, field)
    )


def use_cases(decided: Decided, policy: Policy) -> Section:
    """What was decided, beside the limits. Policy, not measurement."""
    rows: list[tuple[Cell, ...]] = []
    for name, its in decided:
        limits = "; ".join(map(_limit, its.use_case.limits))
        answer = ", ".join(its.cases) or its.outcome.value
        why = "; ".join(filter(None, (its.reason, *its.flips[:2])))
        rows.append(texts((name, limits or "none", its.use_case.rank.metric, answer, why)))
    heads = ("use case", "limits", "ranked by", "answer", "because, and what would change it")
    return Section(
        name="use-cases",
        title="Use cases",
        text=f"Limits and rankings are policy ({policy.name}), chosen and not measured; the answers follow from the "
        "figures above. --policy FILE puts yours in their place.",
        tables=(Table(columns=heads, rows=tuple(rows), caption=f"Use cases of {policy.name}"),),
    )


def evidence(decided: Decided) -> Section:
    """What the answers to the use cases rest on: each case against each limit, and what was left out, why."""
    notes = Footnotes()
    weighed: list[tuple[Cell, ...]] = []
    left_out: dict[str, list[str]] = {}
    for name, its in decided:
        weighed += [(*texts((name, one.entry, _limit(one.limit))), *_weighed(one, notes)) for one in its.evidence]
        for words in its.left_out:
            left_out.setdefault(words, []).append(name)
    heads = ("use case", "case", "limit", "worst of the work", "kept")
    tables = (
        Table(columns=heads, rows=tuple(weighed), notes=tuple(notes.texts), caption="Cases against limits"),
        Table(
            columns=("not considered", "for"),
            rows=tuple(texts((words, ", ".join(names))) for words, names in left_out.items()),
            caption="Cases that were not considered",
        ),
    )
    return Section(
        name="use-case-evidence",
        title="What the answers to the use cases rest on",
        text="A limit is kept, or broken, if the whole 95 % interval of the figure lies on one side of it.",
        tables=tuple(table for table in tables if table.rows),
        detail=True,
    )


_KEPT = {True: "yes", False: "no", None: "cannot tell"}


def _weighed(its: Evidence, notes: Footnotes) -> tuple[Cell, Cell]:
    """The figure that speaks most against a case, and whether it keeps to the limit."""
    marks = () if its.reason is None else (notes.number(its.reason),)
    kept = Cell(text=_KEPT[its.met], state=State.VERDICT, notes=marks)
    if its.value is None:
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED), kept
    unit = its.unit or ""
    where = ", ".join(filter(None, (its.suite, its.label)))
    figure = f"{format_value(its.value, unit)} (n={its.processes}; {where})"
    cell = Cell(text=figure, state=State.COMPUTED, value=its.value, low=its.low, high=its.high, unit=unit)
    return cell, kept


def _limit(limit: Limit) -> str:
    """Write a limit of the policy."""
    unit = DEFINITIONS[limit.metric].unit
    bounds = (("at most", limit.at_most), ("at least", limit.at_least))
    words = " and ".join(f"{word} {format_value(bound, unit)}" for word, bound in bounds if bound is not None)
    where = " ".join(filter(None, (limit.label, limit.suite and f"in {limit.suite}")))
    return " ".join(filter(None, (limit.metric, where, limit.statistic, words)))


def costs(runs: Runs) -> Section:
    """What each case takes against the least of those it compares with (rule R19)."""
    several = len(runs.bundles) > 1
    tables = []
    measured = [bundle for bundle in runs.bundles if bundle.run.published is None]
    for bundle in measured[:_MOST_CASES]:
        for cost in relative_costs(entries(bundle.records)):
            rows = [_share(share, cost.unit) for share in cost.shares]
            named = f"{cost.what}, {bundle.run.id}" if several else cost.what
            heads = ("case", cost.what, "against the least of its like")
            caption = f"{named[0].upper()}{named[1:]}: {cost.how}"
            tables.append(Table(columns=heads, rows=tuple(rows), caption=caption))
    return Section(
        name="costs",
        title="Relative cost",
        text="Measured seconds, and joules where a meter was read; no estimate, and no price.",
        tables=tuple(table for table in tables if table.rows),
    )


def _share(its: Share, unit: str) -> tuple[Cell, ...]:
    if its.ratio is not None:
        against = text(change_of(its.ratio))
    else:
        against = text("the least" if its.least else its.reason or "–")
    cell = computed(its.value, unit)
    return text(its.entry), replace(cell, text=f"{cell.text} (n={its.processes})"), against


_OUTCOMES = {ItemOutcome.PASS: "✓ pass", ItemOutcome.FAIL: "✗ fail", ItemOutcome.UNKNOWN: "? unknown"}


def checked(its: TrainingFacts, name: str) -> Table:
    """A checklist in place of a grade (rule R20)."""
    rows = [
        (
            text(item.name),
            Cell(text=_OUTCOMES[item.outcome], state=State.VERDICT),
            text(item.numbers),
            text(item.rule),
        )
        for item in checklist(its)
    ]
    heads = ("condition", "outcome", "numbers", "rule")
    return Table(columns=heads, rows=tuple(rows), caption=f"Checklist of {name}")
