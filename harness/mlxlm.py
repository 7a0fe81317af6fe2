"""The one door to mlx-lm: loading, adapters, its trainer and its generator.

Everything that is known of mlx-lm's names and habits stands here; what a number means does not.
Read against mlx-lm 0.32.2.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import mlx.optimizers
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm import load as mlx_load
from mlx_lm.generate import generate_step
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

from harness.errors import BadConfig
from harness.meters import Allocator
from harness.modeldir import read_config, write_json
from harness.plans import AdapterConfig, TrainingPlan

PLAIN_FAMILY = "plain"  # the chat family of a model whose tokenizer has no template


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model in memory, evaluated, with its tokenizer."""

    model: Any  # mlx.nn.Module
    tokenizer: Any  # mlx_lm's TokenizerWrapper
    model_type: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedAdapter:
    """An adapter as it really sits in a model, not as it was asked for."""

    config: AdapterConfig
    layers: int
    modules: tuple[str, ...]  # full names of the adapted matrices
    trainable_parameters: int
    note: str | None  # what differs from the config

    def facts(self) -> dict[str, Any]:
        """What identifies the adapter in a record's key."""
        return {
            "name": self.config.name,
            "kind": "lora",
            "rank": self.config.rank,
            "scale": self.config.scale,
            "dropout": self.config.dropout,
            "layers": self.layers,
            "layers_requested": self.config.layers,
            "keys": sorted({name.split(".", 3)[-1] for name in self.modules}),
            "modules": len(self.modules),
        }


class TrainingWatcher(Protocol):
    """Is told what the trainer does, as it happens."""

    def batch_starts(self, rows: Sequence[int], padded_tokens: int) -> None:
        """A step on these rows begins; *padded_tokens* counts the input positions of the batch."""

    def step_ended(self, iteration: int, loss: float, learning_rate: float) -> None:
        """The step's update is evaluated; *loss* is as the trainer reports it, in nats a token."""


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name the parameters of the architecture mlx-lm builds from *config*, with their shapes.

    Nothing is allocated: the arrays are never evaluated.
    """
    return {name: tuple(array.shape) for name, array in tree_flatten(build(config).parameters())}


def build(config: Mapping[str, Any]) -> Any:
    """Build the architecture that *config* names, lazily: an array costs memory once it is evaluated."""
    architecture = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    return architecture.Model(architecture.ModelArgs.from_dict(dict(config)))


def load(directory: Path, chat_template: str | None) -> Loaded:
    """Load a model directory; when this returns, every parameter is in memory.

    On the CPU everything is made float32: half-precision products do not use the BLAS there.
    A tokenizer without a chat template gets *chat_template*.
    """
    model, tokenizer = mlx_load(str(directory))[:2]
    if mx.default_device() == mx.cpu:
        model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    model.eval()
    if chat_template is not None and not getattr(tokenizer, "chat_template", None):
        tokenizer.chat_template = chat_template
    largest = max(tree_flatten(model.parameters()), key=lambda item: item[1].size)[1]
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        model_type=read_config(directory)["model_type"],
        dtype=str(largest.dtype).removeprefix("mlx.core."),
    )


def total_parameters(model: Any) -> int:
    """Count a model's parameters, tied weights once. Not for quantised weights."""
    return sum(array.size for _, array in tree_flatten(model.parameters()))


def attach_adapter(model: Any, config: AdapterConfig, model_type: str) -> AttachedAdapter:
    """Freeze *model* and put a fresh adapter into it. Seed `mx.random` before.

    Raises:
        BadConfig: if a key of the config matches no module of the model.
    """
    blocks = len(model.layers)
    layers = min(config.layers or blocks, blocks)
    keys = config.keys_for(model_type)
    adaptable = {
        name for name, module in model.layers[-1].named_modules() if isinstance(module, nn.Linear | nn.QuantizedLinear)
    }
    unmatched = sorted(set(keys) - adaptable)
    if unmatched:
        known = ", ".join(sorted(adaptable))
        problems = [f"key {key!r} matches no matrix of a {model_type!r} block; known: {known}" for key in unmatched]
        raise BadConfig(f"adapter {config.name}", problems)
    model.freeze()
    linear_to_lora_layers(model, layers, _lora_parameters(config, keys))
    return _attached(model, config)


def load_adapter(model: Any, config: AdapterConfig, directory: Path) -> AttachedAdapter:
    """Attach the adapter saved in *directory* by `save_adapter`, evaluated."""
    load_adapters(model, str(directory))
    mx.eval(model.parameters())
    model.eval()
    return _attached(model, config)


def _attached(model: Any, config: AdapterConfig) -> AttachedAdapter:
    """Read off a model which of its matrices are adapted."""
    blocks = len(model.layers)
    asked = config.layers or blocks
    parameters = dict(tree_flatten(model.parameters()))
    modules = sorted(name.removesuffix(".lora_a") for name in parameters if name.endswith(".lora_a"))
    return AttachedAdapter(
        config=config,
        layers=min(asked, blocks),
        modules=tuple(modules),
        trainable_parameters=sum(parameters[f"{name}.lora_{side}"].size for name in modules for side in "ab"),
        note=f"adapter {config.name}: {asked} layers asked for, the model has {blocks}" if asked > blocks else None,
    )


