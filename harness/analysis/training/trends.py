"""Where a loss is lowest, how it moves, and whether validation and training part. Points only: no cause, no praise."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

WORSE_BY = 1.02  # times the lowest validation loss; the tie band of a loss without readings of single examples
_LATER = 2  # validations after the lowest: one alone may be its sample
RAPID, STEADY, WORSE = 0.20, 0.05, -0.05  # shares by which a loss falls
_ENDS = 10  # a level at the end of a third is of a tenth of its reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One reading and where it was taken."""

    x: float
    y: float


def best_point(x: Sequence[float], y: Sequence[float | None]) -> Point | None:
    """The lowest reading, the first of equals; None if no reading is finite."""
    return min(_points(x, y), key=lambda point: point.y, default=None)


def time_to_target(x: Sequence[float], y: Sequence[float | None], factor: float = WORSE_BY) -> float | None:
    """The first of *x* at which *y* is within *factor* of its lowest; None if no reading is finite."""
    best = best_point(x, y)
    return None if best is None else next(p.x for p in _points(x, y) if p.y <= max(best.y, factor * best.y))


def loss_reduction(first: float, last: float) -> float | None:
    """The share of *first* by which the loss fell, below 0 if it rose; None where *first* is not above 0.

    Both are of one split, one evaluator and the same rows: this function cannot know, so its caller must.
    """
    return (first - last) / first if first > 0 else None


class Divergence(Enum):
    """Whether validation rises while training falls."""

    OVERFITTING = "overfitting"
    NOT_DETECTED = "no overfitting detected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """The verdict, and what it rests on: point estimates, with dropout on and a lag in the training loss."""

    verdict: Divergence
    since: float | None  # where validation was lowest; None unless overfitting
    val_best: float | None
    val_final: float | None
    train_change: float | None  # relative, from the lowest validation to the last
    reason: str


def overfitting(
    train_x: Sequence[float],
    train_y: Sequence[float | None],
    val_x: Sequence[float],
    val_y: Sequence[float | None],
) -> Overfitting:
    """Judge by the points of two curves whether training went on to fall while validation rose.

    Overfitting: the last validation and at least one more after the lowest are above it by more than 2 %, and the
    training loss is lower at the last than at the lowest. The training loss at a validation is the median of the
    reports since the one before. Readings of the same examples would allow an interval; without them this is a hint.
    """
    validations = _points(val_x, val_y)
    best = best_point(val_x, val_y)
    if best is None or val_y[-1] is None:
        return _unknown("no validation loss" if not val_y else "the last validation loss is not finite", best)
    final = validations[-1]
    train = _points(train_x, train_y)
    before, after = (_train_near(train, validations, point) for point in (best, final))
    change = None if before is None or after is None or before <= 0 else after / before - 1
    higher = [point for point in validations if point.x > best.x and point.y > WORSE_BY * best.y]
    since = None
    if len(validations) <= _LATER:
        verdict, reason = Divergence.UNKNOWN, f"{len(validations)} validation(s), 3 or more are needed"
    elif final not in higher:
        verdict, reason = Divergence.NOT_DETECTED, "the last validation loss is within 2 % of the lowest"
    elif len(higher) < _LATER:
        verdict, reason = Divergence.UNKNOWN, "one validation is above the lowest, 2 or more are needed"
    elif change is None:
        verdict, reason = Divergence.UNKNOWN, "no training loss at the lowest or the last validation"
    elif change >= 0:
        verdict, reason = Divergence.NOT_DETECTED, "validation rose and training did not fall"
    else:
        verdict, reason, since = Divergence.OVERFITTING, "validation rose while training fell", best.x
    return Overfitting(
        verdict=verdict, since=since, val_best=best.y, val_final=final.y, train_change=change, reason=reason
    )


def _unknown(reason: str, best: Point | None) -> Overfitting:
    return Overfitting(
        verdict=Divergence.UNKNOWN,
        since=None,
        val_best=best.y if best else None,
        val_final=None,
        train_change=None,
        reason=reason,
    )


def _train_near(train: Sequence[Point], validations: Sequence[Point], at: Point) -> float | None:
    """The median of the training reports after the validation before, up to this one."""
    since = max((point.x for point in validations if point.x < at.x), default=float("-inf"))
    return median(near) if (near := [point.y for point in train if since < point.x <= at.x]) else None


class Pace(Enum):
    """How a loss moves: falls by a fifth or more, by 5 % or more, less than 5 % either way, or rises by more."""

    RAPID = "rapid"
    STEADY = "steady"
    FLAT = "flat"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Third:
    """A third of the run by x: its levels at either end, medians of a tenth of its reports."""

    start: float
    end: float
    first: float
    last: float
    change: float  # last / first - 1
    pace: Pace


def thirds(x: Sequence[float], y: Sequence[float | None]) -> tuple[Third, ...]:
    """The early, the middle and the late third of a loss; () if one has fewer than two reports or a level of 0."""
    points = _points(x, y)
    if not points:
        return ()
    start, length = points[0].x, (points[-1].x - points[0].x) / 3
    parts: list[list[Point]] = [[], [], []]
    for point in points:
        parts[min(2, int((point.x - start) / length)) if length > 0 else 0].append(point)
    if any(len(part) < 2 or _level(part[: _tenth(part)]) <= 0 for part in parts):  # noqa: PLR2004 - one has no change
        return ()
    return tuple(map(_third, parts))


def _third(part: Sequence[Point]) -> Third:
    first, last = _level(part[: _tenth(part)]), _level(part[-_tenth(part) :])
    return Third(
        start=part[0].x, end=part[-1].x, first=first, last=last, change=last / first - 1, pace=pace(1 - last / first)
    )


def pace(share: float) -> Pace:
    """The word for the share by which a loss fell."""
    if share >= RAPID:
        return Pace.RAPID
    if share >= STEADY:
        return Pace.STEADY
    return Pace.FLAT if share >= WORSE else Pace.WORSE


def _tenth(part: Sequence[Point]) -> int:
    return max(1, len(part) // _ENDS)


def _level(points: Sequence[Point]) -> float:
    return median(point.y for point in points)


def _points(x: Sequence[float], y: Sequence[float | None]) -> list[Point]:
    return [Point(x=at, y=value) for at, value in zip(x, y, strict=True) if value is not None]
