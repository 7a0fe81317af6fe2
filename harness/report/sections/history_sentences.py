"""Sentences about the series of a history, for its report and for the terminal."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.history import Timeline
from harness.analysis.stats.change_points import Shift
from harness.report.cells import signed_percent
from harness.units import count_of

DIRECTION = {True: "worse", False: "better", None: "neither better nor worse"}


def newest_change_first(lines: Sequence[Timeline]) -> list[Timeline]:
    """Sort the series by their newest change point, the latest first; series without one come last."""

    def newest(line: Timeline) -> str:
        return line.points[line.shifts[-1].at].started_at if line.shifts else ""

    return sorted(lines, key=newest, reverse=True)


def series_counts(lines: Sequence[Timeline]) -> str:
    """Count the series, those searched for change points, and those that changed."""
    searched = [line for line in lines if line.why_not is None]
    changed = [line for line in searched if line.shifts]
    if not searched:
        return f"{len(lines)} series, none looked at for change points"
    limited = "" if len(searched) == len(lines) else f", {len(searched)} looked at for change points"
    if not changed:
        return f"{len(lines)} series{limited}, none changed"
    worse = sum(line.worsened for line in changed)
    return f"{len(lines)} series{limited}, {len(changed)} changed, {worse} of them for the worse at last"


def reasons_not_searched(lines: Sequence[Timeline]) -> list[str]:
    """Give each reason why change points were not searched for, with the number of series it holds for."""
    reasons = Counter(line.why_not for line in lines if line.why_not)
    return [f"{count} series: change points were not looked for: {reason}." for reason, count in reasons.items()]


def left_out_in_words(count: str) -> str:
    """State how many runs are left out, and which kind of runs these are."""
    return f"Runs left out: {count}, which were sides of a comparison or a gate's second look"


def summary(line: Timeline) -> str:
    """Summarize a series in a sentence: its number of runs and its newest change."""
    runs = f"{line.name}: {count_of(len(line.points), 'run')}"
    if line.why_not:
        return f"{runs}; change points were not looked for: {line.why_not}."
    if not line.shifts:
        return f"{runs}, no change point."
    points = count_of(len(line.shifts), "change point")
    newest = line.shifts[-1]
    return f"{runs}, {points}; the newest: {change_in_words(line, newest)} from {line.points[newest.at].started_at} on."


def change_points_in_words(line: Timeline) -> str:
    """State the number of change points of a series, and the newest of them."""
    if line.why_not:
        return "not looked for"
    return f"{len(line.shifts)}, the newest {change_in_words(line, line.shifts[-1])}" if line.shifts else "none"


def change_in_words(line: Timeline, shift: Shift) -> str:
    """Write a change in percent, with its direction."""
    return f"{signed_percent(1 + shift.change)}, {DIRECTION[line.worse(shift)]}"