def save_adapter(model: Any, adapter: AttachedAdapter, model_type: str, directory: Path) -> list[Path]:
    """Write the trained adapter in the layout of mlx-lm; give the files."""
    directory.mkdir(parents=True, exist_ok=True)
    weights, config = directory / "adapters.safetensors", directory / "adapter_config.json"
    mx.save_safetensors(str(weights), dict(tree_flatten(model.trainable_parameters())))
    parameters = _lora_parameters(adapter.config, adapter.config.keys_for(model_type))
    facts = {"fine_tune_type": "lora", "num_layers": adapter.layers, "lora_parameters": parameters}
    write_json(config, facts)
    return [weights, config]


def _lora_parameters(config: AdapterConfig, keys: Sequence[str]) -> dict[str, Any]:
    return {"rank": config.rank, "scale": config.scale, "dropout": config.dropout, "keys": list(keys)}


class Rows(CacheDataset):  # type: ignore[misc]
    """A split as mlx-lm's trainer wants it, that also tells which rows the trainer took."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], tokenizer: Any) -> None:
        super().__init__(ChatDataset(list(rows), tokenizer))
        self._taken: list[int] = []

    def __getitem__(self, idx: int) -> tuple[list[int], int]:
        self._taken.append(idx)
        return self.tokens(idx)

    def tokens(self, row: int) -> tuple[list[int], int]:
        """The tokens of a row, and the position from which they count."""
        item: tuple[list[int], int] = super().__getitem__(row)
        return item

    def take(self) -> list[int]:
        """Give the rows read since the last call."""
        taken, self._taken = self._taken, []
        return taken


def seed_everything(seed: int) -> None:
    """Seed both generators mlx-lm draws from: NumPy's for the batch order, MLX's for adapters and dropout."""
    np.random.seed(seed)  # noqa: NPY002 - the generator mlx-lm uses
    mx.random.seed(seed)


def train(
    model: Any, rows: Rows, validation_rows: int, plan: TrainingPlan, adapter_file: Path, watcher: TrainingWatcher
) -> None:
    """Train with mlx-lm's own loop and Adam, reporting every step to *watcher*.

    mlx-lm validates inside its loop, drawing the batch order from the same generator as training. We
    validate from the watcher instead, and draw here what it would have drawn, so that the training
    batches come in the order `mlx_lm.lora` gives them.
    """

    def batches(dataset: Rows, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for batch in trainer.iterate_batches(dataset, *args, **kwargs):
            inputs = batch[0][:, :-1]
            watcher.batch_starts(dataset.take(), inputs.size)
            yield batch

    class Callback(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            iteration = train_info["iteration"]
            if iteration in (1, plan.iters) or iteration % plan.val_every == 0:
                np.random.permutation(validation_rows // plan.batch_size)  # noqa: NPY002
            watcher.step_ended(iteration, train_info["train_loss"], train_info["learning_rate"])

    trainer.train(
        model=model,
        optimizer=mlx.optimizers.Adam(learning_rate=plan.learning_rate),
        train_dataset=rows,
        args=trainer.TrainingArgs(
            batch_size=plan.batch_size,
            iters=plan.iters,
            steps_per_report=1,
            steps_per_save=plan.iters + 1,
            max_seq_length=plan.max_seq_length,
            adapter_file=str(adapter_file),
        ),
        iterate_batches=batches,
        training_callback=Callback(),
    )


def prompt_tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """The tokens of a conversation that the model is to answer, through its chat template."""
    return _tokens(tokenizer, messages, add_generation_prompt=True)


def conversation_tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """The tokens of a finished conversation, through the model's chat template."""
    return _tokens(tokenizer, messages, add_generation_prompt=False)


def _tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool) -> list[int]:
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=add_generation_prompt)
    return list(tokenizer.encode(text, add_special_tokens=False))


def closing_tokens(tokenizer: Any) -> set[int]:
    """The ids that end an answer: the end-of-sequence tokens and every other one that is not text."""
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {*tokenizer.eos_token_ids, *special}


def token_nll(model: Any, rows: Sequence[Sequence[int]], batch_size: int) -> list[list[float]]:
    """The negative log-likelihood of every token after a row's first, in nats, in the rows' order.

    Rows are padded on the right, which a causal model does not see, so the batch size changes
    nothing but the speed.
    """
    losses: list[list[float]] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        longest = max(map(len, batch))
        padded = mx.array([[*row, *[0] * (longest - len(row))] for row in batch])
        logits = model(padded[:, :-1]).astype(mx.float32)
        nll = nn.losses.cross_entropy(logits, padded[:, 1:])
        losses += [its[: len(row) - 1] for its, row in zip(nll.tolist(), batch, strict=True)]
    return losses


def generate(model: Any, prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
    """Yield greedy tokens, each evaluated when it is yielded. Does not stop at the end of a turn."""
    for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=max_tokens):
        yield int(token)


def allocator() -> Allocator:
    """The counters of MLX's allocator."""
    return Allocator(peak=mx.get_peak_memory, cache=mx.get_cache_memory, reset_peak=mx.reset_peak_memory)


def wait_for_device() -> None:
    """Return once nothing is queued on the device."""
    mx.synchronize()
