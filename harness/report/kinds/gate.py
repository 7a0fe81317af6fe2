"""Gate report: the verdict first, then regressions, rows that cannot be judged, and the rest folded."""

from collections.abc import Iterable

from harness import __version__
from harness.analysis.judge import Design
from harness.gate.verdicts import AS_JUDGED, GateResult, GateRow, GateVerdict
from harness.gate.wording import summary, terms
from harness.gate.wording.change_text import NOTHING, change
from harness.plain_text import cut_short
from harness.report.cells import code as name_cell
from harness.report.cells import none, text
from harness.report.page import Cell, Provenance, Report, Section, State, Table

KIND = "gate"
HOW_TO_READ = (
    "Each change is of the metric itself, candidate against baseline. In square brackets its interval, in the same "
    "terms: below 0 is the other way. Detectable is the smallest true change for the worse that these "
    "samples would probably have shown; n is how many processes each side has. Exit code 0: pass or "
    "improved; 1: a regression; 3: cannot judge, which is no pass."
)
_HEADS = ("verdict", "case", "metric", "change", "baseline", "candidate", "detectable", "n", "remark")
_LONGEST = 300  # characters of a text: a comment on GitHub ends at 65,536, and the JSON has the whole text


def gate_report(result: GateResult) -> Report:
    """Build the report of a gate's answer, with the worst rows first."""
    rows, design = result.rows, result.design
    undecided, allowed = terms.undecided(result)
    regressions, folded = summary.regressions(result)
    better = terms.best_first(terms.counting(rows, GateVerdict.IMPROVED))
    passed = terms.counting(rows, GateVerdict.PASS)
    sections = (
        _section("regressions", "Regressions", _figures(regressions, design)),
        _section("worse", f"Watched, and worse too: {len(folded)}", _figures(folded, design), detail=True),
        _section("unjudged", "What cannot be judged", _unjudged(result, design)),
        _section("inconclusive", "Inconclusive", _figures(terms.measured(undecided), design)),
        _section("improved", "Improved", _figures(better, design)),
        _section(
            "watched",
            f"Watched, and undecided: {len(allowed)}",
            _figures(allowed, design),
            about="The verdict does not need these; a regression in them would count.",
            detail=True,
        ),
        _section("passed", f"Passed: {len(passed)}", _figures(passed, design), detail=True),
        _section("ignored", "Ignored by the policy", _ignored(terms.ignored(rows)), detail=True),
    )
    return Report(
        kind=KIND,
        title=_brief(summary.headline(result)),
        headline=(
            _brief(
                f"{result.candidate} against {result.baseline}: {terms.DESIGN_TEXTS[design]}; policy {result.policy}."
            ),
            *(f"{_brief(line)}." for line in summary.origins(result)),
            f"{terms.tally(rows)}.",
            *([f"{terms.passes(rows)}."] if passed else ()),
            _brief(f"{terms.last_line(result)}."),
        ),
        how_to_read=HOW_TO_READ,
        banners=tuple(map(_brief, result.warnings)),
        sections=tuple(section for section in sections if not section.empty),
        not_measured=(),
        definitions=Table(columns=(), rows=()),
        provenance=Provenance(kind=KIND, version=__version__),
    )


def _section(name: str, title: str, table: Table, *, about: str = "", detail: bool = False) -> Section:
    return Section(name=name, title=title, text=about, tables=(table,), detail=detail)


def _figures(rows: Iterable[GateRow], design: Design) -> Table:
    return Table(columns=_HEADS, rows=tuple(_row(row, design) for row in rows))


def _row(row: GateRow, design: Design) -> tuple[Cell, ...]:
    return (
        _verdict(row),
        _name(row.case),
        _name(row.title),
        _change(row),
        _side(row.baseline, row.unit),
        _side(row.candidate, row.unit),
        text(terms.detectable(row)),
        text(terms.processes(row)),
        _text(terms.remark(row, design)),
    )


def _verdict(row: GateRow) -> Cell:
    return Cell(text=row.verdict.value, state=State.VERDICT, verdict=AS_JUDGED[row.verdict].value)


def _change(row: GateRow) -> Cell:
    if row.ratio is None:
        return Cell(text=change(row), state=State.COMPUTED)
    point, low, high = (ratio - 1 for ratio in (row.ratio.point, row.ratio.low, row.ratio.high))
    return Cell(text=change(row), state=State.COMPUTED, value=point, low=low, high=high, unit="share")


def _side(value: float | None, unit: str | None) -> Cell:
    if value is None:
        return none()
    return Cell(text=terms.value(value, unit), state=State.MEASURED, value=value, unit=unit)


def _brief(words: str) -> str:
    return cut_short(words, _LONGEST)


def _text(words: str) -> Cell:
    return text(_brief(words))


def _name(name: str, otherwise: str = NOTHING) -> Cell:
    return name_cell(_brief(name)) if name else text(otherwise)


def _unjudged(result: GateResult, design: Design) -> Table:
    cells = tuple(
        (
            _verdict(group.row),
            _name(group.row.case, group.where) if len(group.cases) == 1 else _text(group.where),
            _text(terms.names(group.titles)),
            _text(terms.why(group.row, design)),
        )
        for group in terms.unjudged(result)
    )
    return Table(columns=("verdict", "case", "metrics", "reason"), rows=cells)


def _ignored(rows: Iterable[GateRow]) -> Table:
    cells = tuple(
        (
            _verdict(row),
            _name(row.case),
            _name(row.title, "all"),
            _text(row.ignored or terms.full_reason(row)),
        )
        for row in rows
    )
    return Table(columns=("verdict", "case", "metric", "why it does not count"), rows=cells)
