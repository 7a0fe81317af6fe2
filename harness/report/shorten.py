"""A report cut to what a step summary or a comment can hold. Pure.

GitHub drops a summary or a comment that is too long as a whole. What a reader misses least goes first, and the
report says what went and where it is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.report.page import Cell, Provenance, Report, Section, Table

_FEW, _BRIEF = 5, 100  # of each kind, characters each: even all made of entities they stay below 50,000


def brief(report: Report, *, whole: str) -> Report:
    """Give what a comment is read for: banners, headline, findings, and the beginning of each table of figures."""
    sections = (
        replace(
            its, listings=(), figures=(), tables=tuple(first_rows(table, _ROWS_OF_A_COMMENT) for table in its.tables)
        )
        for its in report.sections
        if not its.detail and its.name not in _BACKGROUND
    )
    short = replace(_with_sections(report, sections), not_measured=(), definitions=Table(columns=(), rows=()))
    return _saying(short, report, whole)


_ROWS_OF_A_COMMENT = 15
_BACKGROUND = {"runs", "configuration", "notes", "costs", "use-cases", "trajectory"}


def shortened(report: Report, *, size: Callable[[Report], int], limit: int, whole: str) -> Report:
    """Give *report* without as much as makes its *size* exceed *limit*; *whole* says where all of it is.

    Listings go first, then what is detail, then figures, then the rows and findings beyond as many as fit. If not one
    row of each fits, the headline and a few of each kind are left, each cut: with a *limit* of 50,000 or more
    characters of a page in Markdown that fits, whatever the report holds.
    """
    if size(report) <= limit:
        return report
    short = report
    for drop in (_without_listings, _without_detail, _without_figures):
        short = drop(short)
        said = _saying(short, report, whole)
        if size(said) <= limit:
            return said
    return _of_rows(short, report, size=size, limit=limit, whole=whole) or _saying(_bare(short), report, whole)


def _of_rows(short: Report, report: Report, *, size: Callable[[Report], int], limit: int, whole: str) -> Report | None:
    """As many rows of each table, and findings of each section, as fit; None if one is too many."""

    def first(count: int) -> Report:
        return _saying(_with_rows(short, count), report, whole)

    longest = max((*(len(its.rows) for its in _tables(short)), *(len(its.findings) for its in short.sections), 0))
    fitting = bisect_right(range(1, longest), limit, key=lambda count: size(first(count)))
    return first(fitting) if fitting else None


def _without_listings(report: Report) -> Report:
    return _with_sections(report, (replace(its, listings=()) for its in report.sections))


def _without_detail(report: Report) -> Report:
    return _with_sections(report, (its for its in report.sections if not its.detail))


def _without_figures(report: Report) -> Report:
    return _with_sections(report, (replace(its, figures=()) for its in report.sections))


def _with_sections(report: Report, sections: Iterable[Section]) -> Report:
    return replace(report, sections=tuple(its for its in sections if its.text or not its.empty))


def _with_rows(report: Report, count: int) -> Report:
    sections = (
        replace(its, findings=its.findings[:count], tables=tuple(first_rows(table, count) for table in its.tables))
        for its in report.sections
    )
    return replace(report, sections=tuple(sections), definitions=first_rows(report.definitions, count))


def first_rows(table: Table, count: int) -> Table:
    """The first *count* rows, with the footnotes they use, counted anew."""
    rows = table.rows[:count]
    used = sorted({note for row in rows for cell in row for note in cell.notes})
    renumbered = {note: at for at, note in enumerate(used, start=1)}

    def anew(cell: Cell) -> Cell:
        return replace(cell, notes=tuple(renumbered[note] for note in cell.notes))

    return replace(
        table, rows=tuple(tuple(map(anew, row)) for row in rows), notes=tuple(table.notes[note - 1] for note in used)
    )


def _bare(report: Report) -> Report:
    sources = report.provenance.sources[:_FEW]
    return Report(
        kind=_brief(report.kind),
        title=_brief(report.title),
        headline=_few(report.headline),
        how_to_read=_brief(report.how_to_read),
        banners=_few(report.banners),
        sections=(),
        not_measured=_few(report.not_measured),
        definitions=Table(columns=(), rows=()),
        provenance=Provenance(
            kind=_brief(report.provenance.kind),
            version=_brief(report.provenance.version),
            sources=tuple(replace(its, run=_brief(its.run), path=_brief(its.path)) for its in sources),
            policy_sha256=report.provenance.policy_sha256,
            templates_sha256=report.provenance.templates_sha256,
        ),
    )


def _few(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_brief, texts[:_FEW]))


def _brief(text: str) -> str:
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


def _saying(short: Report, report: Report, whole: str) -> Report:
    """*short* with a first banner that counts what of *report* it does not show."""
    counts = {what: before - after for what, before, after in zip(_KINDS, _count(report), _count(short), strict=True)}
    missing = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    banner = f"SHORTENED: left out to fit here: {missing}. The whole report: {_brief(whole)}"
    return replace(short, banners=(banner, *short.banners))


_KINDS = (
    "sections",
    "tables",
    "rows",
    "findings",
    "figures",
    "listings",
    "banners and sentences",
    "runs",
    "characters",
)


def _count(report: Report) -> tuple[int, ...]:
    """How many there are of each of _KINDS; characters are those of the texts that are only ever cut."""
    tables = _tables(report)
    cut = (report.title, *report.headline, *report.banners, *report.not_measured)
    return (
        len(report.sections),
        len(tables),
        sum(len(its.rows) for its in tables),
        sum(len(its.findings) for its in report.sections),
        sum(len(its.figures) for its in report.sections),
        sum(len(its.listings) for its in report.sections),
        len(report.headline) + len(report.banners),
        len(report.provenance.sources),
        sum(map(len, cut)),
    )


def _tables(report: Report) -> list[Table]:
    return [*(table for its in report.sections for table in its.tables), report.definitions]
