"""Watches mlx-lm's trainer: times its steps, reads the memory after each, and validates between them.

A step is timed from the batch in hand to the evaluated update. What the trainer does besides (asking for
batches, saving) is timed apart, and so is validation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.inputs.plans import TrainingPlan
from harness.machine.memory import resident_bytes
from harness.worker import mlxlm
from harness.worker.workloads.context import Context, Diverged
from harness.worker.workloads.rows import Row
from harness.worker.workloads.steps import Step
from harness.worker.workloads.validation import Validation


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Times the trainer's steps, reads the memory after each, and validates between them."""

    context: Context
    plan: TrainingPlan
    rows: Sequence[Row]  # to train on
    checkpoints: Path  # where adapters go that the plan wants kept
    validation: Validation
    resident: Callable[[], int | None] = resident_bytes
    steps: list[Step] = field(default_factory=list)
    batches_s: float = 0.0
    validation_s: float = 0.0
    saving_s: float = 0.0
    idle_ns: int = 0  # when the last step's work was over, validation and all
    _taken: Sequence[int] = ()
    _padded_tokens: int = 0
    _wanted_ns: int = 0
    _start_ns: int = 0

    def batch_wanted(self) -> None:
        """Note the time."""
        self._wanted_ns = self.context.stopwatch.now_ns()

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """Note what the step is made of, and the time."""
        self._taken, self._padded_tokens = rows, padded_tokens
        self._start_ns = self.context.stopwatch.now_ns()
        self.batches_s += (self._start_ns - self._wanted_ns) / 1e9

    def step_ended(self, iteration: int, losses: mlxlm.Losses, learning_rate: float) -> None:
        """Close the step; then, off its clock, validate if it is time.

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

    def _step(self, elapsed_s: float, losses: mlxlm.Losses, learning_rate: float) -> Step:
        width, longest = self._padded_tokens // len(self._taken), self.plan.max_seq_length
        rows = [self.rows[taken] for taken in self._taken]
        cut = any(len(row.tokens) > longest for row in rows)
        return Step(
            elapsed_s=elapsed_s,
            train_loss=losses.true,
            trainer_loss=losses.trainer,
            learning_rate=learning_rate,
            lengths=tuple(min(len(row.tokens), width) for row in rows),
            loss_tokens=sum(row.targets(longest) for row in rows),
            padded_tokens=self._padded_tokens,
            text_bytes=None if cut else sum(row.text_bytes for row in rows),
            active_bytes=self.context.memory.allocator.active(),
            footprint_bytes=self.resident(),
        )
