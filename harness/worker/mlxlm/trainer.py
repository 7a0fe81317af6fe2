"""Training with mlx-lm's own loop, observed step by step."""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import CacheDataset

from harness.errors import BadConfig
from harness.inputs.plans import TrainingPlan
from harness.worker.mlxlm.optimizers import optimizer, try_optimizer

_PAD_TO = 32  # trainer.iterate_batches pads to a multiple of this, plus one position for the last target
_NATS, _TARGETS = "_true_nats", "_true_targets"  # a leading underscore makes them state of the model, not parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLosses:
    """Two losses of a batch, in nats per token; they must not be compared with each other."""

    true: float  # over the real targets
    trainer: float  # as mlx-lm prints it: it counts the padding target after a row's last token, too


class TrainingWatcher(Protocol):
    """Receiver of the trainer's events, as they happen."""

    def batch_wanted(self) -> None:
        """Note that the trainer asks for the next batch."""

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """Note that a step on these rows begins; *padded_tokens*: input positions of the batch."""

    def step_ended(self, iteration: int, losses: StepLosses, learning_rate: float) -> None:
        """Note that the update of the step is evaluated."""


class TrainerRows(CacheDataset):  # type: ignore[misc]
    """Split in the form that mlx-lm's trainer takes; it records which rows the trainer read.

    *rows* are the rows as read; *tokens* holds each row's tokens and the position of its first target. mlx-lm sorts
    batches by the length of the row object, so the original rows are kept to give the same order.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], tokens: Sequence[tuple[Sequence[int], int]]) -> None:
        super().__init__(list(rows))
        self._proc_data = [(list(row_tokens), start) for row_tokens, start in tokens]
        self._taken: list[int] = []

    def __getitem__(self, idx: int) -> tuple[list[int], int]:
        self._taken.append(idx)
        return self._proc_data[idx]

    def take(self) -> list[int]:
        """Return the rows read since the last call."""
        taken, self._taken = self._taken, []
        return taken


def padded_length(longest: int, max_seq_length: int) -> int:
    """Return the input positions per row of a batch whose longest row has *longest* tokens, padded as in mlx-lm."""
    return min(_PAD_TO * math.ceil(longest / _PAD_TO), max_seq_length - 1)


def seed_everything(seed: int) -> None:
    """Seed both generators that mlx-lm uses: NumPy's for the batch order, MLX's for adapters and dropout."""
    np.random.seed(seed)  # noqa: NPY002 - the generator mlx-lm uses
    mx.random.seed(seed)


def check_trainer(plan: TrainingPlan) -> None:
    """Refuse a plan that this mlx-lm's trainer cannot run, before a model is loaded.

    Raises:
        BadConfig: if the trainer cannot accumulate gradients, or MLX lacks the optimizer or one of its options.
    """
    try_optimizer(plan)
    _accumulation_arguments(plan)


def _accumulation_arguments(plan: TrainingPlan) -> dict[str, int]:
    """Return the trainer's argument for gradient accumulation; none if neither the trainer nor *plan* uses it."""
    if "grad_accumulation_steps" in inspect.signature(trainer.TrainingArgs).parameters:
        return {"grad_accumulation_steps": plan.grad_accumulation_steps}
    if plan.grad_accumulation_steps == 1:
        return {}
    problem = (
        f"grad_accumulation_steps = {plan.grad_accumulation_steps}: this mlx-lm's trainer accumulates no gradients"
    )
    raise BadConfig("training", [f"{problem}; give 1, or update it: pip install -U mlx-lm"])


def _empty_validation_arguments() -> dict[str, Any]:
    """Return empty validation rows if the trainer requires the argument; with `val_batches=0` it reads none."""
    rows = inspect.signature(trainer.train).parameters["val_dataset"]
    return {"val_dataset": ()} if rows.default is inspect.Parameter.empty else {}


def train(
    model: Any,
    rows: TrainerRows,
    validation_rows: int,
    plan: TrainingPlan,
    adapter_file: Path,
    watcher: TrainingWatcher,
) -> None:
    """Train with mlx-lm's own loop, reporting every step to *watcher*.

    mlx-lm validates inside its loop and draws the validation order from the same generator as the training order.
    Here the watcher validates instead, and the same numbers are drawn from the generator, so that the training
    batches come in the order of `mlx_lm.lora`.
    """

    def batches(dataset: TrainerRows, *args: Any, **kwargs: Any) -> Iterator[Any]:
        source = trainer.iterate_batches(dataset, *args, **kwargs)
        while True:  # the trainer stops asking after its last iteration
            watcher.batch_wanted()
            batch = next(source)
            watcher.batch_starts(dataset.take(), batch[0][:, :-1].size)
            yield batch

    class Callback(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            iteration = train_info["iteration"]
            if iteration in (1, plan.iters) or iteration % plan.val_every == 0:
                np.random.permutation(validation_rows // plan.batch_size)  # noqa: NPY002 - as mlx-lm would have drawn
            losses = StepLosses(true=_true_loss(model), trainer=train_info["train_loss"])
            watcher.step_ended(iteration, losses, train_info["learning_rate"])

    _store_loss_sums(model, mx.array(0.0), mx.array(0))
    trainer.train(
        model=model,
        optimizer=optimizer(plan),
        train_dataset=rows,
        **_empty_validation_arguments(),
        args=trainer.TrainingArgs(
            batch_size=plan.batch_size,
            iters=plan.iters,
            val_batches=0,
            steps_per_eval=plan.iters + 1,
            steps_per_report=1,
            steps_per_save=plan.iters + 1,
            max_seq_length=plan.max_seq_length,
            adapter_file=str(adapter_file),
            grad_checkpoint=plan.grad_checkpoint,
            **_accumulation_arguments(plan),
        ),
        loss=_trainer_loss,
        iterate_batches=batches,
        training_callback=Callback(),
    )
    del model[_NATS], model[_TARGETS]


def _trainer_loss(model: Any, batch: Any, lengths: Any) -> tuple[Any, Any]:
    """Return mlx-lm's own loss and number of targets, and store the sums of the true loss on the model.

    For a row shorter than the batch, mlx-lm counts one target too many: the padding after the row's last token
    (unless the row's targets begin after it). The true loss subtracts it. Stored on the model, as batch
    normalization stores its averages, the sums also survive a compiled step.
    """
    logits = []

    def recorded(inputs: Any) -> Any:
        logits.append(model(inputs))
        return logits[0]

    loss, targets = trainer.default_loss(recorded, batch, lengths)
    padded = mx.logical_and(lengths[:, 1:] < batch.shape[1], lengths[:, 0:1] <= lengths[:, 1:])
    place = mx.minimum(lengths[:, 1:], batch.shape[1] - 1)  # of the first padding in a row, if it has any
    last_logits = mx.take_along_axis(logits[0], place[..., None] - 1, axis=1)
    excess_nats = nn.losses.cross_entropy(last_logits, mx.take_along_axis(batch, place, axis=1)) * padded
    _store_loss_sums(model, loss * targets - excess_nats.astype(mx.float32).sum(), targets - padded.sum())
    return loss, targets


def _store_loss_sums(model: Any, nats: Any, targets: Any) -> None:
    model[_NATS], model[_TARGETS] = mx.stop_gradient(nats), mx.stop_gradient(targets)


def _true_loss(model: Any) -> float:
    """Return the loss of the step's batch over its real targets; NaN if it has none."""
    targets = model[_TARGETS].item()
    return float(model[_NATS].item() / targets) if targets else math.nan
