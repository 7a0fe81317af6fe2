"""Tables of judged rows: a column per case, or a row per case where there are many cases."""

from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.judge import Ranking, Verdict
from harness.inputs.prompts import SCENARIOS
from harness.report.cells import Footnotes, code, none, text
from harness.report.page import Cell, Section, State, Table
from harness.report.sections.verdict_rows import PRIMARY, Judged, group_name
from harness.report.shorten_for_github import first_rows

_MOST_METRICS = 12  # as columns; of more, the primary metrics alone
MOST_COLUMNS = 6  # cases as columns; more cases become rows


def metric_section(judged: Judged, *, title: str | None = None, name: str | None = None) -> Section:
    """Section with every metric of a suite and the verdicts: a column per case, or a row per case where many."""
    many = len(judged.columns) > MOST_COLUMNS
    return Section(
        name=name or judged.suite,
        title=title or judged.suite.capitalize(),
        tables=_case_tables(judged) if many else (_metric_table(judged),),
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
    """Table of the primary metrics with a row per case, and table of the verdicts with a row per metric."""
    rows = [row for row in judged.rows if row.label not in SCENARIOS]  # the mean stands for all scenarios
    few = len(rows) <= _MOST_METRICS
    shown_rows = [row for row in rows if few or row.name in PRIMARY[judged.suite]]
    case_rows = [
        (text(column.name), *(row.cells[place] for row in shown_rows)) for place, column in enumerate(judged.columns)
    ]
    cases = Table(
        columns=("case", *(row.title for row in shown_rows)),
        rows=tuple(case_rows),
        notes=tuple(judged.notes.texts),
        caption=f"{judged.suite.capitalize()}, by case{'' if few else ': what a choice turns on'}",
    )
    cases = first_rows(cases, len(cases.rows))  # drops the footnotes that only the other rows use
    reasons = Footnotes()
    verdict_rows = [(code(row.title), verdict_cell(row.rankings, reasons)) for row in judged.rows if row.rankings]
    verdicts = Table(
        columns=("metric", "verdict"),
        rows=tuple(verdict_rows),
        notes=tuple(reasons.texts),
        caption=f"{judged.suite.capitalize()}, verdicts on all {len(case_rows)} cases",
    )
    return cases, verdicts


def verdict_cell(rankings: Sequence[Ranking], notes: Footnotes) -> Cell:
    """Write the verdict of a row. Groups that do not compare with each other have a verdict each."""
    if not rankings:
        return none()
    groups = [ranking for ranking in rankings if len(ranking.members) > 1]
    if not groups:
        return _verdict(Verdict.NOT_COMPARABLE, [notes.number("; ".join(_reasons(rankings)))])
    numbers = [notes.number(group.reason) for group in groups if group.winner is None and group.verdict is not _LEVEL]
    if len(rankings) > 1:
        single = [ranking for ranking in rankings if len(ranking.members) == 1]
        numbers += [notes.number(f"the others are not comparable with these; {reason}") for reason in _reasons(single)]
    verdicts = {group.verdict for group in groups}
    if len(verdicts) == 1 and not any(group.winner for group in groups):
        if len(groups) > 1:
            names = ", ".join(group_name(group.members) for group in groups)
            numbers.append(notes.number(f"within each of {names}"))
        return _verdict(groups[0].verdict, numbers)
    several = len(rankings) > 1
    words = "; ".join(
        f"{group_name(group.members)}: {_ranking_in_words(group)}" if several else _ranking_in_words(group)
        for group in groups
    )
    winners = tuple(group.winner for group in groups if group.winner is not None)
    verdict = Verdict.BETTER if winners else groups[0].verdict
    return replace(_verdict(verdict, numbers), text=words, winners=winners)


_LEVEL = Verdict.EQUIVALENT  # the only verdict without a footnote


def _verdict(verdict: Verdict, numbers: Sequence[int]) -> Cell:
    marks = tuple(dict.fromkeys(numbers))
    return Cell(text=verdict.value, state=State.VERDICT, verdict=verdict.value, notes=marks)


def _reasons(rankings: Sequence[Ranking]) -> list[str]:
    return list(dict.fromkeys(ranking.reason for ranking in rankings))


def _ranking_in_words(ranking: Ranking) -> str:
    return ranking.verdict.value if ranking.winner is None else f"{ranking.winner} is better ({ranking.reason})"
