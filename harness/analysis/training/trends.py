"""Best point, pace and overfitting of a loss curve, from its points alone; no causes are inferred."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

WORSE_BY = 1.02  # times the lowest validation loss; the tie band of a loss without readings of single examples
_LATER = 2  # validations above the lowest, needed after it: one alone may be due to its sample of rows
RAPID, STEADY, WORSE = 0.20, 0.05, -0.05  # shares by which a loss falls
_ENDS = 10  # the level at an end of a third is the median of a tenth of its reports


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One reading *y*, and the position *x* at which it was taken."""

    x: float
    y: float


def best_point(x: Sequence[float], y: Sequence[float | None]) -> CurvePoint | None:
    """Return the lowest reading, the first of equals; None if no reading is finite."""
    return min(_points(x, y), key=lambda point: point.y, default=None)


def time_to_target(x: Sequence[float], y: Sequence[float | None], factor: float = WORSE_BY) -> float | None:
    """Return the first *x* at which *y* is at most *factor* times its lowest; None if no reading is finite."""
    best = best_point(x, y)
    return None if best is None else next(p.x for p in _points(x, y) if p.y <= max(best.y, factor * best.y))


def loss_reduction(first: float, last: float) -> float | None:
    """Return the share of *first* by which the loss fell, below 0 if it rose; None if *first* is not above 0.

    The caller guarantees that both losses are of one split, one evaluator and the same rows.
    """
    return (first - last) / first if first > 0 else None


class Divergence(StrEnum):
    """Verdict on overfitting: the validation loss rises while the training loss falls."""

    OVERFITTING = "overfitting"
    NOT_DETECTED = "no overfitting detected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """Verdict and its evidence: point estimates. The training loss is with dropout, and lags behind validation."""

    verdict: Divergence
    since: float | None  # position of the lowest validation; None unless overfitting
    val_best: float | None
    val_final: float | None
    train_change: float | None  # relative change from the lowest validation to the last
    reason: str


def overfitting(
    train_x: Sequence[float],
    train_y: Sequence[float | None],
    val_x: Sequence[float],
    val_y: Sequence[float | None],
) -> Overfitting:
    """Detect overfitting: judge by the points of two curves whether validation rose while training still fell.

    Overfitting: the last validation and at least one other after the lowest exceed the lowest by more than 2 %, and
    the training loss is lower at the last validation than at the lowest. The training loss at a validation is the
    median of the reports since the previous one. Without readings of single examples there is no interval, so the
    verdict is a hint.
    """
    validations = _points(val_x, val_y)
    best = best_point(val_x, val_y)
    if best is None or val_y[-1] is None:
        return _unknown("no validation loss" if not val_y else "the last validation loss is not finite", best)
    final = validations[-1]
    train = _points(train_x, train_y)
    train_best, train_final = (_train_near(train, validations, point) for point in (best, final))
    change = None if train_best is None or train_final is None or train_best <= 0 else train_final / train_best - 1
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


def _unknown(reason: str, best: CurvePoint | None) -> Overfitting:
    return Overfitting(
        verdict=Divergence.UNKNOWN,
        since=None,
        val_best=best.y if best else None,
        val_final=None,
        train_change=None,
        reason=reason,
    )


def _train_near(train: Sequence[CurvePoint], validations: Sequence[CurvePoint], at: CurvePoint) -> float | None:
    """Return the median of the training reports between the previous validation and this one; None without any."""
    since = max((point.x for point in validations if point.x < at.x), default=float("-inf"))
    return median(near) if (near := [point.y for point in train if since < point.x <= at.x]) else None


class Pace(StrEnum):
    """Pace of a loss: falls by at least 20 %, by at least 5 %, changes by less than 5 %, or rises by more than 5 %."""

    RAPID = "rapid"
    STEADY = "steady"
    FLAT = "flat"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Third:
    """A third of the run by x. *first* and *last* are medians of a tenth of its reports, at either end."""

    start: float
    end: float
    first: float
    last: float
    change: float  # last / first - 1
    pace: Pace


def thirds(x: Sequence[float], y: Sequence[float | None]) -> tuple[Third, ...]:
    """Return the early, middle and late third of a loss; () if one has fewer than two reports or a level of 0."""
    points = _points(x, y)
    if not points:
        return ()
    start, length = points[0].x, (points[-1].x - points[0].x) / 3
    parts: list[list[CurvePoint]] = [[], [], []]
    for point in points:
        parts[min(2, int((point.x - start) / length)) if length > 0 else 0].append(point)
    if any(len(part) < 2 or _level(part[: _tenth(part)]) <= 0 for part in parts):  # noqa: PLR2004 - one has no change
        return ()
    return tuple(map(_third, parts))


def _third(part: Sequence[CurvePoint]) -> Third:
    first, last = _level(part[: _tenth(part)]), _level(part[-_tenth(part) :])
    return Third(
        start=part[0].x, end=part[-1].x, first=first, last=last, change=last / first - 1, pace=pace(1 - last / first)
    )


def pace(share: float) -> Pace:
    """Classify the share by which a loss fell."""
    if share >= RAPID:
        return Pace.RAPID
    if share >= STEADY:
        return Pace.STEADY
    return Pace.FLAT if share >= WORSE else Pace.WORSE


def _tenth(part: Sequence[CurvePoint]) -> int:
    return max(1, len(part) // _ENDS)


def _level(points: Sequence[CurvePoint]) -> float:
    return median(point.y for point in points)


def _points(x: Sequence[float], y: Sequence[float | None]) -> list[CurvePoint]:
    return [CurvePoint(x=at, y=value) for at, value in zip(x, y, strict=True) if value is not None]
