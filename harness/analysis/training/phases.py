"""Phases of a training loss: stretches in which the logarithm of the loss is close to a straight line.

A long spike makes two phases, its rise and its recovery, with the bounds of the spike. The stretches between spikes
are partitioned by a piecewise linear fit: the partition is exact (all cuts are compared), and each line adds a
penalty so that noise is not cut. The lines are fitted to medians of neighboring reports, at most 200 of them: more
cannot be seen in a chart, and would make long runs slow.

Source: Bellman (1961), On the approximation of curves by line segments using dynamic programming, CACM 4(6). The
penalty is that of Schwarz (1978), Estimating the dimension of a model, for the three parameters of a line and its cut,
doubled because medians of neighboring reports are not quite independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

import numpy as np
from numpy.typing import NDArray

from harness.analysis.training.spikes import Spike

FEWEST_REPORTS = 20
RAPID, STEADY = -0.20, -0.05  # relative changes of an initial descent and of any descent; within ±5 % is a plateau
_LASTING = 0.01  # share of the run: a shorter spike is left out, and interrupts no phase
_SHORTEST = 0.02  # share of the run that a line has at least; never fewer than _FEWEST reports
_FEWEST = 5
_MIDDLE = (0.1, 0.9)  # quantiles that bound the end of a fitted line
_BINS = 200  # medians of a stretch, at most
_MOST_LINES = 6  # in a stretch
_LEAST_NOISE = 0.01  # relative: a smooth curve is not cut into ever better lines

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of a run, from its first to its last report."""

    name: str
    start: float  # in the unit of x
    end: float
    first: float  # the loss at the start and at the end, of the fitted line or of the spike
    last: float
    change: float  # last / first - 1


def find_phases(x: Sequence[float], y: Sequence[float | None], spikes: Sequence[Spike]) -> tuple[Phase, ...]:
    """Return the phases of a loss *y* reported at rising *x*, in order; () for fewer than 20 reports.

    Readings of None are left out, and so are *spikes* shorter than 1 % of the run. A loss that is never above 0 has no
    logarithm and so no phases.
    """
    places = np.array(x, dtype=float)
    kept = np.ones(len(x), dtype=bool)
    lasting: list[int] = []
    for i, spike in enumerate(spikes):
        if (spike.recovered or spike.end) - spike.onset >= _LASTING * (x[-1] - x[0]):
            lasting.append(i)
        else:
            kept[np.searchsorted(places, spike.onset) : np.searchsorted(places, spike.end, side="right")] = False
    points = [(at, value) for at, value, keep in zip(x, y, kept, strict=True) if keep and value is not None]
    highest = max((value for _, value in points), default=0.0)
    if len(points) < FEWEST_REPORTS or highest <= 0:
        return ()
    at = np.array([point[0] for point in points], dtype=float)
    logs = np.log(np.maximum([point[1] / highest for point in points], 1e-9)) + math.log(highest)
    phases: list[Phase] = []
    begin = 0
    for i, following in zip_longest(lasting, lasting[1:]):
        spike = spikes[i]
        if spike.peak_value is None or spike.baseline is None:
            continue  # there is no level to compare it with
        onset, after_peak, end = np.searchsorted(
            at, (spike.onset, np.nextafter(spike.peak, np.inf), spike.recovered or spike.end)
        )
        phases = _add_calm(phases, at, logs, begin, onset)
        phases.append(_phase(f"Spike {i + 1}", spike.onset, spike.peak, spike.baseline, spike.peak_value))
        begin = after_peak
        if spike.recovered is not None and (following is None or spike.recovered < spikes[following].onset):
            last = math.exp(float(np.median(logs[end : end + _FEWEST])))
            phases.append(_phase(f"Recovery {i + 1}", at[after_peak], spike.recovered, spike.peak_value, last))
            begin = end + 1
    return tuple(_add_calm(phases, at, logs, begin, len(at)))


def _phase(name: str, start: float, end: float, first: float, last: float) -> Phase:
    return Phase(name=name, start=float(start), end=float(end), first=first, last=last, change=last / first - 1)


