"""Validation of a training, outside the step timing; the adapter with the lowest loss is kept.

Every row is scored once, in file order, whatever the batch size; see docs/decisions/0003.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.inputs.plans import TrainingPlan
from harness.results.records import Readings, Series
from harness.worker import mlxlm
from harness.worker.failure_status import Diverged
from harness.worker.workloads.context import Context
from harness.worker.workloads.rows import TokenRow

_BATCH = 4  # rows at a time; nothing but memory depends on it


@dataclass(slots=True, kw_only=True)
class Validation:
    """Validation losses so far, by iterations done; *trainer_losses* stays empty if the trainer refuses the rows."""

    context: Context
    loaded: mlxlm.Loaded
    adapter: mlxlm.AttachedAdapter
    rows: Sequence[TokenRow]
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
            nll = mlxlm.padded_nll(model, [row.truncated(plan.max_seq_length) for row in self.rows], _BATCH)
        model.train()
        loss, trainer_loss = mean_nll(_target_losses(self.rows, nll)), trainer_nll(self.rows, nll, plan)
        for name, value in (("validation loss", loss), ("trainer's validation loss", trainer_loss)):
            if value is not None and not math.isfinite(value):
                raise Diverged(f"the {name} is {value} after {iteration} iterations")
        self.iterations.append(iteration)
        self.losses.append(loss)
        self.trainer_losses += [] if trainer_loss is None else [trainer_loss]

    def keep_best(self) -> None:
        """Save the adapter if the last loss is lower than all before it."""
        *earlier, last = self.losses
        if not earlier or last < min(earlier):
            self.save(self.best_dir)

    def save(self, directory: Path) -> None:
        """Save the adapter as it is now."""
        mlxlm.save_adapter(self.loaded.model, self.adapter, directory)

    def readings(self) -> dict[str, Readings]:
        """Return the first, the best and the last loss, and the trainer's last."""
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
        """Return both losses as series over iterations."""
        losses = {"val_loss": self.losses, "trainer_val_loss": self.trainer_losses}
        iterations = tuple(map(float, self.iterations))
        return {
            name: Series(unit="nat/token", x_unit="iteration", x=iterations, y=tuple(values))
            for name, values in losses.items()
            if values
        }


def mean_nll(rows: Sequence[Sequence[float]]) -> float:
    """Return the token-weighted mean negative log-likelihood in nats per token; NaN without tokens."""
    tokens = sum(map(len, rows))
    return math.fsum(value for row in rows for value in row) / tokens if tokens else math.nan


def _target_losses(rows: Sequence[TokenRow], nll: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Return the losses of the targets. The last value of each row belongs to padding."""
    return [row.target_values(row_nll[:-1]) for row, row_nll in zip(rows, nll, strict=True)]


def trainer_nll(rows: Sequence[TokenRow], nll: Sequence[Sequence[float]], plan: TrainingPlan) -> float | None:
    """Return the mean as mlx-lm's trainer computes it; None without a full batch.

    Rows after the last full batch are left out. The last value of a row belongs to padding; a row of the maximum
    length has no padding after it.
    """
    full_batches = len(rows) // plan.batch_size * plan.batch_size
    counted = [
        row.target_values(row_nll if len(row_nll) < plan.max_seq_length else row_nll[:-1])
        for row, row_nll in zip(rows[:full_batches], nll, strict=False)
    ]
    return mean_nll(counted) if counted else None
