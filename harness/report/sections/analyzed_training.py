"""A training with its curves, spikes, phases and verdict on overfitting, computed once for the whole report."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from harness.analysis.stats.estimates import process_values
from harness.analysis.training.phases import Phase, find_phases
from harness.analysis.training.spikes import Spike, find_spikes
from harness.analysis.training.time_account import TimeAccount, reconcile
from harness.analysis.training.trends import Overfitting, overfitting
from harness.report.cells import Column
from harness.report.sections.loss_curves import points, x_and_y
from harness.results.records import Record

_WINDOW = 10  # iterations a report, as mlx-lm prints them; the loss of a single batch is mostly noise
_WINDOWS_FROM = 200  # iterations; the losses of a shorter training are not averaged


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzedTraining:
    """One training. *train* and *val* hold (iteration, loss); a point of *train* is the mean of *window* iterations."""

    column: Column
    window: int
    train: tuple[tuple[float, float], ...]
    val: tuple[tuple[float, float], ...]
    spikes: tuple[Spike, ...]
    phases: tuple[Phase, ...]
    overfitting: Overfitting
    clock: TimeAccount | None

    @property
    def record(self) -> Record:
        """Stored record of the training."""
        return self.column.record


def analyze_training(column: Column) -> AnalyzedTraining:
    """Analyze the stored series of a training, which come from its first process."""
    series = column.record.series
    steps = points(series.get("train_loss"))
    window = _WINDOW if len(steps) > _WINDOWS_FROM else 1
    train, val = window_means(steps, window), points(series.get("val_loss"))
    x, y = x_and_y(train)
    spikes = find_spikes(x, y)
    return AnalyzedTraining(
        column=column,
        window=window,
        train=train,
        val=val,
        spikes=spikes,
        phases=find_phases(x, y, spikes),
        overfitting=overfitting(x, y, *x_and_y(val)),
        clock=_wall_clock(column.record),
    )


def window_means(steps: Sequence[tuple[float, float]], size: int) -> tuple[tuple[float, float], ...]:
    """Average each *size* points and place the mean at the last x of the window. A shorter last window counts too."""
    windows = (steps[start : start + size] for start in range(0, len(steps), size))
    return tuple((window[-1][0], fmean(y for _, y in window)) for window in windows)


def value_at(readings: dict[float, float], x: float) -> float | None:
    """Return the last reading at or before *x*; None if the first comes later. *readings* are in ascending order."""
    places = list(readings)
    count = bisect_right(places, x)
    return readings[places[count - 1]] if count else None


def value_of(record: Record, name: str, label: str | None = None) -> float | None:
    """Median of a metric over the processes; None where it was not measured."""
    metric = record.metrics.get(name)
    samples = metric.parts().get(label) if metric else None
    return median(process_values(samples)) if samples else None


def _wall_clock(record: Record) -> TimeAccount | None:
    """Compare the wall time with the sum of its measured parts; None where either was not measured."""
    wall_s = value_of(record, "train_wall_s")
    metric = record.metrics.get("wall_part_s")
    parts = metric.parts() if metric else {}
    if not wall_s or wall_s < 0 or not parts:
        return None
    medians_s = {str(label): median(process_values(samples)) for label, samples in parts.items() if label != "other"}
    return reconcile(wall_s, medians_s)
