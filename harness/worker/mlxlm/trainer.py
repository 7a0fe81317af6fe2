"""mlx-lm's own training loop, watched step by step."""

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
from harness.worker.mlxlm.optimizers import optimizer, try_out

_PAD_TO = 32  # trainer.iterate_batches: a multiple of this, and one more for the last target
_NATS, _TARGETS = "_true_nats", "_true_targets"  # a leading underscore: state of the model, but no parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The two losses of a batch, in nats a token; never to be compared with each other."""

    true: float  # over the real targets
    trainer: float  # as mlx-lm prints it: it counts the padding target after a row's last token, too


class TrainingWatcher(Protocol):
    """Is told what the trainer does, as it happens."""

    def batch_wanted(self) -> None:
        """The trainer asks for the next batch."""

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """A step on these rows begins; *padded_tokens* counts the input positions of the batch."""

    def step_ended(self, iteration: int, losses: Losses, learning_rate: float) -> None:
        """The step's update is evaluated."""


class Rows(CacheDataset):  # type: ignore[misc]
    """A split as mlx-lm's trainer wants it, that also tells which rows the trainer took.

    *rows* are as they were read, *tokens* the tokens of each and the position from which they count as targets.
    mlx-lm orders batches by what it takes for a row's length: the rows are kept so that it takes the same here.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], tokens: Sequence[tuple[Sequence[int], int]]) -> None:
        super().__init__(list(rows))
        self._proc_data = [(list(its), start) for its, start in tokens]
        self._taken: list[int] = []

    def __getitem__(self, idx: int) -> tuple[list[int], int]:
        self._taken.append(idx)
        return self._proc_data[idx]

    def take(self) -> list[int]:
        """Give the rows read since the last call."""
        taken, self._taken = self._taken, []
        return taken


def padded_length(longest: int, max_seq_length: int) -> int:
    """Input positions of a row in a batch whose longest row has so many tokens, as mlx-lm pads it."""
    return min(_PAD_TO * math.ceil(longest / _PAD_TO), max_seq_length - 1)


def seed_everything(seed: int) -> None:
    """Seed both generators mlx-lm draws from: NumPy's for the batch order, MLX's for adapters and dropout."""
    np.random.seed(seed)  # noqa: NPY002 - the generator mlx-lm uses
    mx.random.seed(seed)


def check_trainer(plan: TrainingPlan) -> None:
    """Refuse a plan that this mlx-lm's trainer cannot follow, before a model is loaded for it.

    Raises:
        BadConfig: if the trainer does not accumulate gradients, or MLX lacks the optimizer or what it is asked.
    """
    try_out(plan)
    _accumulation(plan)


def _accumulation(plan: TrainingPlan) -> dict[str, int]:
    """What the trainer is told of accumulated gradients: nothing where it knows none and none are wanted."""
    if "grad_accumulation_steps" in inspect.signature(trainer.TrainingArgs).parameters:
        return {"grad_accumulation_steps": plan.grad_accumulation_steps}
    if plan.grad_accumulation_steps == 1:
        return {}
    found = f"grad_accumulation_steps = {plan.grad_accumulation_steps}: this mlx-lm's trainer accumulates no gradients"
    raise BadConfig("training", [f"{found}; give 1, or update it: pip install -U mlx-lm"])


def _no_validation() -> dict[str, Any]:
    """The validation rows of a trainer that insists on some. With `val_batches=0` it reads none of them."""
    rows = inspect.signature(trainer.train).parameters["val_dataset"]
    return {"val_dataset": ()} if rows.default is inspect.Parameter.empty else {}


def train(
    model: Any, rows: Rows, validation_rows: int, plan: TrainingPlan, adapter_file: Path, watcher: TrainingWatcher
) -> None:
    """Train with mlx-lm's own loop, reporting every step to *watcher*.

    mlx-lm validates inside its loop, drawing the batch order from the same generator as training. We
    validate from the watcher instead, and draw here what it would have drawn, so that the training
    batches come in the order `mlx_lm.lora` gives them.
    """

    def batches(dataset: Rows, *args: Any, **kwargs: Any) -> Iterator[Any]:
        source = trainer.iterate_batches(dataset, *args, **kwargs)
        while True:  # the trainer loops over the rows, and stops asking after its last iteration
            watcher.batch_wanted()
            batch = next(source)
            watcher.batch_starts(dataset.take(), batch[0][:, :-1].size)
            yield batch

    class Callback(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            iteration = train_info["iteration"]
            if iteration in (1, plan.iters) or iteration % plan.val_every == 0:
                np.random.permutation(validation_rows // plan.batch_size)  # noqa: NPY002 - as it would have drawn
            losses = Losses(true=_true_loss(model), trainer=train_info["train_loss"])
            watcher.step_ended(iteration, losses, train_info["learning_rate"])

    _leave(model, mx.array(0.0), mx.array(0))
    trainer.train(
        model=model,
        optimizer=optimizer(plan),
        train_dataset=rows,
        **_no_validation(),
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
            **_accumulation(plan),
        ),
        loss=_trainer_loss,
        iterate_batches=batches,
        training_callback=Callback(),
    )
    del model[_NATS], model[_TARGETS]


def _trainer_loss(model: Any, batch: Any, lengths: Any) -> tuple[Any, Any]:
    """mlx-lm's own loss and count of targets. What the true loss is made of is left on the model.

    Where a row does not fill the batch, mlx-lm counts one target too many: the padding after the row's
    last token (unless the row's targets begin behind it). Its loss is taken away again. Left on the model,
    as batch normalisation leaves its averages, the sums come out of a compiled step, too.
    """
    logits = []

    def kept(inputs: Any) -> Any:
        logits.append(model(inputs))
        return logits[0]

    loss, targets = trainer.default_loss(kept, batch, lengths)
    padded = mx.logical_and(lengths[:, 1:] < batch.shape[1], lengths[:, 0:1] <= lengths[:, 1:])
    place = mx.minimum(lengths[:, 1:], batch.shape[1] - 1)  # of the first padding in a row, where it has one
    before = mx.take_along_axis(logits[0], place[..., None] - 1, axis=1)
    too_much = nn.losses.cross_entropy(before, mx.take_along_axis(batch, place, axis=1)) * padded
    _leave(model, loss * targets - too_much.astype(mx.float32).sum(), targets - padded.sum())
    return loss, targets


def _leave(model: Any, nats: Any, targets: Any) -> None:
    model[_NATS], model[_TARGETS] = mx.stop_gradient(nats), mx.stop_gradient(targets)


def _true_loss(model: Any) -> float:
    """The loss of the step's batch over its real targets; not a number if it has none."""
    targets = model[_TARGETS].item()
    return float(model[_NATS].item() / targets) if targets else math.nan
