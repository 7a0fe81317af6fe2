"""Trains an adapter with mlx-lm's trainer: what is set up, in what order it is measured, what is kept.

The trainer's own figures are not used for speed: its rates count loss targets, its windows hold
validation. `watching` times its steps, `steps` reads the rates off them.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.inputs.datasets import Dataset, check_size, read_dataset
from harness.inputs.plans import TrainingPlan
from harness.results.records import Artifact, Readings, Sample
from harness.worker import mlxlm, model_costs
from harness.worker.workloads import preflight_facts, steps
from harness.worker.workloads.adapter_check import watched
from harness.worker.workloads.adapter_files import keep
from harness.worker.workloads.context import Context
from harness.worker.workloads.resource_usage import UNKNOWN_SHAPE
from harness.worker.workloads.rows import Row, statistics, tokenised
from harness.worker.workloads.steps import Step, Steps
from harness.worker.workloads.trainer_watcher import Watcher
from harness.worker.workloads.validation import Validation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    """A model with a fresh adapter, and the rows to train it on."""

    context: Context
    plan: TrainingPlan
    dataset: Dataset
    loaded: mlxlm.Loaded
    shape: model_costs.ModelShape | None  # before the adapter
    total_parameters: int
    adapter: mlxlm.AttachedAdapter
    rows: Sequence[Row]  # to train on
    validation_rows: Sequence[Row]
    data_notes: Sequence[str]

    @property
    def in_place(self) -> bool:
        """Whether the model's own matrices are trained, not an adapter beside them."""
        return self.adapter.config.kind == "full"

    def data(self) -> dict[str, Any]:
        """What the rows are to this model, split by split."""
        splits = {"train": self.rows, "valid": self.validation_rows}
        return {split: statistics(rows, self.plan.max_seq_length) for split, rows in splits.items()}

    def mfu(self, taken: Steps) -> Readings:
        """Model FLOP of the steady steps over their time, as a share of what the machine can do."""
        if (shape := self.shape) is None:
            return UNKNOWN_SHAPE

        def flops(step: Step) -> float:
            return model_costs.training_flops(
                shape,
                lengths=step.lengths,
                adapted_layers=self.adapter.layers,
                trainable_parameters=self.adapter.trainable_parameters,
                flops_of_trainable=model_costs.FLOPS_IN_PLACE if self.in_place else model_costs.FLOPS_OF_ADAPTER,
            )

        return steps.utilisation(taken, flops, self.context.roof(self.loaded).gemm_flops_per_s)

    def estimated_peak_bytes(self) -> Readings:
        """Memory that the longest batch needs at least."""
        if self.shape is None:
            return UNKNOWN_SHAPE
        gradients = 2 if self.plan.grad_accumulation_steps > 1 else 1
        estimate = model_costs.training_memory(
            self.shape,
            trainable_parameters=self.adapter.trainable_parameters,
            copies=gradients + mlxlm.moments(self.plan) + (0 if self.in_place else 1),
            rows=self.plan.batch_size,
            tokens=mlxlm.padded_length(max(len(row.tokens) for row in self.rows), self.plan.max_seq_length),
        )
        return Readings(values=(float(estimate),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """What came of a training."""

    steps: Steps
    validation: Validation
    wall_parts: dict[str, float]
    wall_s: float
    adapter_bytes: int
    artifacts: tuple[Artifact, ...]


def measure(context: Context) -> Sample:
    """Train one adapter as the profile says.

    Raises:
        Diverged: if the loss stops being a number.
        BadConfig: if the adapter does not fit the model, the plan the trainer, or the rows do not fill a batch.
    """
    setup = _set_up(context)
    with tempfile.TemporaryDirectory() as scratch:
        trained = _train(setup, Path(scratch))
    mfu = setup.mfu(trained.steps)
    context.doubts.extend(_doubts(mfu))
    return Sample(
        key=context.key(
            setup.loaded,
            adapter=setup.adapter.facts(),
            dataset=setup.dataset.facts(),
            settings=setup.plan.facts(),
        ),
        readings=_readings(setup, trained) | context.readings() | {"mfu": mfu},
        series=steps.step_series(trained.steps) | trained.validation.series(),
        artifacts=trained.artifacts,
        notes=tuple(_notes(setup, trained)),
        data=setup.data(),
    )


def _set_up(context: Context) -> _Setup:
    """Load the model, measure the machine, attach the adapter and tokenise the rows."""
    plan = context.profile.training
    mlxlm.check_trainer(plan)
    dataset = read_dataset(plan.dataset, plan.split_rows)
    check_size(dataset, plan.batch_size)
    with context.memory.phase("load"):
        loaded = context.load()
    context.roof(loaded)
    shape, total = mlxlm.shape_of(loaded.model), mlxlm.total_parameters(loaded.model)
    mlxlm.seed_everything(plan.seed)
    doubt_about = mlxlm.doubt_about_fresh if context.adapter.resume is None else mlxlm.doubt_about_trained
    with watched(loaded, context.doubts, doubt_about):
        adapter = mlxlm.attach_adapter(loaded.model, context.adapter, loaded.model_type)
    splits = {
        split: tokenised(loaded.tokenizer, rows, form=dataset.form, mask_prompt=plan.mask_prompt, split=split)
        for split, rows in dataset.splits.items()
    }
    read = {
        split: list(zip(dataset.numbers[split], dataset.splits[split], rows, strict=True))
        for split, rows in splits.items()
    }
    notes = preflight_facts.check(loaded.tokenizer, read, plan, positions=mlxlm.positions(loaded.model))
    return _Setup(
        context=context,
        plan=plan,
        dataset=dataset,
        loaded=loaded,
        shape=shape,
        total_parameters=total,
        adapter=adapter,
        rows=splits["train"],
        validation_rows=splits["valid"],
        data_notes=notes,
    )


def _train(setup: _Setup, work_dir: Path) -> _Trained:
    """Validate, train and save, in *work_dir*; keep what the session wants."""
    context, plan, loaded = setup.context, setup.plan, setup.loaded
    validation = Validation(
        context=context,
        loaded=loaded,
        adapter=setup.adapter,
        rows=setup.validation_rows,
        best_dir=work_dir / "best",
    )
    watcher = Watcher(
        context=context,
        plan=plan,
        rows=setup.rows,
        checkpoints=work_dir / "checkpoints",
        validation=validation,
    )
    validation.score(0)
    validation.keep_best()
    wall_s = _time_training(setup, watcher, work_dir / "trainer.safetensors")
    taken = Steps(all=tuple(watcher.steps), warmup_iters=plan.warmup_iters)
    files = mlxlm.save_adapter(loaded.model, setup.adapter, work_dir / "final")
    return _Trained(
        steps=taken,
        validation=validation,
        wall_parts=steps.wall_parts(
            taken,
            validation_s=watcher.validation_s,
            batches_s=watcher.batches_s,
            saving_s=watcher.saving_s,
            wall_s=wall_s,
        ),
        wall_s=wall_s,
        adapter_bytes=files[0].stat().st_size,
        artifacts=keep(work_dir, context.job.adapter_dir),
    )


def _time_training(setup: _Setup, watcher: Watcher, adapter_file: Path) -> float:
    """Seconds from the trainer's start to its end. What follows the last step is the trainer's saving."""
    stopwatch = setup.context.stopwatch
    rows = mlxlm.Rows(setup.dataset.splits["train"], [(row.tokens, row.start) for row in setup.rows])
    with setup.context.memory.phase("train"):
        stopwatch.wait()
        start_ns = stopwatch.now_ns()
        mlxlm.train(setup.loaded.model, rows, len(setup.validation_rows), setup.plan, adapter_file, watcher)
        stopwatch.wait()
        end_ns = stopwatch.now_ns()
    watcher.saving_s += (end_ns - watcher.idle_ns) / 1e9
    return (end_ns - start_ns) / 1e9


def _readings(setup: _Setup, trained: _Trained) -> dict[str, Readings]:
    """Everything that is measured here, but for what the steps' rates are compared with."""
    first, last = trained.steps.first, trained.steps.all[-1]
    values = {
        "train_wall_s": trained.wall_s,
        "train_loss_first": first.train_loss,
        "train_loss_final": last.train_loss,
        "trainer_loss_first": first.trainer_loss,
        "trainer_loss_final": last.trainer_loss,
        "train_iterations": setup.plan.iters,
        "train_updates": setup.plan.iters // setup.plan.grad_accumulation_steps,
        "total_parameters": setup.total_parameters,
        "trainable_parameters": setup.adapter.trainable_parameters,
        "adapter_bytes": trained.adapter_bytes,
    }
    return {
        **steps.rates(trained.steps),
        **trained.validation.readings(),
        **{name: Readings(values=(float(value),)) for name, value in values.items()},
        "wall_part_s": Readings(values=tuple(trained.wall_parts.values()), labels=tuple(trained.wall_parts)),
        "estimated_peak_bytes": setup.estimated_peak_bytes(),
        "memory_growth_bytes_per_step": steps.memory_growth(trained.steps),
    }


def _notes(setup: _Setup, trained: _Trained) -> Iterator[str]:
    """What a reader of the numbers should know."""
    plan = setup.plan
    if setup.adapter.note:
        yield setup.adapter.note
    yield from setup.data_notes
    if lost := plan.iters % plan.grad_accumulation_steps:
        takes = f"it takes {plan.grad_accumulation_steps}, and their gradients are lost"
        yield f"no update of the last {lost} of {plan.iters} iterations: {takes}"
    if note := steps.wall_note(trained.wall_parts):
        yield note
    yield from steps.leaks(trained.steps)


def _doubts(mfu: Readings) -> Iterator[str]:
    """Why the rates cannot be true."""
    for value in mfu.values:
        if value > 1:
            yield f"mfu of {value:.2f}: more FLOP than this machine can do; the clock or the count is wrong"
