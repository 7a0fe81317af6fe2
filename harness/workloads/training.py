"""Trains an adapter with mlx-lm's trainer and measures every step.

The trainer's own figures are not used for speed: its rates count loss targets, its windows hold
validation. Steps are timed here, from the batch in hand to the evaluated update; the first one is kept
apart. Validation runs off that clock, on all rows, with the evaluator the test set gets too.
"""

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import mlxlm
from harness.modeldir import file_sha256
from harness.plans import TrainingPlan
from harness.records import Artifact, Readings, Sample, Series
from harness.texts import read_dataset
from harness.workloads.context import Context, Diverged

_VALIDATION_BATCH = 4  # rows at a time; nothing but memory depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one update was made from. Tokens are input positions; *elapsed_s* ends with the evaluated update."""

    elapsed_s: float
    loss: float
    learning_rate: float
    rows: int
    real_tokens: int
    loss_tokens: int
    padded_tokens: int
    text_bytes: int


@dataclass(slots=True, kw_only=True)
class _Watcher:
    """Times the trainer's steps and validates between them."""

    context: Context
    plan: TrainingPlan
    lengths: Sequence[int]  # tokens of each training row
    sizes: Sequence[int]  # UTF-8 bytes of each training row's messages
    validate: "Validation"
    steps: list[Step] = field(default_factory=list)
    _rows: Sequence[int] = ()
    _padded_tokens: int = 0
    _start_ns: int = 0

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """Note what the step is made of, and the time."""
        self._rows, self._padded_tokens = rows, padded_tokens
        self._start_ns = self.context.stopwatch.now_ns()

    def step_ended(self, iteration: int, loss: float, learning_rate: float) -> None:
        """Close the step; then, off its clock, validate if it is time.

        Raises:
            Diverged: if the loss is not a finite number.
        """
        self.context.stopwatch.wait()
        elapsed_s = (self.context.stopwatch.now_ns() - self._start_ns) / 1e9
        if not math.isfinite(loss):
            raise Diverged(f"the training loss is {loss} at iteration {iteration} of {self.plan.iters}")
        width = self._padded_tokens // len(self._rows)
        real = [min(self.lengths[row], self.plan.max_seq_length) for row in self._rows]
        self.steps.append(
            Step(
                elapsed_s=elapsed_s,
                loss=loss,
                learning_rate=learning_rate,
                rows=len(self._rows),
                real_tokens=sum(min(tokens, width) for tokens in real),
                loss_tokens=sum(tokens - 1 for tokens in real),
                padded_tokens=self._padded_tokens,
                text_bytes=sum(self.sizes[row] for row in self._rows),
            )
        )
        self.context.progress(iteration, self.plan.iters, f"train loss {loss:.3f}")
        if iteration % self.plan.val_every == 0 or iteration == self.plan.iters:
            self.validate(iteration)


@dataclass(slots=True, kw_only=True)
class Validation:
    """Scores the validation rows and keeps the adapter that scored best."""

    context: Context
    loaded: mlxlm.Loaded
    adapter: mlxlm.AttachedAdapter
    rows: Sequence[Sequence[int]]
    best_dir: Path
    iterations: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def __call__(self, iteration: int) -> None:
        """Score all rows once after *iteration* updates; save the adapter if none was better.

        Raises:
            Diverged: if the loss is not a finite number.
        """
        model = self.loaded.model
        model.eval()
        with self.context.memory.phase("validate"):
            loss = mean_nll(mlxlm.token_nll(model, self.rows, _VALIDATION_BATCH))
        model.train()
        if not math.isfinite(loss):
            raise Diverged(f"the validation loss is {loss} after {iteration} updates")
        if not self.losses or loss < min(self.losses):
            mlxlm.save_adapter(model, self.adapter, self.loaded.model_type, self.best_dir)
        self.iterations.append(iteration)
        self.losses.append(loss)


def mean_nll(rows: Sequence[Sequence[float]]) -> float:
    """Token-weighted mean of negative log-likelihoods, in nats a token."""
    return math.fsum(value for row in rows for value in row) / sum(map(len, rows))


