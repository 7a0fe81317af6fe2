"""Watcher of mlx-lm's trainer: times its steps, reads the memory after each, and validates between them.

A step is timed from the available batch to the evaluated update. Fetching batches, saving and validation are
timed separately.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.inputs.plans import TrainingPlan
from harness.machine.memory import resident_bytes
from harness.worker import mlxlm
from harness.worker.failure_status import Diverged
from harness.worker.workloads.context import Context
from harness.worker.workloads.rows import TokenRow
from harness.worker.workloads.steps import TrainingStep
from harness.worker.workloads.validation import Validation


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Measurements of a training in progress, and the callbacks that take them."""

    context: Context
    plan: TrainingPlan
    rows: Sequence[TokenRow]  # to train on
    checkpoints: Path  # directory of the checkpoints that the plan asks for
    validation: Validation
    resident: Callable[[], int | None] = resident_bytes
    steps: list[TrainingStep] = field(default_factory=list)
    batches_s: float = 0.0
    validation_s: float = 0.0
    saving_s: float = 0.0
    idle_ns: int = 0  # end of the last step's work, validation included
    _taken: Sequence[int] = ()
    _padded_tokens: int = 0
    _wanted_ns: int = 0
    _start_ns: int = 0

    def batch_wanted(self) -> None:
        """Note the time at which the trainer asks for a batch."""
        self._wanted_ns = self.context.stopwatch.now_ns()

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """Note the rows of the step and its start time."""
        self._taken, self._padded_tokens = rows, padded_tokens
        self._start_ns = self.context.stopwatch.now_ns()
        self.batches_s += (self._start_ns - self._wanted_ns) / 1e9

    def step_ended(self, iteration: int, losses: mlxlm.StepLosses, learning_rate: float) -> None:
        """Record the step; then, outside its timing, validate and save if due.

        Raises:
            Diverged: if a loss is not a finite number.
        """
        stopwatch = self.context.stopwatch
        stopwatch.wait()
        elapsed_s = (stopwatch.now_ns() - self._start_ns) / 1e9
        for value in (losses.trainer, losses.true):
            if not math.isfinite(value):
                raise Diverged(f"the training loss is {value} at iteration {iteration} of {self.plan.iters}")
        self.steps.append(self._step(elapsed_s, losses, learning_rate))
        self.context.progress(iteration, self.plan.iters, f"train loss {losses.true:.3f}")
        if iteration % self.plan.val_every == 0 or iteration == self.plan.iters:
            self.validation_s += stopwatch.time_s(lambda: self.validation.score(iteration))
            self.saving_s += stopwatch.time_s(self.validation.keep_best)
        if self.plan.checkpoint_every and iteration % self.plan.checkpoint_every == 0:
            self.saving_s += stopwatch.time_s(lambda: self.validation.save(self.checkpoints / f"{iteration:07d}"))
        self.idle_ns = stopwatch.now_ns()

    def _step(self, elapsed_s: float, losses: mlxlm.StepLosses, learning_rate: float) -> TrainingStep:
        width, longest = self._padded_tokens // len(self._taken), self.plan.max_seq_length
        rows = [self.rows[index] for index in self._taken]
        truncated = any(len(row.tokens) > longest for row in rows)
        return TrainingStep(
            elapsed_s=elapsed_s,
            train_loss=losses.true,
            trainer_loss=losses.trainer,
            learning_rate=learning_rate,
            lengths=tuple(min(len(row.tokens), width) for row in rows),
            loss_tokens=sum(row.targets(longest) for row in rows),
            padded_tokens=self._padded_tokens,
            text_bytes=None if truncated else sum(row.text_bytes for row in rows),
            active_bytes=self.context.memory.allocator.active(),
            footprint_bytes=self.resident(),
        )
