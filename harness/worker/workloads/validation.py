"""Scores all validation rows, off the step clock, and keeps the adapter that scored best.

Every row once, in the order of the file, whatever the batch; see docs/decisions/0003.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.inputs.plans import TrainingPlan
from harness.results.records import Readings, Series
from harness.worker import mlxlm
from harness.worker.workloads.context import Context, Diverged
from harness.worker.workloads.rows import Row

_BATCH = 4  # rows at a time; nothing but memory depends on it


@dataclass(slots=True, kw_only=True)
class Validation:
    """The losses so far, by iterations done. Of the trainer's there are none if it would refuse the rows."""

    context: Context
    loaded: mlxlm.Loaded
    adapter: mlxlm.AttachedAdapter
    rows: Sequence[Row]
    best_dir: Path
    iterations: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    trainer_losses: list[float] = field(default_factory=list)

    def score(self, iteration: int) -> None:
        """Score all rows once after *iteration* iterations.

        Raises:
            Diverged: if a loss is not a finite number.
        """
        model, plan = self.loaded.model, self.context.profile.training
        model.eval()
        with self.context.memory.phase("validate"):
            nll = mlxlm.padded_nll(model, [row.cut(plan.max_seq_length) for row in self.rows], _BATCH)
        model.train()
        loss, trainer_loss = mean_nll(_of_targets(self.rows, nll)), trainer_nll(self.rows, nll, plan)
        for name, value in (("validation loss", loss), ("trainer's validation loss", trainer_loss)):
            if value is not None and not math.isfinite(value):
                raise Diverged(f"the {name} is {value} after {iteration} iterations")
        self.iterations.append(iteration)
        self.losses.append(loss)
        self.trainer_losses += [] if trainer_loss is None else [trainer_loss]

    def keep_best(self) -> None:
        """Save the adapter if the last loss is lower than all before it."""
        *before, last = self.losses
        if not before or last < min(before):
            self.save(self.best_dir)

    def save(self, directory: Path) -> None:
        """Save the adapter as it is now."""
        mlxlm.save_adapter(self.loaded.model, self.adapter, directory)

    def readings(self) -> dict[str, Readings]:
        """The first, the best and the last loss, and the trainer's last."""
        best = min(self.losses)
        values = {
            "val_loss_first": self.losses[0],
            "val_loss_best": best,
            "val_loss_best_iteration": float(self.iterations[self.losses.index(best)]),
            "val_loss_final": self.losses[-1],
            "overfit_gap": self.losses[-1] - best,
        }
        refused = "fewer validation rows than a batch: mlx-lm's trainer refuses them"
        trainer_loss = Readings(values=tuple(self.trainer_losses[-1:]), reason=None if self.trainer_losses else refused)
        return {name: Readings(values=(value,)) for name, value in values.items()} | {
            "trainer_val_loss_final": trainer_loss
        }

    def series(self) -> dict[str, Series]:
        """Both losses, by iterations done."""
        losses = {"val_loss": self.losses, "trainer_val_loss": self.trainer_losses}
        iterations = tuple(map(float, self.iterations))
        return {
            name: Series(unit="nat/token", x_unit="iteration", x=iterations, y=tuple(its))
            for name, its in losses.items()
            if its
        }


def mean_nll(rows: Sequence[Sequence[float]]) -> float:
    """Token-weighted mean of negative log-likelihoods, in nats a token; not a number where there are none."""
    tokens = sum(map(len, rows))
    return math.fsum(value for row in rows for value in row) / tokens if tokens else math.nan


def _of_targets(rows: Sequence[Row], nll: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """The values of the targets. The last value of each row is of padding."""
    return [row.of_targets(its[:-1]) for row, its in zip(rows, nll, strict=True)]


def trainer_nll(rows: Sequence[Row], nll: Sequence[Sequence[float]], plan: TrainingPlan) -> float | None:
    """The mean as mlx-lm's trainer takes it; None if there is no whole batch. The last value of a row is of padding.

    Rows beyond the last whole batch are left out. A row that fills the longest length has no padding after it.
    """
    whole = len(rows) // plan.batch_size * plan.batch_size
    counted = [
        row.of_targets(its if len(its) < plan.max_seq_length else its[:-1])
        for row, its in zip(rows[:whole], nll, strict=False)
    ]
    return mean_nll(counted) if counted else None
