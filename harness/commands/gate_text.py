"""A gate's answer as text for a terminal of a given width."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.analysis.judge import Design
from harness.commands.table import grid, plain
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.gate.wording import summary, terms
from harness.gate.wording.change_text import NOTHING, change

MIN_COLUMNS = 80
_MAX_ROWS = 30  # of one verdict, in a text that a person reads; the files have all
_HEADERS = ("verdict", "case", "metric", "change", "detectable", "n", "remark")


def gate_text(result: GateResult, columns: int = 120) -> str:
    """Return warnings, every row that is no pass, the number of passes, and the overall verdict in the last line.

    Tables are at most *columns* wide, or `MIN_COLUMNS` if that is more.
    """
    columns = max(columns, MIN_COLUMNS)
    rows, design = result.rows, result.design
    undecided, undecided_watched = terms.undecided(result)
    regressions, folded = summary.regressions(result)
    improved = terms.best_first(terms.counting(rows, GateVerdict.IMPROVED))
    ignored = Counter(row.ignored or terms.full_reason(row) for row in terms.ignored(rows))
    lines = [
        f"{result.candidate} against {result.baseline}: {terms.DESIGN_TEXTS[design]}; policy {result.policy}",
        *summary.origins(result),
        *(f"warning: {warning}" for warning in result.warnings),
        "",
        summary.headline(result),
        *_measured_rows(regressions, columns, design),
        *(["", *summary.watched_too(folded)] if folded else ()),
        *_unjudged_rows(result, design),
        *_measured_rows(terms.measured(undecided), columns, design),
        *_measured_rows(improved, columns, design),
        "",
        terms.passes(rows),
        *([summary.still_open(len(undecided_watched))] if undecided_watched else ()),
        *(f"{count} ignored: {reason}" for reason, count in ignored.items()),
        terms.last_line(result),
    ]
    return "\n".join(map(plain, lines)) + "\n"


def _measured_rows(rows: Sequence[GateRow], columns: int, design: Design) -> list[str]:
    """Return an empty line and a table, or a paragraph per row if the table is too wide; nothing for no rows."""
    if not rows:
        return []
    rows_cells = [_cells(row, design) for row in rows[:_MAX_ROWS]]
    lines = grid(_HEADERS, rows_cells).splitlines()
    if max(map(len, lines)) > columns:
        lines = [line for cells in rows_cells for line in _paragraph(cells, columns)]
    return ["", *lines, *_rows_left_out(rows)]


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
    """Return one row as lines: verdict, case and metric, then the other cells indented below."""
    verdict, case, metric, change, detectable, n, remark = map(plain, cells)
    yield from textwrap.wrap(f"{verdict}: {case} {metric}", columns, subsequent_indent="  ")
    detectable_text = "" if detectable == NOTHING else f"detectable {detectable}"
    figures = "; ".join(filter(None, (change, detectable_text, f"n {n}", remark)))
    yield from textwrap.wrap(figures, columns, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _unjudged_rows(result: GateResult, design: Design) -> list[str]:
    folds = terms.unjudged(result)
    if not folds:
        return []
    lines = [
        f"{fold.row.verdict.value}: {fold.where}: {terms.names(fold.titles)}: {terms.why(fold.row, design)}"
        for fold in folds[:_MAX_ROWS]
    ]
    return ["", *lines, *_rows_left_out(folds)]


def _rows_left_out(rows: Sequence[object]) -> list[str]:
    left_out = len(rows) - _MAX_ROWS
    return [f"and {left_out} more; --json FILE has all"] if left_out > 0 else []
