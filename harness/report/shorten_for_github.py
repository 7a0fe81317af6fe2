"""Shorten a report until it fits into a GitHub step summary or comment.

GitHub drops a summary or a comment that is too long. The least important parts are left out first, and a notice says
what was left out and where the full report is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.plain_text import cut_short
from harness.report.page import Cell, Provenance, Report, Section, Table

_FEW, _BRIEF = 5, 100  # texts of each kind, characters of each text: even as HTML entities they stay below 50,000


def brief(report: Report, *, full_report: str) -> Report:
    """Reduce a report to what a comment needs: banners, headline, findings, and the first rows of tables of figures.

    The text *full_report* says where the full report is.
    """
    sections = (
        replace(
            section,
            listings=(),
            figures=(),
            tables=tuple(first_rows(table, _ROWS_OF_A_COMMENT) for table in section.tables),
        )
        for section in report.sections
        if not section.detail and section.name not in _BACKGROUND
    )
    short = replace(_with_sections(report, sections), not_measured=(), definitions=Table(columns=(), rows=()))
    return _with_notice(short, report, full_report)


_ROWS_OF_A_COMMENT = 15
_BACKGROUND = {"runs", "configuration", "notes", "costs", "use-cases", "trajectory"}


def shortened(report: Report, *, size: Callable[[Report], int], limit: int, full_report: str) -> Report:
    """Leave out parts of *report* until its *size* is within *limit*; *full_report* says where the full report is.

    Listings are left out first, then detail sections, then figures, then the last rows and findings. If not even one
    row of each table fits, the headline and a few short texts remain; on a Markdown page these fit into 50,000
    characters, whatever the report holds.
    """
    if size(report) <= limit:
        return report
    short = report
    for drop in (_without_listings, _without_detail, _without_figures):
        short = drop(short)
        candidate = _with_notice(short, report, full_report)
        if size(candidate) <= limit:
            return candidate
    return _fewer_rows(short, report, size=size, limit=limit, full_report=full_report) or _with_notice(
        _headline_only(short), report, full_report
    )


def _fewer_rows(
    short: Report, report: Report, *, size: Callable[[Report], int], limit: int, full_report: str
) -> Report | None:
    """Keep as many rows of each table, and findings of each section, as fit; return None if not even one fits."""

    def first(count: int) -> Report:
        return _with_notice(_with_rows(short, count), report, full_report)

    longest = max(
        (*(len(table.rows) for table in _tables(short)), *(len(section.findings) for section in short.sections), 0)
    )
    fitting = bisect_right(range(1, longest), limit, key=lambda count: size(first(count)))
    return first(fitting) if fitting else None


def _without_listings(report: Report) -> Report:
    return _with_sections(report, (replace(section, listings=()) for section in report.sections))


def _without_detail(report: Report) -> Report:
    return _with_sections(report, (section for section in report.sections if not section.detail))


def _without_figures(report: Report) -> Report:
    return _with_sections(report, (replace(section, figures=()) for section in report.sections))


def _with_sections(report: Report, sections: Iterable[Section]) -> Report:
    return replace(report, sections=tuple(section for section in sections if section.text or not section.empty))


def _with_rows(report: Report, count: int) -> Report:
    sections = (
        replace(
            section,
            findings=section.findings[:count],
            tables=tuple(first_rows(table, count) for table in section.tables),
        )
        for section in report.sections
    )
    return replace(report, sections=tuple(sections), definitions=first_rows(report.definitions, count))


def first_rows(table: Table, count: int) -> Table:
    """Return the first *count* rows of a table with the footnotes they use, renumbered from 1."""
    rows = table.rows[:count]
    used = sorted({note for row in rows for cell in row for note in cell.notes})
    renumbered = {note: at for at, note in enumerate(used, start=1)}

    def renumber(cell: Cell) -> Cell:
        return replace(cell, notes=tuple(renumbered[note] for note in cell.notes))

    return replace(
        table,
        rows=tuple(tuple(map(renumber, row)) for row in rows),
        notes=tuple(table.notes[note - 1] for note in used),
    )


def _headline_only(report: Report) -> Report:
    sources = report.provenance.sources[:_FEW]
    return Report(
        kind=_cut(report.kind),
        title=_cut(report.title),
        headline=_cut_all(report.headline),
        how_to_read=_cut(report.how_to_read),
        banners=_cut_all(report.banners),
        sections=(),
        not_measured=_cut_all(report.not_measured),
        definitions=Table(columns=(), rows=()),
        provenance=Provenance(
            kind=_cut(report.provenance.kind),
            version=_cut(report.provenance.version),
            sources=tuple(replace(source, run=_cut(source.run), path=_cut(source.path)) for source in sources),
            policy_sha256=report.provenance.policy_sha256,
            templates_sha256=report.provenance.templates_sha256,
        ),
    )


def _cut_all(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_cut, texts[:_FEW]))


def _cut(text: str) -> str:
    return cut_short(text, _BRIEF)


def _with_notice(short: Report, report: Report, full_report: str) -> Report:
    """Add a banner to *short* that counts what it leaves out of *report*."""
    counts = {
        kind: full_count - short_count
        for kind, full_count, short_count in zip(_KINDS, _count(report), _count(short), strict=True)
    }
    missing = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    banner = f"SHORTENED: left out to fit here: {missing}. The whole report: {_cut(full_report)}"
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
    """Count the parts of a report in the order of _KINDS; characters are those of texts that can be cut short."""
    tables = _tables(report)
    cut = (report.title, *report.headline, *report.banners, *report.not_measured)
    return (
        len(report.sections),
        len(tables),
        sum(len(table.rows) for table in tables),
        sum(len(section.findings) for section in report.sections),
        sum(len(section.figures) for section in report.sections),
        sum(len(section.listings) for section in report.sections),
        len(report.headline) + len(report.banners),
        len(report.provenance.sources),
        sum(map(len, cut)),
    )


def _tables(report: Report) -> list[Table]:
    return [*(table for section in report.sections for table in section.tables), report.definitions]
