"""The course of one training, read once: what the page, its figures and the checklist say all comes from here. Pure."""

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
from harness.report.sections.loss_curves import apart, points
from harness.results.records import Record

_WINDOW = 10  # iterations a report, as mlx-lm prints them; a batch alone says little
_WINDOWS_FROM = 200  # iterations; a shorter training is read step by step


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One training. *train* are reports of *window* iterations each, *val* the validations, as (iteration, loss)."""

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
        """The record it was read from."""
        return self.column.record


def course_of(column: Column) -> Course:
    """Read the series of a training's first process."""
    series = column.record.series
    steps = points(series.get("train_loss"))
    window = _WINDOW if len(steps) > _WINDOWS_FROM else 1
    train, val = windows(steps, window), points(series.get("val_loss"))
    x, y = apart(train)
    spikes = find_spikes(x, y)
    return Course(
        column=column,
        window=window,
        train=train,
        val=val,
        spikes=spikes,
        phases=find_phases(x, y, spikes),
        overfitting=overfitting(x, y, *apart(val)),
        clock=_clock(column.record),
    )


def windows(steps: Sequence[tuple[float, float]], size: int) -> tuple[tuple[float, float], ...]:
    """The mean of each *size* steps at the last one's iteration; a shorter rest at the end counts too."""
    groups = (steps[start : start + size] for start in range(0, len(steps), size))
    return tuple((group[-1][0], fmean(y for _, y in group)) for group in groups)


def at(found: dict[float, float], x: float) -> float | None:
    """The value at the last reading up to *x*, of readings in their order; None before the first."""
    keys = list(found)
    place = bisect_right(keys, x)
    return found[keys[place - 1]] if place else None


def value_of(record: Record, name: str, label: str | None = None) -> float | None:
    """The median of a metric's processes; None where it was not measured."""
    metric = record.metrics.get(name)
    samples = metric.parts().get(label) if metric else None
    return median(process_values(samples)) if samples else None


def _clock(record: Record) -> TimeAccount | None:
    """Whether the parts of the wall time add up to it; None where they were not measured."""
    wall_s = value_of(record, "train_wall_s")
    metric = record.metrics.get("wall_part_s")
    parts = metric.parts() if metric else {}
    if not wall_s or wall_s < 0 or not parts:
        return None
    middles = {str(label): median(process_values(samples)) for label, samples in parts.items() if label != "other"}
    return reconcile(wall_s, middles)