def _add_calm(phases: list[Phase], at: _Floats, logs: _Floats, begin: int, stop: int) -> list[Phase]:
    """Append the phases of the stretch from *begin* to before *stop*; a too short one extends the last phase."""
    if stop - begin < _FEWEST:
        return [*phases[:-1], replace(phases[-1], end=float(at[stop - 1]))] if phases and stop > begin else phases
    calm: list[Phase] = []
    for first, last in _lines(logs[begin:stop], shortest=max(_FEWEST, math.ceil(_SHORTEST * len(at)))):
        ends = _fitted_ends(logs[begin + first : begin + last])
        phase = _phase("", at[begin + first], at[begin + last - 1], *ends)
        initial = phase.change <= RAPID and not phases and all(earlier.name != "Initial descent" for earlier in calm)
        phase = replace(phase, name="Initial descent" if initial else _phase_name(phase.change))
        if calm and calm[-1].name == phase.name:
            both = _phase("", calm[-1].start, phase.end, calm[-1].first, phase.last)
            calm[-1] = replace(both, name=_phase_name(both.change))
        else:
            calm.append(phase)
    return phases + calm


def _phase_name(change: float) -> str:
    if change <= STEADY:
        return "Steady descent"
    return "Plateau" if change < -STEADY else "Drift up"


def _fitted_ends(logs: _Floats) -> tuple[float, float]:
    """Return the fitted loss at the first and the last report, which is less noisy than the two reports.

    If the loss bends within the phase, the fitted line misses its ends. Each end is therefore limited to the middle
    80 % of the tenth of the reports next to it.
    """
    places = np.arange(len(logs)) - (len(logs) - 1) / 2
    slope = float(places @ logs / (places @ places))
    near = max(_FEWEST, len(logs) // 10)
    first = np.clip(logs.mean() + slope * places[0], *np.quantile(logs[:near], _MIDDLE))
    last = np.clip(logs.mean() + slope * places[-1], *np.quantile(logs[-near:], _MIDDLE))
    return math.exp(first), math.exp(last)


def _lines(logs: _Floats, *, shortest: int) -> list[tuple[int, int]]:
    """Return (start, stop) of each line of the best partition; every line has at least *shortest* reports."""
    count = min(_BINS, len(logs))
    bounds = [len(logs) * i // count for i in range(count + 1)]
    medians = np.array([np.median(logs[a:b]) for a, b in pairwise(bounds)])
    steps = np.diff(medians)
    noise = max(_LEAST_NOISE, 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2))
    penalty = 2 * 3 * noise**2 * math.log(count)
    misfits = _misfits(medians)
    lengths = np.subtract.outer(bounds, bounds).T
    misfits[lengths < shortest] = np.inf
    costs, cuts = misfits[0], []  # costs of one line from the first bin up to each other
    best, lines = costs[-1], 1
    for number in range(2, _MOST_LINES + 1):
        through = costs[:, None] + misfits  # the row is the bin at which the last line begins
        cuts.append(through.argmin(axis=0))
        costs = through.min(axis=0)
        if costs[-1] + (number - 1) * penalty < best:
            best, lines = costs[-1] + (number - 1) * penalty, number
    ends = [count]
    for cut in reversed(cuts[: lines - 1]):
        ends.insert(0, int(cut[ends[0]]))
    return list(pairwise([0, *(bounds[end] for end in ends)]))


def _misfits(values: _Floats) -> _Floats:
    """Return the sum of squared residuals of the line fitted to values[row:column], for each row and column."""
    n = len(values)
    sums = np.zeros((5, n + 1))
    places = np.arange(n) - n / 2  # centered: large squares would lose digits in the subtraction below
    for row, terms in zip(sums, (np.ones(n), places, values, places**2, places * values), strict=True):
        row[1:] = np.cumsum(terms)
    squares = np.concatenate(([0.0], np.cumsum(values**2)))
    count, p, v, pp, pv = sums[:, None, :] - sums[:, :, None]
    some = np.maximum(count, 1)
    spread = np.where(count < 2, 1.0, pp - p * p / some)  # noqa: PLR2004 - one point or none has no slope
    covariation = pv - p * v / some
    misfits: _Floats = np.maximum(squares[None, :] - squares[:, None] - v * v / some - covariation**2 / spread, 0.0)
    return misfits
