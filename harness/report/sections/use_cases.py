"""Use cases of the policy: the case that each use case calls for, and the evidence for that answer."""

from harness.analysis.limits import Evidence, entries
from harness.analysis.report_policy import Limit, Policy
from harness.analysis.use_cases import Recommendation, recommend
from harness.report.cells import Footnotes, texts
from harness.report.page import Cell, Section, State, Table
from harness.report.sections.assemble_report import Runs
from harness.results.metrics import DEFINITIONS
from harness.units import NOT_MEASURED, format_value

Recommendations = tuple[tuple[str, Recommendation], ...]  # each after the name of its use case

_KEPT = {True: "yes", False: "no", None: "cannot tell"}


def recommendations(runs: Runs, policy: Policy) -> Recommendations:
    """Recommend cases for each use case of the policy, run by run (rule R21)."""
    several = len(runs.bundles) > 1
    return tuple(
        (f"{result.use_case.name} ({bundle.run.id})" if several else result.use_case.name, result)
        for bundle in runs.bundles
        if (field := entries(bundle.records))
        for result in recommend(policy, field)
    )


def use_cases(recommended: Recommendations, policy: Policy) -> Section:
    """Section with a row per use case: its limits, the recommended cases and the reason."""
    rows: list[tuple[Cell, ...]] = []
    for name, result in recommended:
        limits = "; ".join(map(_limit_in_words, result.use_case.limits))
        answer = ", ".join(result.cases) or result.outcome.value
        reason = "; ".join(filter(None, (result.reason, *result.flips[:2])))
        rows.append(texts((name, limits or "none", result.use_case.rank.metric, answer, reason)))
    heads = ("use case", "limits", "ranked by", "answer", "because, and what would change it")
    return Section(
        name="use-cases",
        title="Use cases",
        text=f"Limits and rankings are policy ({policy.name}), chosen and not measured; the answers follow from the "
        "figures above. --policy FILE puts yours in their place.",
        tables=(Table(columns=heads, rows=tuple(rows), caption=f"Use cases of {policy.name}"),),
    )


def evidence(recommended: Recommendations) -> Section:
    """Section with each case against each limit, and with the reasons for which cases were not considered."""
    notes = Footnotes()
    limit_rows: list[tuple[Cell, ...]] = []
    use_cases_by_reason: dict[str, list[str]] = {}
    for name, result in recommended:
        limit_rows += [
            (*texts((name, entry.entry, _limit_in_words(entry.limit))), *_evidence_cells(entry, notes))
            for entry in result.evidence
        ]
        for reason in result.left_out:
            use_cases_by_reason.setdefault(reason, []).append(name)
    heads = ("use case", "case", "limit", "worst of the work", "kept")
    tables = (
        Table(columns=heads, rows=tuple(limit_rows), notes=tuple(notes.texts), caption="Cases against limits"),
        Table(
            columns=("not considered", "for"),
            rows=tuple(texts((reason, ", ".join(names))) for reason, names in use_cases_by_reason.items()),
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


def _evidence_cells(entry: Evidence, notes: Footnotes) -> tuple[Cell, Cell]:
    """Return the figure that speaks most against the case, and the answer to whether the limit is kept."""
    marks = () if entry.reason is None else (notes.number(entry.reason),)
    kept = Cell(text=_KEPT[entry.met], state=State.VERDICT, notes=marks)
    if entry.value is None:
        return Cell(text=NOT_MEASURED, state=State.NOT_MEASURED), kept
    unit = entry.unit or ""
    origin = ", ".join(filter(None, (entry.suite, entry.label)))
    figure = f"{format_value(entry.value, unit)} (n={entry.processes}; {origin})"
    cell = Cell(text=figure, state=State.COMPUTED, value=entry.value, low=entry.low, high=entry.high, unit=unit)
    return cell, kept


def _limit_in_words(limit: Limit) -> str:
    """Write a limit of the policy, such as "ttft_s at most 1.000 s"."""
    unit = DEFINITIONS[limit.metric].unit
    bounds = (("at most", limit.at_most), ("at least", limit.at_least))
    words = " and ".join(f"{word} {format_value(bound, unit)}" for word, bound in bounds if bound is not None)
    scope = " ".join(filter(None, (limit.label, limit.suite and f"in {limit.suite}")))
    return " ".join(filter(None, (limit.metric, scope, limit.statistic, words)))
