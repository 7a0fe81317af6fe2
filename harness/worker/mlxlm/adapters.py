"""Putting adapters into models, and saving them. A full fine-tune is one too: the blocks it trains are its matrices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

from harness.errors import BadConfig
from harness.inputs.adapter_targets import resolve
from harness.inputs.config_files import ADAPTER_WEIGHTS
from harness.inputs.model_dir import write_json
from harness.inputs.plans import AdapterConfig
from harness.worker.mlxlm.adapter_check import check_tensors
from harness.worker.mlxlm.sizes import EXPERTS, is_packed, sides


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedAdapter:
    """An adapter as it really sits in a model, not as it was asked for."""

    config: AdapterConfig
    layers: int
    keys: tuple[str, ...]  # what is adapted, relative to its block
    modules: tuple[str, ...]  # the same with full names: the adapted matrices, or all that a full fine-tune trains
    trainable_parameters: int
    note: str | None  # what differs from the config

    def facts(self) -> dict[str, Any]:
        """What identifies the adapter in a record's key. A number that the kind does not have is None."""
        its = self.config
        return {
            "name": its.name,
            "kind": its.kind,
            "rank": its.rank,
            "scale": its.scale,
            "peft_alpha_equivalent": None if its.scale is None or its.rank is None else its.scale * its.rank,
            "dropout": its.dropout,
            "layers": self.layers,
            "layers_requested": its.layers,
            "keys": list(self.keys),
            "modules": list(self.modules),
            "resumed_from_sha256": its.resume_sha256,
        }


def attach_adapter(model: Any, config: AdapterConfig, model_type: str) -> AttachedAdapter:
    """Freeze *model* and put a fresh adapter into it; where it resumes one, that one. Seed `mx.random` before.

    Raises:
        BadConfig: if a key of the config matches no module, the rank is above a matrix's, the weights cannot be
            trained in full, or the adapter to resume is another one.
    """
    layers = _adapted_layers(model, config)
    model.freeze()
    if config.kind == "full":
        _unfreeze(model, layers, config)
    else:
        keys = resolve(config, model_type, _matrices(model, layers))
        linear_to_lora_layers(model, layers, _lora_parameters(config, keys), use_dora=config.kind == "dora")
    if config.resume is not None:
        _resume(model, config, Path(config.resume))
    return _attached(model, config)


def load_adapter(model: Any, config: AdapterConfig, directory: Path) -> AttachedAdapter:
    """Attach the adapter saved in *directory* by `save_adapter`, evaluated."""
    model.freeze()
    if config.kind == "full":
        _unfreeze(model, _adapted_layers(model, config), config)
    load_adapters(model, str(directory))
    mx.eval(model.parameters())
    model.eval()
    return _attached(model, config)


def save_adapter(model: Any, adapter: AttachedAdapter, directory: Path) -> list[Path]:
    """Write the trained adapter in the layout of mlx-lm; give the files."""
    directory.mkdir(parents=True, exist_ok=True)
    weights, config = directory / ADAPTER_WEIGHTS, directory / "adapter_config.json"
    mx.save_safetensors(str(weights), dict(tree_flatten(model.trainable_parameters())))
    full = adapter.config.kind == "full"
    facts = {
        "fine_tune_type": adapter.config.kind,
        "num_layers": adapter.layers,
        "lora_parameters": None if full else _lora_parameters(adapter.config, adapter.keys),
    }
    write_json(config, facts)
    return [weights, config]


def _adapted_layers(model: Any, config: AdapterConfig) -> int:
    blocks = len(model.layers)
    return min(config.layers or blocks, blocks)


def _matrices(model: Any, layers: int) -> dict[str, tuple[int, int]]:
    """The matrices of the last blocks that an adapter can sit on, by their names there, with rows and columns."""
    return {
        name: sides(module)
        for block in model.layers[-layers:]
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | nn.QuantizedLinear) or type(module).__name__ in EXPERTS
    }


def _unfreeze(model: Any, layers: int, config: AdapterConfig) -> None:
    """Let the last blocks be trained as they are: the embedding and the head stay, as in mlx-lm.

    Raises:
        BadConfig: if they are quantised.
    """
    for block in model.layers[-layers:]:
        if any(map(is_packed, block.modules())):
            problem = "kind 'full' on a quantised base: quantised weights have no gradient; use kind lora or dora"
            raise BadConfig(f"adapter {config.name}", [problem])
        block.unfreeze()


def _resume(model: Any, config: AdapterConfig, directory: Path) -> None:
    """Give the attached adapter the weights of the one in *directory*.

    Raises:
        BadConfig: if its tensors are not those of this adapter, one to one in name and shape.
    """
    file = directory / ADAPTER_WEIGHTS
    if problems := check_tensors(model, file):
        raise BadConfig(f"adapter {config.name}: {file} holds another adapter than this config describes", problems)
    model.load_weights(str(file), strict=False)


def _attached(model: Any, config: AdapterConfig) -> AttachedAdapter:
    """Read off a model which of its matrices are trained."""
    blocks = len(model.layers)
    asked = config.layers or blocks
    trained = dict(tree_flatten(model.trainable_parameters()))
    ends = (".lora_a",) if config.kind != "full" else (".weight", ".bias")
    modules = sorted({name.removesuffix(end) for name in trained for end in ends if name.endswith(end)})
    return AttachedAdapter(
        config=config,
        layers=min(asked, blocks),
        keys=tuple(sorted({_in_block(name) for name in modules})),
        modules=tuple(modules),
        trainable_parameters=sum(array.size for array in trained.values()),
        note=f"adapter {config.name}: {asked} layers asked for, the model has {blocks}" if asked > blocks else None,
    )


def _in_block(name: str) -> str:
    """What follows the number of the block in a full name: model.layers.21.self_attn.q_proj."""
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), -1)
    return ".".join(parts[number + 1 :])


def _lora_parameters(config: AdapterConfig, keys: Sequence[str]) -> dict[str, Any]:
    return {"rank": config.rank, "scale": config.scale, "dropout": config.dropout, "keys": list(keys)}
