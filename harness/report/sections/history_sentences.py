"""What is said of the series of a history, on its page and on the terminal. Pure: values in, short texts out."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.history import Timeline
from harness.analysis.stats.change_points import Shift
from harness.report.cells import signed_percent

DIRECTION = {True: "worse", False: "better", None: "neither better nor worse"}


def newest_change_first(lines: Sequence[Timeline]) -> list[Timeline]:
    """The same series, those that changed before the others."""

    def newest(line: Timeline) -> str:
        return line.points[line.shifts[-1].at].started_at if line.shifts else ""

    return sorted(lines, key=newest, reverse=True)


def counted(lines: Sequence[Timeline]) -> str:
    """How many series there are, and how many of them changed."""
    looked = [line for line in lines if line.why_not is None]
    changed = [line for line in looked if line.shifts]
    if not looked:
        return f"{len(lines)} series, none looked at for change points"
    some = "" if len(looked) == len(lines) else f", {len(looked)} looked at for change points"
    if not changed:
        return f"{len(lines)} series{some}, none changed"
    worse = sum(line.worsened for line in changed)
    return f"{len(lines)} series{some}, {len(changed)} changed, {worse} of them for the worse at last"


def unlooked(lines: Sequence[Timeline]) -> list[str]:
    """Why change points were not looked for: a sentence a reason, with the number of series."""
    reasons = Counter(line.why_not for line in lines if line.why_not)
    return [f"{count} series: change points were not looked for: {reason}." for reason, count in reasons.items()]


def left_out_words(count: str) -> str:
    """That runs are left out, and which."""
    return f"Runs left out: {count}, which were sides of a comparison or a gate's second look"


def summary(line: Timeline) -> str:
    """A series in a sentence: how many runs, and its newest change."""
    runs = f"{line.name}: {len(line.points)} run{'s'[: len(line.points) != 1]}"
    if line.why_not:
        return f"{runs}; change points were not looked for: {line.why_not}."
    if not line.shifts:
        return f"{runs}, no change point."
    points = f"{len(line.shifts)} change point{'s'[: len(line.shifts) != 1]}"
    newest = line.shifts[-1]
    return f"{runs}, {points}; the newest: {told(line, newest)} from {line.points[newest.at].started_at} on."


def shifted(line: Timeline) -> str:
    """How many change points a series has, and the newest."""
    if line.why_not:
        return "not looked for"
    return f"{len(line.shifts)}, the newest {told(line, line.shifts[-1])}" if line.shifts else "none"


def told(line: Timeline, shift: Shift) -> str:
    """A change in percent, with its direction."""
    return f"{signed_percent(1 + shift.change)}, {DIRECTION[line.worse(shift)]}"
