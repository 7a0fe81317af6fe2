"""False alarms and detections of the change points of `tunebench history`, over simulated histories of 100 runs.

    python benchmarks/history.py [SERIES]

SERIES (300) histories a figure, seeded. Noise: independent, 2 %; autoregressive, 0.7, of the same spread; independent
with spikes of +10 to +65 % in 5 % of the runs. A detection is a change point at most 2 runs from a true step upwards.
With apache-otava 0.8.0 on the path (it asks for an older NumPy, so install it without its dependencies) that is
measured too, as is ruptures as it comes.
"""

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

from harness.analysis.stats import change_points

_RUNS, _SEED, _NEAR, _SPREAD, _TOLERANCE = 100, 7, 2, 0.02, 0.03
_STEPS = ((0.05, 1), (0.05, 3), (0.05, 5), (0.05, 10), (0.10, 1), (0.10, 3), (0.10, 5))
Values = Sequence[float]
Detector = Callable[[Values], list[tuple[int, float]]]


def main(series: int) -> None:
    """Print a table: a row a detector."""
    steps = (f"+{step:.0%} after {later}" for step, later in _STEPS)
    others = ("spikes, +10% after 5", "AR, +10% after 10", "of 20 runs: false")
    print("| detector | iid | AR(1) .7 | spikes |", " | ".join((*steps, *others)), "|")
    print("|:--|" + "--:|" * (3 + len(_STEPS) + len(others)))
    for name, find in _detectors().items():
        false = [_share(find, noise, series) for noise in ("iid", "ar", "spikes")]
        shares = [_share(find, "iid", series, step=step, later=later) for step, later in _STEPS]
        shares += [_share(find, "spikes", series, step=0.10, later=5), _share(find, "ar", series, step=0.10, later=10)]
        shares.append(_share(find, "iid", series, runs=20))
        print(f"| {name} |", " | ".join(f"{100 * share:.1f}" for share in (*false, *shares)), "|", flush=True)


def _share(find: Detector, noise: str, series: int, *, step: float = 0.0, later: int = 0, runs: int = _RUNS) -> float:
    """The share of histories with any upward change point; with a *step*, with one near it."""
    draw = np.random.default_rng(_SEED)
    hits = 0
    for _ in range(series):
        logs = _noise(draw, noise, runs)
        logs[runs - later :] += math.log1p(step) if later else 0
        places = [at for at, change in find(np.exp(logs).tolist()) if change > 0]
        hits += any(abs(at - (runs - later)) <= _NEAR for at in places) if later else bool(places)
    return hits / series


def _noise(draw: Any, kind: str, runs: int) -> Any:
    logs = draw.normal(0, _SPREAD, runs)
    if kind == "ar":
        for at in range(1, runs):
            logs[at] = 0.7 * logs[at - 1] + math.sqrt(1 - 0.7**2) * logs[at]
    elif kind == "spikes":
        busy = draw.random(runs) < 0.05
        logs[busy] += draw.uniform(0.1, 0.5, busy.sum())
    return logs


def _detectors() -> dict[str, Detector]:
    ours = {"ruptures, as tunebench asks it": _ours, "ruptures, least squares as it comes": _plain}
    if find_spec("otava") is None:
        return ours
    return ours | {f"apache-otava, p {p:g}": partial(_otava, most_p=p) for p in (1e-3, 1e-4)}


def _ours(values: Values) -> list[tuple[int, float]]:
    return [(shift.at, shift.change) for shift in change_points.shifts(values, _TOLERANCE).found]


def _plain(values: Values) -> list[tuple[int, float]]:
    """Without spikes set aside and without regard to how values hang together; the same filter."""
    logs = np.log(values)
    price = 4 * math.log(len(logs)) * change_points._deviation(logs.tolist()) ** 2
    limits = change_points._merged(
        logs.tolist(), [0, *change_points._boundaries(logs.tolist(), price), len(logs)], _TOLERANCE
    )
    levels = [float(np.median(values[start:end])) for start, end in pairwise(limits)]
    return [(at, b / a - 1) for at, a, b in zip(limits[1:-1], levels, levels[1:], strict=False)]


def _otava(values: Values, *, most_p: float) -> list[tuple[int, float]]:
    from otava.analysis import compute_change_points  # noqa: PLC0415

    points, _ = compute_change_points(list(values), window_len=50, max_pvalue=most_p, min_magnitude=_TOLERANCE)
    enough = [point for point in points if len(values) - point.index >= change_points.LATER]
    return [(point.index, point.stats.mean_2 / point.stats.mean_1 - 1) for point in enough]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
