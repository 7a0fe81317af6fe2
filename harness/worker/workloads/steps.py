"""Steps of a training and what follows from them: rates, wall time, memory growth, series.

The steps were timed by `trainer_watcher`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.results.records import Readings, Series
from harness.units import format_percent, format_value

_UNACCOUNTED = 0.1  # share of the wall time; chosen: below it the parts explain where the time went


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """Measurements of one iteration. Tokens are input positions; *elapsed_s* ends with the evaluated update.

    Memory is read after the step. *footprint_bytes* is None if the system does not state it.
    """

    elapsed_s: float
    train_loss: float  # true: over real targets
    trainer_loss: float  # as mlx-lm prints it
    learning_rate: float
    lengths: tuple[int, ...]  # real tokens of each row
    loss_tokens: int
    padded_tokens: int
    text_bytes: int | None  # None if a row was cut: its remaining text is unknown
    active_bytes: int
    footprint_bytes: int | None

    @property
    def real_tokens(self) -> int:
        """Input positions that hold a token of a row, not padding."""
        return sum(self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSteps:
    """All iterations of a training. The first *warmup_iters*, and at least the first one, are not steady."""

    all: Sequence[TrainingStep]
    warmup_iters: int

    @property
    def first(self) -> TrainingStep:
        """First step, which includes compilation."""
        return self.all[0]

    @property
    def warm_up(self) -> Sequence[TrainingStep]:
        """Steps after the first that are not steady yet."""
        return self.all[1 : self.warmup_iters]

    @property
    def steady(self) -> Sequence[TrainingStep]:
        """Steps that rates are computed from."""
        return self.all[max(1, self.warmup_iters) :]

    def elapsed_s(self) -> float:
        """Return the seconds of all steady steps."""
        return math.fsum(step.elapsed_s for step in self.steady)

    def unsteady(self) -> Readings:
        """Return an empty reading that says that there are too few steady steps."""
        reason = f"too few steady iterations: {len(self.all)} in all, and warm-up takes {max(1, self.warmup_iters)}"
        return Readings(values=(), reason=reason)


def rates(steps: TrainingSteps) -> dict[str, Readings]:
    """Return the rates of the steady steps; amounts and time come from the same steps."""
    steady = steps.steady
    amounts = {
        "train_tokens_per_s": sum(step.real_tokens for step in steady),
        "train_loss_tokens_per_s": sum(step.loss_tokens for step in steady),
        "train_padded_tokens_per_s": sum(step.padded_tokens for step in steady),
        "train_steps_per_s": len(steady),
        "train_rows_per_s": sum(len(step.lengths) for step in steady),
    }
    readings = {"first_step_s": _single(steps.first.elapsed_s)}
    if not steady:
        return readings | dict.fromkeys([*amounts, "train_bytes_per_s", "padding_share", "step_s"], steps.unsteady())
    elapsed_s = steps.elapsed_s()
    readings |= {name: _single(amount / elapsed_s) for name, amount in amounts.items()}
    readings["train_bytes_per_s"] = _bytes_per_s(steady, elapsed_s)
    readings["padding_share"] = _single(1 - amounts["train_tokens_per_s"] / amounts["train_padded_tokens_per_s"])
    readings["step_s"] = Readings(values=tuple(step.elapsed_s for step in steady))
    return readings


def _bytes_per_s(steady: Sequence[TrainingStep], elapsed_s: float) -> Readings:
    sizes = [step.text_bytes for step in steady if step.text_bytes is not None]
    if len(sizes) < len(steady):
        return Readings(values=(), reason="rows were cut, and how many bytes of them were left is not known")
    return _single(sum(sizes) / elapsed_s)


def utilization(steps: TrainingSteps, flops: Callable[[TrainingStep], float], roof_flops_per_s: float) -> Readings:
    """Return the FLOP rate of the steady steps relative to *roof_flops_per_s*."""
    if not steps.steady:
        return steps.unsteady()
    return _single(math.fsum(map(flops, steps.steady)) / steps.elapsed_s() / roof_flops_per_s)


def wall_parts(
    steps: TrainingSteps, *, validation_s: float, batches_s: float, saving_s: float, wall_s: float
) -> dict[str, float]:
    """Split the wall time into parts, in seconds; "other" is the remainder."""
    parts = {
        "first step": steps.first.elapsed_s,
        "warm-up": math.fsum(step.elapsed_s for step in steps.warm_up),
        "steady": steps.elapsed_s(),
        "validation": validation_s,
        "batches": batches_s,
        "saving": saving_s,
    }
    return parts | {"other": wall_s - math.fsum(parts.values())}


def wall_note(parts: dict[str, float]) -> str | None:
    """Return a note if too much wall time is unaccounted for, else None."""
    wall_s = math.fsum(parts.values())
    share = parts["other"] / wall_s
    if abs(share) <= _UNACCOUNTED:
        return None
    return f"wall time: {format_percent(share)} of {format_value(wall_s, 's')} is in none of its parts"


def step_series(steps: TrainingSteps) -> dict[str, Series]:
    """Return every quantity of a step as a series over iterations."""
    quantities: dict[str, tuple[str, list[float | None]]] = {
        "train_loss": ("nat/token", [step.train_loss for step in steps.all]),
        "trainer_loss": ("nat/token", [step.trainer_loss for step in steps.all]),
        "learning_rate": ("1", [step.learning_rate for step in steps.all]),
        "step_s": ("s", [step.elapsed_s for step in steps.all]),
        "real_tokens": ("token", [step.real_tokens for step in steps.all]),
        "loss_tokens": ("token", [step.loss_tokens for step in steps.all]),
        "padded_tokens": ("token", [step.padded_tokens for step in steps.all]),
        "rows": ("row", [len(step.lengths) for step in steps.all]),
        "text_bytes": ("byte", [step.text_bytes for step in steps.all]),
        "active_bytes": ("byte", [step.active_bytes for step in steps.all]),
        "footprint_bytes": ("byte", [step.footprint_bytes for step in steps.all]),
    }
    iterations = tuple(float(number) for number in range(1, len(steps.all) + 1))
    return {
        name: Series(
            unit=unit, x_unit="iteration", x=iterations, y=tuple(float(value) for value in values if value is not None)
        )
        for name, (unit, values) in quantities.items()
        if None not in values
    }


def _single(value: float) -> Readings:
    return Readings(values=(value,))
