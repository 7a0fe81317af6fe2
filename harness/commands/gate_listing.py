"""A gate's answer as a terminal shows it, in its width. Pure: values in, text out."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.analysis.judge import Design
from harness.commands.listings import grid, plain
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.gate.wording import summary, terms
from harness.gate.wording.change_text import NOTHING, change

LEAST_COLUMNS = 80
_MOST_ROWS = 30  # of a verdict, in a listing that a person reads; the files have all
_HEADS = ("verdict", "case", "metric", "change", "detectable", "n", "remark")


def gate(result: GateResult, columns: int = 120) -> str:
    """What to be wary of, every row that is no pass, the passes counted, and the verdict on all in the last line.

    Its tables are at most *columns* wide, or `LEAST_COLUMNS` where that is more.
    """
    columns = max(columns, LEAST_COLUMNS)
    rows, design = result.rows, result.design
    open_, allowed = terms.undecided(result)
    worse, folded = summary.regressions(result)
    ignored = Counter(row.ignored or terms.full_reason(row) for row in terms.ignored(rows))
    lines = [
        f"{result.candidate} against {result.baseline}: {terms.DESIGN_TEXTS[design]}; policy {result.policy}",
        *summary.origins(result),
        *(f"warning: {warning}" for warning in result.warnings),
        "",
        summary.headline(result),
        *_figures(worse, columns, design),
        *(["", *summary.watched_too(folded)] if folded else ()),
        *_unjudged(result, design),
        *_figures(terms.measured(open_), columns, design),
        *_figures(terms.best_first(terms.counting(rows, GateVerdict.IMPROVED)), columns, design),
        "",
        terms.passes(rows),
        *([summary.still_open(len(allowed))] if allowed else ()),
        *(f"{count} ignored: {reason}" for reason, count in ignored.items()),
        terms.last_line(result),
    ]
    return "\n".join(map(plain, lines)) + "\n"


def _figures(rows: Sequence[GateRow], columns: int, design: Design) -> list[str]:
    """A table after an empty line, or a paragraph a row where that is too wide; nothing of no rows."""
    if not rows:
        return []
    cells = [_cells(row, design) for row in rows[:_MOST_ROWS]]
    table = grid(_HEADS, cells).splitlines()
    if max(map(len, table)) > columns:
        table = [line for its in cells for line in _paragraph(its, columns)]
    return ["", *table, *_rest(rows)]


def _cells(row: GateRow, design: Design) -> tuple[str, ...]:
    return (
        row.verdict.value,
        row.case,
        row.title,
        change(row),
        terms.detectable(row),
        terms.processes(row),
        terms.remark(row, design),
    )


def _paragraph(cells: Sequence[str], columns: int) -> Iterator[str]:
    """One row as lines: what it is about, and indented below it what is said of it."""
    verdict, case, metric, change, detectable, n, remark = map(plain, cells)
    yield from textwrap.wrap(f"{verdict}: {case} {metric}", columns, subsequent_indent="  ")
    seen = "" if detectable == NOTHING else f"detectable {detectable}"
    said = "; ".join(filter(None, (change, seen, f"n {n}", remark)))
    yield from textwrap.wrap(said, columns, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _unjudged(result: GateResult, design: Design) -> list[str]:
    folded = terms.unjudged(result)
    shown = (
        f"{its.row.verdict.value}: {its.where}: {terms.names(its.titles)}: {terms.why(its.row, design)}"
        for its in folded[:_MOST_ROWS]
    )
    return ["", *shown, *_rest(folded)] if folded else []


def _rest(rows: Sequence[object]) -> list[str]:
    more = len(rows) - _MOST_ROWS
    return [f"and {more} more; --json FILE has all"] if more > 0 else []
