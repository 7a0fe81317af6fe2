"""Judge losses at a fixed seed: the same loss curve, a changed one, or noise that the rule for noisy readings judges.

One seed and one version of the code give one curve, so even a single process tells whether there is a difference,
though not how large a difference by chance would be. See docs/decisions/0021-exact-and-losses.md.
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
_A_DIFFERENCE = "overfit_gap"  # difference of two losses: the scale of a change is that of the losses
_NOT_REPRODUCIBLE = {"gpu"}  # device types that may sum in another order from one process to the next
_FEWEST = 2  # processes a side that show whether such a device gave the same twice
_NUMERICS = {"versions": "libraries", "device": "machine"}  # parts of an identity that may change the last digits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Courses:
    """Largest relative difference between two cases' loss curves; *departs* says where, None if they are the same."""

    largest: float
    departs: str | None
    scale: float  # the highest absolute value


def judge_loss(a: Record, b: Record, name: str, required: Requirement) -> Decided | None:
    """Judge the loss *name* of candidate *b* against baseline *a*.

    None where the processes of one side differ or the metric has labels: the rule for noisy readings then decides.
    Cases that do not compare are `NOT_COMPARABLE`.
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
    """Return the verdict on readings that cannot be compared; None if they can."""
    if not measured_alike(a.key, b.key):
        return Decided(verdict=GateVerdict.NOT_COMPARABLE, reason="the cases were not measured alike")
    if before is None or after is None or before.samples is None or after.samples is None:
        return Decided(verdict=GateVerdict.MISSING, reason="not measured on both sides")
    if min(value for metric in (before, after) for process in metric.samples or () for value in process) < 0:
        return Decided(verdict=GateVerdict.INVALID, reason="a loss below 0 cannot be true")
    return None


def _only_value(metric: Metric) -> float | None:
    """Return the value that all processes share; None where they differ or the metric has labels."""
    values = {value for process in metric.samples or () for value in process}
    return values.pop() if len(values) == 1 and metric.labels is None else None


def _compare(a: Record, b: Record, course: str | None) -> _Courses | None:
    """Compare every process's curve with that of the baseline's first process; None where neither side has any."""
    old, new = (_curves(record, course) for record in (a, b))
    if not old and not new:
        return None
    if not old or not new:
        return _Courses(largest=1.0, departs=f"the course of {course} is stored on one side alone", scale=0.0)
    first, *others = (*old, *new)
    if any(series.x != first.x for series in others):
        return _Courses(largest=1.0, departs=f"{course} was read at other iterations", scale=0.0)
    points = [
        (x, old_y, new_y) for series in others for x, old_y, new_y in zip(first.x, first.y, series.y, strict=True)
    ]
    differences = [_relative(old_y, new_y) for _, old_y, new_y in points]
    departure = next((i for i, difference in enumerate(differences) if difference > SAME_COURSE), None)
    return _Courses(
        largest=max(differences),
        departs=None
        if departure is None
        else _departure_text(course or "", first.x_unit, points[departure], differences[departure]),
        scale=max(abs(y) for _, *pair in points for y in pair),
    )


def _curves(record: Record, course: str | None) -> list[Series]:
    """Return the curve of each process, in order."""
    return [series for name, series in record.series.items() if name.partition(".")[0] == course]


def _relative(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))


def _departure_text(course: str, x_unit: str, point: tuple[float, float, float], difference: float) -> str:
    x, old, new = point
    words = f"{format_number(old)} became {format_number(new)}, {format_percent(difference)} apart"
    return f"{course} departs at {x_unit} {x:g}: {words}"


def _same(largest: float, noun: str) -> Decided:
    reason = f"the same {noun}" if largest == 0 else f"the same {noun} within {format_percent(largest)}"
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
    """Decide on a difference within the tolerance: a pass if libraries or machine may have changed the last digits."""
    if numerics := _numerics(a, b):
        reason = f"{words}; within the tolerance, and the {' and the '.join(numerics)} differ"
        return Decided(verdict=GateVerdict.PASS, reason=reason, detectable=tolerance)
    reason = f"{words}; within the tolerance, but libraries and machine are not known to differ"
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=reason)


def _numerics(a: Record, b: Record) -> list[str]:
    """Return what differs between the two sides and may change the last digits: libraries, machine."""
    parts = {part: {record.identity.get(part) for record in (a, b)} for part in _NUMERICS}
    return [_NUMERICS[part] for part, values in parts.items() if len(values) > 1 and None not in values]
