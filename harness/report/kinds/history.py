"""History report of a metric over stored runs: all series, change points, charts and every run."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from harness import __version__
from harness.analysis.history import HistoryPoint, Timeline, timelines
from harness.analysis.stats.change_points import Shift
from harness.report.cells import change, code, plain, text, texts
from harness.report.figures.charts import Chart, Curve, Dash, Mark, Panel, ShadedSpan
from harness.report.page import Cell, Provenance, Report, Section, State, Table
from harness.report.sections import assemble_report
from harness.report.sections.history_sentences import (
    DIRECTION,
    change_in_words,
    change_points_in_words,
    left_out_in_words,
    newest_change_first,
    reasons_not_searched,
    series_counts,
    summary,
)
from harness.results.metrics import define
from harness.results.records import Bundle
from harness.units import format_value, scale_of

KIND = "history"
HOW_TO_READ = (
    "A point is a run: the median of its processes' medians. Runs stand in one series only if they compare: the same "
    "settings, weights, machine. A change point is where the level changed for good, by more than what counts for "
    "nothing, with at least three runs after it; who it was that changed it, the runs do not say."
)
_MOST_FIGURES = 12
_MOST_SUMMARIES = 5  # changed series in the headline; the table of change points has all
_MOST_SPANS = 8  # of library versions in a chart


def history(bundles: Sequence[Bundle], metric: str, case: str | None = None, left_out: str = "") -> Report:
    """Build the report of the runs, which hold *metric* alone.

    *left_out* is the number of runs with the metric that are not among *bundles*. It is a text, like every option that
    is stored so that the report can be made again.
    """
    series = newest_change_first(timelines(bundles, metric))
    definition = define(metric)
    options = {"metric": metric, "case": case, "left_out": left_out}
    return Report(
        kind=KIND,
        title=metric + (f", {case}" if case else ""),
        headline=(*_headline(series), *([f"{left_out_in_words(left_out)}."] if left_out else [])),
        how_to_read=HOW_TO_READ,
        banners=tuple(
            assemble_report.stand_in_banners(bundles, [record for bundle in bundles for record in bundle.records])
        ),
        sections=tuple(section for section in _sections(series) if not section.empty),
        not_measured=(),
        definitions=Table(
            columns=("metric", "unit", "definition"),
            rows=((code(definition.name), text(definition.unit), text(definition.definition)),),
            caption="What the metrics mean",
        ),
        provenance=Provenance(
            kind=KIND, version=__version__, options={name: value for name, value in options.items() if value}
        ),
    )


def _headline(lines: Sequence[Timeline]) -> list[str]:
    if len(lines) == 1:
        return [summary(lines[0])]
    return [
        f"{series_counts(lines)}.",
        *reasons_not_searched(lines),
        *(summary(line) for line in lines[:_MOST_SUMMARIES] if line.shifts),
    ]


def _sections(lines: Sequence[Timeline]) -> list[Section]:
    if len(lines) == 1:
        return [_changes(lines), _only_series(lines[0])]
    return [_overview(lines), _changes(lines), _figures(lines), _all_runs(lines)]


def _overview(lines: Sequence[Timeline]) -> Section:
    columns = ("case", "part", "runs", "newest value", "change points")
    rows = tuple(
        (
            *texts((line.case, line.part, len(line.points))),
            _measured(line.points[-1], line.unit),
            text(change_points_in_words(line)),
        )
        for line in lines
    )
    return Section(name="overview", title="All series", tables=(Table(columns=columns, rows=rows),))


def _measured(point: HistoryPoint, unit: str) -> Cell:
    return Cell(text=format_value(point.value, unit), state=State.MEASURED, value=point.value, unit=unit)


def versions(point: HistoryPoint) -> str:
    """List the libraries of a run with their versions."""
    return ", ".join(f"{name} {version or 'unknown'}" for name, version in point.versions.items())


def _changes(lines: Sequence[Timeline]) -> Section:
    """Section with every change point, the newest first, and the runs before and after it."""
    changes = [(line, shift) for line in lines for shift in line.shifts]
    changes.sort(key=lambda change: change[0].points[change[1].at].started_at, reverse=True)
    columns = ("series", "from", "run", "commit", "versions", "last run before", "commit before", "before", "after")
    rows = tuple(_change_row(line, shift) for line, shift in changes)
    return Section(
        name="changes",
        title="Change points",
        tables=(Table(columns=(*columns, "change", "direction"), rows=rows),),
    )


def _change_row(line: Timeline, shift: Shift) -> tuple[Cell, ...]:
    first, last = line.points[shift.at], line.points[shift.at - 1]
    return (
        *texts((line.name, first.started_at, first.run, first.commit, versions(first), last.run, last.commit)),
        plain(shift.before, line.unit),
        plain(shift.after, line.unit),
        change(shift.change),
        text(DIRECTION[line.worse(shift)]),
    )


def _only_series(line: Timeline) -> Section:
    """Section about the only series of the history."""
    figures = (_chart(0, line),) if len(line.points) > 1 else ()
    return Section(name="series-1", title=line.name, text=summary(line), figures=figures, tables=(_table(line),))


def _figures(lines: Sequence[Timeline]) -> Section:
    drawable = [line for line in lines if len(line.points) > 1]
    drawn = drawable[:_MOST_FIGURES]
    note = (
        f"{len(drawn)} of {len(drawable)} series are drawn, those with the newest change points first; "
        "--case makes a page of the others."
    )
    return Section(
        name="figures",
        title="Figures",
        text=note if len(drawn) < len(drawable) else "",
        figures=tuple(map(_chart, range(len(drawn)), drawn)),
    )


def _all_runs(lines: Sequence[Timeline]) -> Section:
    tables = tuple(replace(_table(line), caption=line.name) for line in lines)
    return Section(name="runs", title="Every run", tables=tables, detail=True)


def _table(line: Timeline) -> Table:
    marks = {shift.at: change_in_words(line, shift) for shift in line.shifts}
    rows = tuple(
        (
            *texts((point.started_at, point.run, point.commit, versions(point))),
            _measured(point, line.unit),
            text(point.processes),
            text(marks.get(place, "")),
        )
        for place, point in enumerate(line.points)
    )
    columns = ("started", "run", "commit", "versions", "value", "processes", "change point")
    return Table(columns=columns, rows=rows)


def _chart(place: int, line: Timeline) -> Chart:
    factor, symbol = scale_of(max(abs(point.value) for point in line.points), line.unit)
    y = tuple(point.value / factor for point in line.points)
    x = tuple(float(number) for number in range(1, len(y) + 1))
    values = Curve(label="runs", x=x, y=y, marker=True)
    spans = tuple(_version_spans(line))
    panel = Panel(
        title="",
        x_label="run, oldest first",
        y_label=symbol,
        lines=(values, *_levels(line, factor)),
        spans=spans,
        marks=tuple(
            Mark(text=change_in_words(line, shift), x=x[shift.at], y=shift.after / factor) for shift in line.shifts
        ),
    )
    return Chart(
        name=f"history-{place + 1}",
        title=line.name,
        caption="Each point is a run."
        + (" Dashed: the level between change points." if line.shifts else "")
        + (" Shaded: the versions of the libraries." if spans else ""),
        alt=summary(line),
        panels=(panel,),
    )


def _levels(line: Timeline, factor: float) -> list[Curve]:
    """Horizontal lines at the level between each two change points."""
    if not line.shifts:
        return []
    limits = [0, *(shift.at for shift in line.shifts), len(line.points)]
    levels = [line.shifts[0].before, *(shift.after for shift in line.shifts)]
    return [
        Curve(
            label="level" if number == 0 else "",
            x=(start + 1.0, float(end)),
            y=(level / factor, level / factor),
            color=1,
            dash=Dash.DASHED,
        )
        for number, (start, end, level) in enumerate(zip(limits, limits[1:], levels, strict=False))
    ]


def _version_spans(line: Timeline) -> list[ShadedSpan]:
    """Spans of successive runs with the same libraries; [] where all are the same, or there are too many."""
    runs_by_versions = [
        (label, [place for place, _ in runs])
        for label, runs in groupby(enumerate(map(versions, line.points)), lambda run: run[1])
    ]
    if not 1 < len(runs_by_versions) <= _MOST_SPANS:
        return []
    return [
        ShadedSpan(label=label, start=places[0] + 0.5, end=places[-1] + 1.5, color=number % 2)
        for number, (label, places) in enumerate(runs_by_versions)
    ]
