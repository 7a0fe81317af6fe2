"""Training workload: train an adapter with mlx-lm's trainer, measure it and keep its adapters.

The trainer's own speed figures are not used: its rates count loss targets, and its windows include
validation. `trainer_watcher` times the steps, `steps` computes the rates from them.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.results.records import Artifact, Readings, Sample
from harness.worker import mlxlm
from harness.worker.workloads import memory_leak, steps
from harness.worker.workloads.adapter_files import keep_adapters
from harness.worker.workloads.context import Context
from harness.worker.workloads.steps import TrainingSteps
from harness.worker.workloads.trainer_watcher import Watcher
from harness.worker.workloads.training_setup import TrainingSetup, set_up
from harness.worker.workloads.validation import Validation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """Result of a training."""

    steps: TrainingSteps
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
    setup = set_up(context)
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


def _train(setup: TrainingSetup, work_dir: Path) -> _Trained:
    """Validate, train and save in *work_dir*; keep the adapters that the session asked for."""
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
    taken = TrainingSteps(all=tuple(watcher.steps), warmup_iters=plan.warmup_iters)
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
        artifacts=keep_adapters(work_dir, context.job.adapter_dir),
    )


def _time_training(setup: TrainingSetup, watcher: Watcher, adapter_file: Path) -> float:
    """Return the seconds from the trainer's start to its end. After the last step the trainer saves."""
    stopwatch = setup.context.stopwatch
    rows = mlxlm.TrainerRows(setup.dataset.splits["train"], [(row.tokens, row.start) for row in setup.rows])
    with setup.context.memory.phase("train"):
        stopwatch.wait()
        start_ns = stopwatch.now_ns()
        mlxlm.train(setup.loaded.model, rows, len(setup.validation_rows), setup.plan, adapter_file, watcher)
        stopwatch.wait()
        end_ns = stopwatch.now_ns()
    watcher.saving_s += (end_ns - watcher.idle_ns) / 1e9
    return (end_ns - start_ns) / 1e9


def _readings(setup: TrainingSetup, trained: _Trained) -> dict[str, Readings]:
    """Return all readings of a training but the utilization and those that every suite has."""
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
        "memory_growth_bytes_per_step": memory_leak.memory_growth(trained.steps),
    }


def _notes(setup: TrainingSetup, trained: _Trained) -> Iterator[str]:
    """Yield the notes that a reader of the numbers should know."""
    plan = setup.plan
    if setup.adapter.note:
        yield setup.adapter.note
    yield from setup.data_notes
    if lost := plan.iters % plan.grad_accumulation_steps:
        takes = f"it takes {plan.grad_accumulation_steps}, and their gradients are lost"
        yield f"no update of the last {lost} of {plan.iters} iterations: {takes}"
    if note := steps.wall_note(trained.wall_parts):
        yield note
    yield from memory_leak.leak_notes(trained.steps)


def _doubts(mfu: Readings) -> Iterator[str]:
    """Yield reasons why the rates cannot be true."""
    for value in mfu.values:
        if value > 1:
            yield f"mfu of {value:.2f}: more FLOP than this machine can do; the clock or the count is wrong"
