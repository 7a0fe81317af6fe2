from dataclasses import replace

import pytest

from harness.analysis.finding import Finding, Level
from harness.report.figures.charts import Chart
from harness.report.page import Cell, Listing, Provenance, Report, Section, Source, Table
from harness.report.render.render import render
from harness.report.shorten import shortened

WHOLE = "report.html"


def table(rows, *, notes=()):
    cells = [(Cell(text=f"row {at}"), Cell(text="1", notes=(at + 1,) if notes else ())) for at in range(rows)]
    return Table(columns=("a", "b"), rows=tuple(cells), notes=notes)


def report(*sections, **changes):
    plain = Report(
        kind="comparison",
        title="tiny",
        headline=("1 of 1 cases ended ok.",),
        how_to_read="Medians of processes.",
        banners=("SMOKE SIZE.",),
        sections=sections,
        not_measured=("power",),
        definitions=table(0),
        provenance=Provenance(kind="comparison", version="1"),
    )
    return replace(plain, **changes)


CHART = Chart(name="loss", title="Loss", caption="", alt="It falls.", panels=())
SECTIONS = (
    Section(name="speed", title="Speed", tables=(table(4),), figures=(CHART,)),
    Section(name="more", title="More", tables=(table(2),), detail=True),
    Section(name="answers", title="Answers", listings=(Listing(title="p1", text="hi"),)),
)


def units(its):
    """A size to count by: a listing weighs 1000, a row of detail 100, a figure 10, a row 1."""
    return sum(
        1000 * len(section.listings)
        + 10 * len(section.figures)
        + (100 if section.detail else 1) * (sum(len(one.rows) for one in section.tables) + len(section.findings))
        for section in its.sections
    )


def cut(its, limit, size=units):
    return shortened(its, size=size, limit=limit, whole=WHOLE)


def names(its):
    return [section.name for section in its.sections]


def test_what_fits_is_left_as_it_is():
    its = report(*SECTIONS)
    assert units(its) == 1214
    assert cut(its, 1214) is its


@pytest.mark.parametrize(
    ("limit", "left", "figures", "rows", "said"),
    [
        (1213, ["speed", "more"], 1, 4, "1 sections, 1 listings"),
        (214, ["speed", "more"], 1, 4, "1 sections, 1 listings"),
        (213, ["speed"], 1, 4, "2 sections, 1 tables, 2 rows, 1 listings"),
        (14, ["speed"], 1, 4, "2 sections, 1 tables, 2 rows, 1 listings"),
        (13, ["speed"], 0, 4, "2 sections, 1 tables, 2 rows, 1 figures, 1 listings"),
        (4, ["speed"], 0, 4, "2 sections, 1 tables, 2 rows, 1 figures, 1 listings"),
        (3, ["speed"], 0, 3, "2 sections, 1 tables, 3 rows, 1 figures, 1 listings"),
        (1, ["speed"], 0, 1, "2 sections, 1 tables, 5 rows, 1 figures, 1 listings"),
    ],
)
def test_what_is_missed_least_goes_first_and_is_counted(limit, left, figures, rows, said):
    short = cut(report(*SECTIONS), limit)
    assert names(short) == left
    assert len(short.sections[0].figures) == figures
    assert len(short.sections[0].tables[0].rows) == rows
    assert short.banners == (f"SHORTENED: left out to fit here: {said}. The whole report: report.html", "SMOKE SIZE.")
    assert units(short) <= limit


def test_where_no_row_fits_the_headline_stays():
    short = cut(report(*SECTIONS), 0)
    assert (short.sections, short.headline, short.title) == ((), ("1 of 1 cases ended ok.",), "tiny")
    assert "3 sections, 2 tables, 6 rows" in short.banners[0]


def test_the_largest_table_is_cut_first():
    its = report(Section(name="speed", title="Speed", tables=(table(90), table(3))))
    assert [len(one.rows) for one in cut(its, 13).sections[0].tables] == [10, 3]


def test_findings_are_cut_with_the_rows():
    found = tuple(Finding(rule="R9", level=Level.NOTE, subject=str(at), text="x") for at in range(50))
    (section,) = cut(report(Section(name="speed", title="Speed", findings=found)), 7).sections
    assert [its.subject for its in section.findings] == ["0", "1", "2", "3", "4", "5", "6"]


def test_the_definitions_are_cut_as_any_table():
    its = report(definitions=table(50))
    short = shortened(its, size=lambda one: len(one.definitions.rows), limit=8, whole=WHOLE)
    assert len(short.definitions.rows) == 8


def test_footnotes_of_rows_that_went_go_with_them_and_the_others_count_anew():
    rows = (
        (Cell(text="x", notes=(3,)), Cell(text="y", notes=(1, 3))),
        (Cell(text="z", notes=(2,)), Cell(text="z")),
    )
    grid = Table(columns=("a", "b"), rows=rows, notes=("one", "two", "three"))
    (kept,) = cut(report(Section(name="s", title="S", tables=(grid,))), 1).sections[0].tables
    assert [[cell.notes for cell in row] for row in kept.rows] == [[(2,), (1, 2)]]
    assert kept.notes == ("one", "three")


def test_a_text_that_needs_no_tables_stays():
    its = report(Section(name="method", title="Method", text="words"), *SECTIONS)
    assert names(cut(its, 1)) == ["method", "speed"]


def page(its):
    return render(its, "md", pictures={})


@pytest.mark.parametrize("text", ["a", "@a", "\U000e0041", "<script>"])
def test_a_page_of_any_report_fits_and_says_it_was_cut(text):
    many = text * 700
    rows = tuple((Cell(text=many), Cell(text="1")) for _ in range(30))
    its = report(
        Section(name="speed", title=many, tables=(Table(columns=("a", "b"), rows=rows),)),
        title=many,
        headline=(many,) * 9,
        banners=(many,) * 9,
        not_measured=(many,) * 9,
        provenance=Provenance(
            kind="comparison", version=many, sources=(Source(run=many, path=many, schema=1, sha256="a" * 64),) * 9
        ),
    )
    made = page(shortened(its, size=lambda one: len(page(one)), limit=60_000, whole=many))
    assert len(made) <= 60_000
    assert "SHORTENED: left out to fit here: " in made


def test_a_page_keeps_as_many_rows_as_fit():
    its = report(Section(name="speed", title="Speed", tables=(table(900),)))
    made = page(cut(its, 9_000, size=lambda one: len(page(one))))
    assert 8_950 < len(made) <= 9_000
