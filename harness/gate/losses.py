"""Losses at a fixed seed: the same course, a changed one, or noise that the timing rule has to judge. Pure.

One seed and one code give one course, so here a single process says something: not how large a chance difference
would be, but whether there is one. See docs/decisions/0021-exact-and-losses.md.
"""

from dataclasses import dataclass

from harness.gate.policy import Requirement
from harness.gate.preconditions import device_type, measured_alike
from harness.gate.verdicts import Decided, GateVerdict
from harness.results.records import Better, Metric, Record, Series
from harness.units import format_number, format_percent

SAME_COURSE = 1e-3  # relative. Chosen: far above what the order of a sum changes, far below what anybody acts on
_COURSES = {  # metric -> the series it is read from
    **dict.fromkeys(("val_loss_first", "val_loss_best", "val_loss_final", "overfit_gap"), "val_loss"),
    **dict.fromkeys(("train_loss_first", "train_loss_final"), "train_loss"),
    **dict.fromkeys(("trainer_loss_first", "trainer_loss_final"), "trainer_loss"),
    "trainer_val_loss_final": "trainer_val_loss",
}
_A_DIFFERENCE = "overfit_gap"  # of two losses: its own size says nothing of how much it may change
_NOT_REPRODUCIBLE = {"gpu"}  # device types that may sum in another order from one process to the next
_FEWEST = 2  # processes a side that show whether such a device gave the same twice
_NUMERICS = {"versions": "libraries", "device": "machine"}  # parts of an identity that may change the last digits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Courses:
    """How far apart the courses of two cases are, relative. *departs* says where; None where they are the same."""

    largest: float
    departs: str | None
    scale: float  # the highest absolute value


def judge_loss(a: Record, b: Record, name: str, required: Requirement) -> Decided | None:
    """Judge the loss *name* of candidate *b* against baseline *a*; None where the processes of a side differ in it.

    None sends the metric to the rule for noisy readings, and so does a metric with labels. The two cases are taken as
    comparable; where they are not, that is the verdict.
    """
    before, after = a.metrics.get(name), b.metrics.get(name)
    if (unfit := _unfit(a, b, before, after)) or before is None or after is None:
        return unfit
    old, new = _only_value(before), _only_value(after)
    if old is None or new is None:
        return None
    courses = _compare(a, b, _COURSES.get(name))
    scale = max(abs(old), abs(new), courses.scale if courses and name == _A_DIFFERENCE else 0.0)
    if abs(new - old) <= SAME_COURSE * scale and not (courses and courses.departs):
        within = abs(new - old) / scale if scale else 0.0
        return _same(max(within, courses.largest if courses else 0.0), "course" if courses else "value")
    words = f"{format_number(old)} became {format_number(new)}"
    if before.better is Better.NONE:
        return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=f"{words}; neither more nor less of it is better")
    worse = new - old if before.better is Better.LOWER else old - new
    if abs(worse) > max(required.tolerance * min(abs(old), abs(new)), required.floor):
        return _beyond(a, b, before, after, words, worse=worse > 0)
    return _within(a, b, (courses.departs if courses else None) or words, required.tolerance)


def _unfit(a: Record, b: Record, before: Metric | None, after: Metric | None) -> Decided | None:
    """Why these readings say nothing; None if they do."""
    if not measured_alike(a.key, b.key):
        return Decided(verdict=GateVerdict.NOT_COMPARABLE, reason="the cases were not measured alike")
    if before is None or after is None or before.samples is None or after.samples is None:
        return Decided(verdict=GateVerdict.MISSING, reason="not measured on both sides")
    if min(value for its in (before, after) for process in its.samples or () for value in process) < 0:
        return Decided(verdict=GateVerdict.INVALID, reason="a loss below 0 cannot be true")
    return None


def _only_value(metric: Metric) -> float | None:
    """What every process read; None where they differ, or the metric is of several things."""
    values = {value for process in metric.samples or () for value in process}
    return values.pop() if len(values) == 1 and metric.labels is None else None


def _compare(a: Record, b: Record, course: str | None) -> _Courses | None:
    """Compare every process's course with the baseline's first; None where neither side has one."""
    old, new = (_processes(its, course) for its in (a, b))
    if not old and not new:
        return None
    if not old or not new:
        return _Courses(largest=1.0, departs=f"the course of {course} is stored on one side alone", scale=0.0)
    first, *others = (*old, *new)
    if any(its.x != first.x for its in others):
        return _Courses(largest=1.0, departs=f"{course} was read at other iterations", scale=0.0)
    points = [(x, was, its) for series in others for x, was, its in zip(first.x, first.y, series.y, strict=True)]
    apart = [_relative(was, its) for _, was, its in points]
    at = next((place for place, difference in enumerate(apart) if difference > SAME_COURSE), None)
    return _Courses(
        largest=max(apart),
        departs=None if at is None else _departure(course or "", first.x_unit, points[at], apart[at]),
        scale=max(abs(value) for _, was, its in points for value in (was, its)),
    )


def _processes(its: Record, course: str | None) -> list[Series]:
    """The course of each process, first the first's."""
    return [series for name, series in its.series.items() if name.partition(".")[0] == course]


def _relative(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))


def _departure(course: str, x_unit: str, point: tuple[float, float, float], difference: float) -> str:
    x, was, its = point
    words = f"{format_number(was)} became {format_number(its)}, {format_percent(difference)} apart"
    return f"{course} departs at {x_unit} {x:g}: {words}"


def _same(largest: float, what: str) -> Decided:
    reason = f"the same {what}" if largest == 0 else f"the same {what} within {format_percent(largest)}"
    return Decided(verdict=GateVerdict.PASS, reason=reason, detectable=SAME_COURSE)


def _beyond(a: Record, b: Record, before: Metric, after: Metric, words: str, *, worse: bool) -> Decided:
    device = device_type(a.key) if a.key else ""
    fewest = min(len(before.samples or ()), len(after.samples or ()))
    if device in _NOT_REPRODUCIBLE and fewest < _FEWEST:
        reason = f"{words}; one process does not show whether this {device} gives the same twice"
        return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=reason, more=_FEWEST - fewest)
    also = f"; the {' and the '.join(numerics)} differ" if (numerics := _numerics(a, b)) else ""
    return Decided(
        verdict=GateVerdict.REGRESSION if worse else GateVerdict.IMPROVED,
        reason=f"{words} at the same seed, beyond the tolerance{also}",
    )


def _within(a: Record, b: Record, words: str, tolerance: float) -> Decided:
    """Less than the tolerance, but not the same: fine where the last digits may have changed."""
    if numerics := _numerics(a, b):
        reason = f"{words}; within the tolerance, and the {' and the '.join(numerics)} differ"
        return Decided(verdict=GateVerdict.PASS, reason=reason, detectable=tolerance)
    reason = f"{words}; within the tolerance, but libraries and machine are not known to differ"
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=reason)


def _numerics(a: Record, b: Record) -> list[str]:
    """What is known to differ of that which may change the last digits."""
    parts = {part: {its.identity.get(part) for its in (a, b)} for part in _NUMERICS}
    return [_NUMERICS[part] for part, values in parts.items() if len(values) > 1 and None not in values]
