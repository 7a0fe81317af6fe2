"""Setup of a training: the model with a fresh adapter, the tokenized rows, and the costs that follow from both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.inputs.datasets import Dataset, check_size, read_dataset
from harness.inputs.plans import AdapterKind, TrainingPlan
from harness.results.records import Readings
from harness.worker import mlxlm, model_costs
from harness.worker.workloads import preflight_facts, steps
from harness.worker.workloads.adapter_check import check_effect
from harness.worker.workloads.context import Context
from harness.worker.workloads.resource_usage import UNKNOWN_SHAPE
from harness.worker.workloads.rows import TokenRow, statistics, tokenize_rows
from harness.worker.workloads.steps import TrainingStep, TrainingSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSetup:
    """A model with a fresh adapter, and the rows to train it on."""

    context: Context
    plan: TrainingPlan
    dataset: Dataset
    loaded: mlxlm.Loaded
    shape: model_costs.ModelShape | None  # before the adapter
    total_parameters: int
    adapter: mlxlm.AttachedAdapter
    rows: Sequence[TokenRow]  # to train on
    validation_rows: Sequence[TokenRow]
    data_notes: Sequence[str]

    @property
    def in_place(self) -> bool:
        """True if the model's own matrices are trained, not an adapter beside them."""
        return self.adapter.config.kind is AdapterKind.FULL

    def data(self) -> dict[str, Any]:
        """Return token statistics of each split."""
        splits = {"train": self.rows, "valid": self.validation_rows}
        return {split: statistics(rows, self.plan.max_seq_length) for split, rows in splits.items()}

    def mfu(self, taken: TrainingSteps) -> Readings:
        """Return the model FLOP utilization of the steady steps, relative to the machine's roof."""
        if (shape := self.shape) is None:
            return UNKNOWN_SHAPE

        def flops(step: TrainingStep) -> float:
            return model_costs.training_flops(
                shape,
                lengths=step.lengths,
                adapted_layers=self.adapter.layers,
                trainable_parameters=self.adapter.trainable_parameters,
                flops_of_trainable=model_costs.FLOPS_IN_PLACE if self.in_place else model_costs.FLOPS_OF_ADAPTER,
            )

        return steps.utilization(taken, flops, self.context.roof(self.loaded).gemm_flops_per_s)

    def estimated_peak_bytes(self) -> Readings:
        """Return a lower bound of the memory for the longest batch."""
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


def set_up(context: Context) -> TrainingSetup:
    """Load the model, measure the machine, attach the adapter and tokenize the rows."""
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
    with check_effect(loaded, context.doubts, doubt_about):
        adapter = mlxlm.attach_adapter(loaded.model, context.adapter, loaded.model_type)
    splits = {
        split: tokenize_rows(loaded.tokenizer, rows, form=dataset.form, mask_prompt=plan.mask_prompt, split=split)
        for split, rows in dataset.splits.items()
    }
    read = {
        split: list(zip(dataset.numbers[split], dataset.splits[split], rows, strict=True))
        for split, rows in splits.items()
    }
    notes = preflight_facts.check(loaded.tokenizer, read, plan, positions=mlxlm.positions(loaded.model))
    return TrainingSetup(
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
