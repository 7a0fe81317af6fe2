"""`tunebench history`: show a metric over all stored runs, with its change points."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.arguments import Arguments, Parser, add_results_dir
from harness.commands.table import grid, plain
from harness.units import format_value

if TYPE_CHECKING:
    from harness.analysis.history import Timeline

_MAX_POINTS = 30  # of a series, on a terminal


def add_options(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("metric", metavar="METRIC", help="its name: docs/metrics.md")
    parser.add_argument("--case", metavar="ID", help="a case, or a pattern: inference/smollm2/base, 'training/*'")
    parser.add_argument("--all-runs", action="store_true", help="also sides of ab, and what a gate measured again")
    parser.add_argument("--format", metavar="F,F", help="write a report: md, html, json, comment [on the terminal]")
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to write [here]")
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """Print the metric's series or write a report of them; return 1 if the newest change of one is for the worse."""
    from harness.analysis.history import timelines
    from harness.report import build, history_runs

    selection = history_runs.read(arguments.results_dir, arguments.metric, arguments.case, all_runs=arguments.all_runs)
    for problem in selection.problems:
        sys.stderr.write(f"skipped: {problem}\n")
    lines = timelines([run.bundle for run in selection.runs], arguments.metric)
    if arguments.format is None:
        sys.stdout.write(history_text(lines, case=arguments.case, left_out=selection.left_out))
    else:
        options = {"metric": arguments.metric} | ({"case": arguments.case} if arguments.case else {})
        options |= {"left_out": str(selection.left_out)} if selection.left_out else {}
        report = build.build("history", selection.runs, beside=arguments.output, options=options)
        for path in build.write(report, arguments.output, list(dict.fromkeys(arguments.format.split(",")))):
            sys.stdout.write(f"{path}\n")
    return 1 if any(line.worsened for line in lines) else 0


def history_text(lines: Sequence["Timeline"], *, case: str | None = None, left_out: int = 0) -> str:
    """Return one line per series, then a table per changed series, or per series of the one *case* asked for.

    *left_out* is the number of runs that were not read because they are sides of a comparison or a second measurement.
    """
    from harness.report.sections import history_sentences

    ordered = history_sentences.newest_change_first(lines)
    show_all = len(lines) == 1 or (case is not None and len({line.case for line in lines}) == 1)
    with_table = [line for line in ordered if show_all or line.shifts]
    parts = [_overview(ordered)] if len(lines) > 1 else []
    for line in with_table:
        title = history_sentences.summary(line) if len(lines) == 1 or line.shifts else line.name
        parts.append(f"{plain(title)}\n{_points_table(line)}")
    if len(with_table) < len(lines):
        parts.append(
            f"the runs of the {len(lines) - len(with_table)} series not shown here: --case with a case from above\n"
        )
    if left_out:
        parts.append(f"{history_sentences.left_out_in_words(str(left_out))}; --all-runs takes them\n")
    return "\n".join(parts)


def _overview(lines: Sequence["Timeline"]) -> str:
    from harness.report.sections.history_sentences import change_points_in_words, reasons_not_searched, series_counts

    rows = [
        (
            line.case,
            line.part,
            str(len(line.points)),
            format_value(line.points[-1].value, line.unit),
            change_points_in_words(line),
        )
        for line in lines
    ]
    sentences = "\n".join([series_counts(lines), *map(plain, reasons_not_searched(lines))])
    return f"{sentences}\n\n" + grid(("case", "part", "runs", "newest value", "change points"), rows)


def _points_table(line: "Timeline") -> str:
    """Return the newest points of a series and every change point, one line each."""
    from harness.report.sections.history_sentences import change_in_words

    change_texts = {shift.at: change_in_words(line, shift) for shift in line.shifts}
    first = max(0, len(line.points) - _MAX_POINTS)
    rows = [
        (
            point.started_at,
            point.run,
            point.commit,
            *(version or "unknown" for version in point.versions.values()),
            format_value(point.value, line.unit),
            str(point.processes),
            change_texts.get(position, ""),
        )
        for position, point in enumerate(line.points)
        if position >= first or position in change_texts
    ]
    left_out = len(line.points) - len(rows)
    remark = f"{left_out} earlier runs are left out here; --format md has all\n" if left_out else ""
    versions = line.points[0].versions
    return grid(("started", "run", "commit", *versions, "value", "processes", "change point"), rows) + remark
