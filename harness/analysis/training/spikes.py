"""Spikes of a training loss: the onset, the peak and the recovery of each.

A spike begins at a report that is 25 % and six times the noise above the level of the reports before it. The level is
then frozen, and the loss has recovered once it is back within 10 % of it. The usual rule (rolling median and MAD,
first median of five reports within 10 % and one noise of the level) is changed in four points. Each was necessary:
on seeded series with 8 % of noise, the usual rule differed from its answer on the noise-free curve.

- The noise is estimated from the last 100 relative steps between reports: a trend does not widen it, and it is seldom
  underestimated.
- The peak is the first report within the noise of the top: during a slow recovery the highest reading comes later.
- The level before a spike is the median of as many reports as show no trend: recovery is known only as well as the
  level is.
- Recovery is the point where a smoothed curve crosses a line that does not depend on the noise. The window of the
  curve extends a tenth of the distance from the peak to either side.

The remaining uncertainty lies in the data: if the loss recovers slowly, a level known to 1.5 % leaves recovery
uncertain by as many reports as the loss needs to fall by 1.5 %. A permanent rise is a spike without recovery; later
spikes are judged from the new level. The first five reports are never a spike. No causes are inferred.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np

RISE = 1.25  # times the level before: a smaller rise is no spike, whatever the noise
NOISES = 6.0  # chosen so that 200 clean series of 1,500 reports have none
RECOVERED = 1.10  # times the level before
_RECENT, _FEWEST = 20, 5  # reports that give the level a report is compared with; the fewest that give a level
_STEPS = 100  # steps between reports from which the noise is estimated
_FEW = 10  # steps: chosen with the number of noises, for no spike in clean series
_LEAST_NOISE = 0.02  # relative: smoother series are treated as if they had this noise
_MOST_BEFORE = 80  # reports that give the level before a spike, at most
_TENTH, _WIDEST = 10, 64  # divisor of the distance from the peak, and reports: half the window of the smoothed curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """One rise of the loss and its recovery. Positions are in the unit of x."""

    onset: float  # the first report above the level that noise explains
    peak: float  # the first report within the noise of the top
    end: float  # the recovery, or the last report before the next spike or of the series
    peak_value: float | None  # as reported at the peak; None if no report of the spike is finite
    baseline: float | None  # the level before the onset; None without five finite reports before it
    ratio: float | None  # peak_value / baseline
    half_recovered: float | None  # None: not by the end of the series, or no baseline
    recovered: float | None  # None: as for half_recovered
    area: float | None  # above the baseline from onset to end, loss times the unit of x


def find_spikes(x: Sequence[float], y: Sequence[float | None]) -> tuple[Spike, ...]:
    """Return all spikes of a loss *y* reported at rising *x*, in order. A reading of None was not finite: a spike.

    Raises:
        ValueError: if the lengths differ.
    """
    if len(x) != len(y):
        raise ValueError(f"a series needs as many positions as readings, got {len(x)} and {len(y)}")
    onsets = _onsets(y)
    stops = [*(onset.at for onset in onsets), len(y)][1:]
    return tuple(_spike(x, y, onset, next_at) for onset, next_at in zip(onsets, stops, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Onset:
    at: int
    before: tuple[float, ...]  # the last readings before it that belong to no spike
    noise: float  # relative


class _Level:
    """Recent readings outside spikes: their median, updated by one binary search a reading, and their noise."""

    def __init__(self) -> None:
        self.before: deque[float] = deque(maxlen=_MOST_BEFORE)
        self._recent: list[float] = []  # sorted
        self._steps: deque[float] = deque(maxlen=_STEPS)

    def add(self, value: float) -> None:
        if self.before and value > 0 and self.before[-1] > 0:
            self._steps.append(math.log(value) - math.log(self.before[-1]))
        if len(self._recent) == _RECENT:
            self._recent.pop(bisect_left(self._recent, self.before[-_RECENT]))
        self.before.append(value)
        insort(self._recent, value)

    def restart(self) -> None:
        """Forget the level and keep the noise."""
        self.before.clear()
        self._recent.clear()

    @property
    def median(self) -> float | None:
        return _middle(self._recent) if len(self._recent) >= _FEWEST else None

    @property
    def noise(self) -> float:
        return _noise(self._steps)


def _middle(ordered: Sequence[float]) -> float:
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _noise(steps: Sequence[float]) -> float:
    """Return the relative standard deviation of a reading, from the median absolute deviation of logarithmic *steps*.

    A step has the noise of two readings, hence the root of two; 1.4826 converts to a standard deviation for normal
    noise. From few steps the estimate is often far too small, so it is increased by a share of 10 / steps.
    """
    if not steps:
        return 0.0
    trend = median(steps)
    return (1 + _FEW / len(steps)) * 1.4826 * median(abs(step - trend) for step in steps) / math.sqrt(2)


def _onsets(y: Sequence[float | None]) -> list[_Onset]:
    """Return the onsets of spikes. A spike lasts until five reports bring no new high.

    If those five are back at the level, the level is kept; otherwise they form the new level, so that a second spike
    during the recovery from the first is detected.
    """
    onsets: list[_Onset] = []
    level = _Level()
    high, since_high = -math.inf, _FEWEST
    for i, value in enumerate(y):
        usual = level.median
        if since_high >= _FEWEST:
            if not _is_high(value, level):
                level.add(value)  # type: ignore[arg-type] # None is high
                continue
            onsets.append(_Onset(at=i, before=tuple(level.before), noise=level.noise))
            high, since_high = -math.inf, 0
        if value is None or value > high:
            high, since_high = high if value is None else value, 0
            continue
        since_high += 1
        if since_high == _FEWEST:
            last = [v for v in y[i + 1 - _FEWEST : i + 1] if v is not None]
            if usual is None or median(last) > RECOVERED * usual:
                level.restart()
            for v in last:
                level.add(v)
    return onsets


def _is_high(value: float | None, level: _Level) -> bool:
    if value is None:
        return True
    usual = level.median
    if usual is None or usual <= 0 or value <= RISE * usual:
        return False
    return value > (1 + NOISES * max(level.noise, _LEAST_NOISE)) * usual


def _spike(x: Sequence[float], y: Sequence[float | None], onset: _Onset, next_at: int) -> Spike:
    baseline = _level_before(onset)
    if (
        baseline is None or baseline <= 0
    ):  # detected by a reading that is not finite: it lasts as long as such readings do
        last = max((i for i in range(onset.at, next_at) if y[i] is None), default=onset.at)
        return _placed(x, onset.at, onset.at, last, baseline=baseline)
    line = RECOVERED * baseline
    peak = _peak(y, range(onset.at, min(next_at, _first_under(y, onset.at, line) or next_at)), baseline, onset.noise)
    top, recovery = y[peak], _first_under(y, peak, line)
    end = min(next_at - 1, len(y) if recovery is None else recovery)
    spike = _placed(x, onset.at, peak, end, baseline=baseline)
    half = None if top is None else _first_under(y, peak, (top + baseline) / 2)
    return replace(
        spike,
        peak_value=top,
        ratio=None if top is None else top / baseline,
        half_recovered=None if half is None else x[half],
        recovered=None if recovery is None else x[recovery],
        area=_area(x[onset.at : end + 1], y[onset.at : end + 1], baseline),
    )


def _placed(x: Sequence[float], onset: int, peak: int, end: int, *, baseline: float | None) -> Spike:
    return Spike(
        onset=x[onset],
        peak=x[peak],
        end=x[end],
        peak_value=None,
        baseline=baseline,
        ratio=None,
        half_recovered=None,
        recovered=None,
        area=None,
    )


def _level_before(onset: _Onset) -> float | None:
    """Return the median of the last 80, 40, 20, 10 or 5 readings before a spike: the most that show no trend.

    No trend: the medians of the older and the newer half differ by at most 2.5 standard errors of their difference.
    The standard error of a median is 1.2533 standard deviations divided by the root of the number of readings.
    """
    readings, half = onset.before, _MOST_BEFORE // 2
    if len(readings) < _FEWEST:
        return None
    while half >= _FEWEST:
        older, newer = median(readings[-2 * half : -half] or readings), median(readings[-half:])
        error = 1.2533 * max(onset.noise, _LEAST_NOISE) * math.sqrt(2 / half)
        if 2 * half <= len(readings) and abs(older - newer) <= 2.5 * error * newer:
            return median(readings[-2 * half :])
        half //= 2
    return median(readings[-_FEWEST:])


def _peak(y: Sequence[float | None], during: range, baseline: float, noise: float) -> int:
    """Return the index of the first reading within three times the noise of the highest; if none is high, the first.

    Three, because the highest of several readings is one or two noises above the loss, and the first may be one below.
    """
    onset = y[during.start]
    lowest = (
        RISE * baseline if onset is None else min(RISE * baseline, onset)
    )  # the onset counts as high even if this level is higher
    readings = [(i, value) for i in during if (value := y[i]) is not None and value >= lowest]
    if not readings:
        return during.start
    top = max(value for _, value in readings)
    return next(i for i, value in readings if value >= top * (1 - 3 * noise))


def _first_under(y: Sequence[float | None], start: int, line: float) -> int | None:
    """Return the first report after *start* at which the smoothed loss is at most *line*; None if there is none.

    The last five reports are not considered. The smoothed loss is the mean of the logarithms over a tenth of the
    distance from *start* to either side; each logarithm is clipped to a factor of e around the line, so that no single
    reading decides. Within 20 reports of *start* that window is too small: then the reading itself must be at most
    *line*, and so must the median of the five readings that begin with it.
    """
    logs = np.log(np.clip(np.array(y[start:], dtype=float), line / math.e, line * math.e) / line)
    finite = ~np.isnan(logs)  # None is NaN in here, and nowhere else
    sums = np.concatenate(([0.0], np.cumsum(np.where(finite, logs, 0.0))))
    counts, lows = (np.concatenate(([0], np.cumsum(mask))) for mask in (finite, logs <= 0))
    q = np.arange(1, len(logs) - _FEWEST + 1)
    reach = np.minimum(np.minimum(q // _TENTH, _WIDEST), len(logs) - 1 - q)
    smooth = (counts[q + reach + 1] > counts[q - reach]) & (sums[q + reach + 1] <= sums[q - reach])
    single = (logs[q] <= 0) & (lows[q + _FEWEST] - lows[q] > _FEWEST // 2)
    crossings = np.flatnonzero(np.where(reach < 2, single, smooth))  # noqa: PLR2004 - two on either side are five reports
    return start + int(q[crossings[0]]) if len(crossings) else None


def _area(x: Sequence[float], y: Sequence[float | None], baseline: float) -> float:
    """Return the area between the loss and *baseline*, by trapezoids; parts below the baseline count as negative."""
    points = [(at, value - baseline) for at, value in zip(x, y, strict=True) if value is not None]
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