def measure(context: Context) -> Sample:
    """Train one adapter as the profile says.

    Raises:
        Diverged: if the loss stops being a number.
        BadConfig: if the adapter does not fit the model.
    """
    plan = context.profile.training
    dataset = read_dataset(plan.dataset)
    with context.memory.phase("load"):
        loaded = context.load()
    total = mlxlm.total_parameters(loaded.model)
    mlxlm.seed_everything(plan.seed)
    adapter = mlxlm.attach_adapter(loaded.model, context.adapter, loaded.model_type)
    rows = mlxlm.Rows(dataset.splits["train"], loaded.tokenizer)
    validation = mlxlm.Rows(dataset.splits["valid"], loaded.tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        work_dir = Path(scratch)
        validate = Validation(
            context=context,
            loaded=loaded,
            adapter=adapter,
            rows=[validation.tokens(row)[0][: plan.max_seq_length] for row in range(len(validation))],
            best_dir=work_dir / "best",
        )
        watcher = _Watcher(
            context=context,
            plan=plan,
            lengths=[len(rows.tokens(row)[0]) for row in range(len(rows))],
            sizes=[_text_bytes(row["messages"]) for row in dataset.splits["train"]],
            validate=validate,
        )
        validate(0)

        def train() -> None:
            mlxlm.train(loaded.model, rows, len(validation), plan, work_dir / "trainer.safetensors", watcher)

        with context.memory.phase("train"):
            wall_s = context.stopwatch.time_s(train)
        mlxlm.save_adapter(loaded.model, adapter, loaded.model_type, work_dir / "final")
        adapter_bytes = (work_dir / "final" / "adapters.safetensors").stat().st_size
        artifacts = _keep(work_dir, context.job.adapter_dir)
    truncated = sum(length > plan.max_seq_length for length in watcher.lengths)
    notes = [note for note in (adapter.note, f"{truncated} training rows were cut" if truncated else None) if note]
    readings = {
        **step_readings(watcher.steps),
        **_loss_readings(watcher.steps, validate),
        **context.memory.readings(),
        "train_wall_s": Readings(values=(wall_s,)),
        "total_parameters": Readings(values=(float(total),)),
        "trainable_parameters": Readings(values=(float(adapter.trainable_parameters),)),
        "adapter_bytes": Readings(values=(float(adapter_bytes),)),
    }
    settings = {
        "iters": plan.iters,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "max_seq_length": plan.max_seq_length,
        "seed": plan.seed,
        "optimizer": "adam",
        "mask_prompt": False,
    }
    return Sample(
        key=context.key(loaded, adapter=adapter.facts(), dataset=dataset.facts(), settings=settings),
        readings=readings,
        series=_series(watcher.steps, validate),
        artifacts=artifacts,
        notes=tuple(notes),
    )


def step_readings(steps: Sequence[Step]) -> dict[str, Readings]:
    """Rates over the steady steps, each with the tokens and the time of the same steps.

    With a single step nothing is steady, and the rates are not measured.
    """
    first, *steady = steps
    readings = {"first_step_s": Readings(values=(first.elapsed_s,))}
    rates = {
        "train_tokens_per_s": sum(step.real_tokens for step in steady),
        "train_loss_tokens_per_s": sum(step.loss_tokens for step in steady),
        "train_padded_tokens_per_s": sum(step.padded_tokens for step in steady),
        "train_steps_per_s": len(steady),
        "train_rows_per_s": sum(step.rows for step in steady),
        "train_bytes_per_s": sum(step.text_bytes for step in steady),
    }
    if not steady:
        nothing = Readings(values=(), reason="a single step, and the first one holds compilation")
        return readings | dict.fromkeys([*rates, "padding_share", "step_s"], nothing)
    elapsed_s = math.fsum(step.elapsed_s for step in steady)
    readings |= {name: Readings(values=(amount / elapsed_s,)) for name, amount in rates.items()}
    share = 1 - rates["train_tokens_per_s"] / rates["train_padded_tokens_per_s"]
    readings["padding_share"] = Readings(values=(share,))
    readings["step_s"] = Readings(values=tuple(step.elapsed_s for step in steady))
    return readings


def _loss_readings(steps: Sequence[Step], validation: Validation) -> dict[str, Readings]:
    best = min(validation.losses)
    values = {
        "train_loss_first": steps[0].loss,
        "train_loss_final": steps[-1].loss,
        "val_loss_first": validation.losses[0],
        "val_loss_best": best,
        "val_loss_best_iteration": float(validation.iterations[validation.losses.index(best)]),
        "val_loss_final": validation.losses[-1],
        "overfit_gap": validation.losses[-1] - best,
    }
    return {name: Readings(values=(value,)) for name, value in values.items()}


def _series(steps: Sequence[Step], validation: Validation) -> dict[str, Series]:
    iterations = tuple(float(n) for n in range(1, len(steps) + 1))

    def by_step(unit: str, values: Sequence[float]) -> Series:
        return Series(unit=unit, x_unit="iteration", x=iterations, y=tuple(map(float, values)))

    return {
        "train_loss": by_step("nat/token", [step.loss for step in steps]),
        "learning_rate": by_step("1", [step.learning_rate for step in steps]),
        "step_s": by_step("s", [step.elapsed_s for step in steps]),
        "real_tokens": by_step("token", [step.real_tokens for step in steps]),
        "padded_tokens": by_step("token", [step.padded_tokens for step in steps]),
        "val_loss": Series(
            unit="nat/token",
            x_unit="iteration",
            x=tuple(map(float, validation.iterations)),
            y=tuple(validation.losses),
        ),
    }


def _keep(work_dir: Path, adapter_dir: str | None) -> tuple[Artifact, ...]:
    """Move the final and the best adapter to where the session wants them; name them relative to it."""
    if adapter_dir is None:
        return ()
    kept = []
    for name in ("final", "best"):
        target = Path(adapter_dir) / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work_dir / name, target)
        for path in sorted(target.iterdir()):
            size = path.stat().st_size
            kept.append(Artifact(path=f"{name}/{path.name}", sha256=file_sha256(path), bytes=size))
    return tuple(kept)


def _text_bytes(messages: Sequence[dict[str, str]]) -> int:
    return sum(len(message["content"].encode()) for message in messages)
