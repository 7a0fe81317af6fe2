"""Judged rows as tables: cases side by side, or one below the other where they are many. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.judge import Ranking, Verdict
from harness.inputs.prompts import SCENARIOS
from harness.report.cells import Footnotes, code, none, text
from harness.report.page import Cell, Section, State, Table
from harness.report.sections.verdict_rows import PRIMARY, Judged, common
from harness.report.shorten_for_github import first_rows

_MOST_METRICS = 12  # as columns; of more, what a choice turns on
MOST_COLUMNS = 6  # side by side on a page; more cases are rows


def metric_section(judged: Judged, *, title: str | None = None, name: str | None = None) -> Section:
    """Every metric and what can be said of it: cases side by side, or one below the other where they are many."""
    wide = len(judged.columns) > MOST_COLUMNS
    return Section(
        name=name or judged.suite,
        title=title or judged.suite.capitalize(),
        tables=_case_tables(judged) if wide else (_metric_table(judged),),
    )


def _metric_table(judged: Judged) -> Table:
    several = len(judged.columns) > 1
    rows = []
    for row in judged.rows:
        cells = (code(row.title), *row.cells)
        rows.append((*cells, verdict_cell(row.rankings, judged.notes)) if several else cells)
    heads = ("metric", *(column.name for column in judged.columns), *(("verdict",) if several else ()))
    caption = f"{judged.suite.capitalize()}, by metric"
    return Table(columns=heads, rows=tuple(rows), notes=tuple(judged.notes.texts), caption=caption)


def _case_tables(judged: Judged) -> tuple[Table, ...]:
    """The primary metrics with a row a case, and the verdicts with a row a metric."""
    whole = [row for row in judged.rows if row.label not in SCENARIOS]  # of scenarios their mean
    few = len(whole) <= _MOST_METRICS
    primary = [row for row in whole if few or row.name in PRIMARY[judged.suite]]
    every = [(text(column.name), *(row.cells[place] for row in primary)) for place, column in enumerate(judged.columns)]
    cases = Table(
        columns=("case", *(row.title for row in primary)),
        rows=tuple(every),
        notes=tuple(judged.notes.texts),
        caption=f"{judged.suite.capitalize()}, by case{'' if few else ': what a choice turns on'}",
    )
    cases = first_rows(cases, len(cases.rows))  # with its own footnotes alone
    reasons = Footnotes()
    said = [(code(row.title), verdict_cell(row.rankings, reasons)) for row in judged.rows if row.rankings]
    verdicts = Table(
        columns=("metric", "verdict"),
        rows=tuple(said),
        notes=tuple(reasons.texts),
        caption=f"{judged.suite.capitalize()}, verdicts on all {len(every)} cases",
    )
    return cases, verdicts


def verdict_cell(rankings: Sequence[Ranking], notes: Footnotes) -> Cell:
    """What can be said of a row, in words; groups that do not compare with each other are judged apart."""
    if not rankings:
        return none()
    groups = [its for its in rankings if len(its.members) > 1]
    if not groups:
        return _verdict(Verdict.NOT_COMPARABLE, [notes.number("; ".join(_reasons(rankings)))])
    numbers = [notes.number(its.reason) for its in groups if its.winner is None and its.verdict is not _LEVEL]
    if len(rankings) > 1:
        alone = [its for its in rankings if len(its.members) == 1]
        numbers += [notes.number(f"the others are not comparable with these; {why}") for why in _reasons(alone)]
    verdicts = {its.verdict for its in groups}
    if len(verdicts) == 1 and not any(its.winner for its in groups):
        if len(groups) > 1:
            names = ", ".join(common(its.members) for its in groups)
            numbers.append(notes.number(f"within each of {names}"))
        return _verdict(groups[0].verdict, numbers)
    several = len(rankings) > 1
    words = "; ".join(f"{common(its.members)}: {_said(its)}" if several else _said(its) for its in groups)
    winners = tuple(its.winner for its in groups if its.winner is not None)
    verdict = Verdict.BETTER if winners else groups[0].verdict
    return replace(_verdict(verdict, numbers), text=words, winners=winners)


_LEVEL = Verdict.EQUIVALENT  # which needs no reason


def _verdict(verdict: Verdict, numbers: Sequence[int]) -> Cell:
    marks = tuple(dict.fromkeys(numbers))
    return Cell(text=verdict.value, state=State.VERDICT, verdict=verdict.value, notes=marks)


def _reasons(rankings: Sequence[Ranking]) -> list[str]:
    return list(dict.fromkeys(its.reason for its in rankings))


def _said(its: Ranking) -> str:
    return its.verdict.value if its.winner is None else f"{its.winner} is better ({its.reason})"
