"""Attaching, loading and saving adapters. A full fine-tune counts as an adapter made of the blocks it trains."""

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
from harness.inputs.plans import AdapterConfig, AdapterKind
from harness.worker.mlxlm.adapter_check import check_tensors
from harness.worker.mlxlm.parameter_counts import EXPERTS, is_packed, sides


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedAdapter:
    """Adapter as it is attached to a model, which may differ from its config."""

    config: AdapterConfig
    layers: int
    keys: tuple[str, ...]  # names of the adapted matrices, relative to their block
    modules: tuple[str, ...]  # full names of the adapted matrices, or of all that a full fine-tune trains
    trainable_parameters: int
    note: str | None  # what differs from the config

    def facts(self) -> dict[str, Any]:
        """Return the facts that identify the adapter in a record's key; None for numbers that its kind lacks."""
        config = self.config
        return {
            "name": config.name,
            "kind": config.kind,
            "rank": config.rank,
            "scale": config.scale,
            "peft_alpha_equivalent": None
            if config.scale is None or config.rank is None
            else config.scale * config.rank,
            "dropout": config.dropout,
            "layers": self.layers,
            "layers_requested": config.layers,
            "keys": list(self.keys),
            "modules": list(self.modules),
            "resumed_from_sha256": config.resume_sha256,
        }


def attach_adapter(model: Any, config: AdapterConfig, model_type: str) -> AttachedAdapter:
    """Freeze *model* and attach a fresh adapter, or the one that *config* resumes. Seed `mx.random` first.

    Raises:
        BadConfig: if a key of the config matches no module, the rank exceeds a matrix's, the weights cannot be
            trained in full, or the adapter to resume does not match.
    """
    layers = _adapted_layers(model, config)
    model.freeze()
    if config.kind is AdapterKind.FULL:
        _unfreeze(model, layers, config)
    else:
        keys = resolve(config, model_type, _matrices(model, layers))
        linear_to_lora_layers(model, layers, _lora_parameters(config, keys), use_dora=config.kind is AdapterKind.DORA)
    if config.resume is not None:
        _resume(model, config, Path(config.resume))
    return _read_attached(model, config)


def load_adapter(model: Any, config: AdapterConfig, directory: Path) -> AttachedAdapter:
    """Attach the adapter that `save_adapter` wrote to *directory*, and evaluate the model."""
    model.freeze()
    if config.kind is AdapterKind.FULL:
        _unfreeze(model, _adapted_layers(model, config), config)
    load_adapters(model, str(directory))
    mx.eval(model.parameters())
    model.eval()
    return _read_attached(model, config)


def save_adapter(model: Any, adapter: AttachedAdapter, directory: Path) -> list[Path]:
    """Write the trained adapter in the layout of mlx-lm; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    weights, config = directory / ADAPTER_WEIGHTS, directory / "adapter_config.json"
    mx.save_safetensors(str(weights), dict(tree_flatten(model.trainable_parameters())))
    full = adapter.config.kind is AdapterKind.FULL
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
    """Return rows and columns of the matrices in the last *layers* blocks that can be adapted, by name in the block."""
    return {
        name: sides(module)
        for block in model.layers[-layers:]
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | nn.QuantizedLinear) or type(module).__name__ in EXPERTS
    }


def _unfreeze(model: Any, layers: int, config: AdapterConfig) -> None:
    """Unfreeze the last *layers* blocks; embedding and head stay frozen, as in mlx-lm.

    Raises:
        BadConfig: if the blocks are quantized.
    """
    for block in model.layers[-layers:]:
        if any(map(is_packed, block.modules())):
            problem = "kind 'full' on a quantised base: quantised weights have no gradient; use kind lora or dora"
            raise BadConfig(f"adapter {config.name}", [problem])
        block.unfreeze()


def _resume(model: Any, config: AdapterConfig, directory: Path) -> None:
    """Load the weights saved in *directory* into the attached adapter.

    Raises:
        BadConfig: if the saved tensors differ from the adapter's in name or shape.
    """
    file = directory / ADAPTER_WEIGHTS
    if problems := check_tensors(model, file):
        raise BadConfig(f"adapter {config.name}: {file} holds another adapter than this config describes", problems)
    model.load_weights(str(file), strict=False)


def _read_attached(model: Any, config: AdapterConfig) -> AttachedAdapter:
    """Return the attached adapter as read from the trainable parameters of *model*."""
    blocks = len(model.layers)
    requested = config.layers or blocks
    trained = dict(tree_flatten(model.trainable_parameters()))
    ends = (".lora_a",) if config.kind is not AdapterKind.FULL else (".weight", ".bias")
    modules = sorted({name.removesuffix(end) for name in trained for end in ends if name.endswith(end)})
    return AttachedAdapter(
        config=config,
        layers=min(requested, blocks),
        keys=tuple(sorted({_in_block(name) for name in modules})),
        modules=tuple(modules),
        trainable_parameters=sum(array.size for array in trained.values()),
        note=f"adapter {config.name}: {requested} layers asked for, the model has {blocks}"
        if requested > blocks
        else None,
    )


def _in_block(name: str) -> str:
    """Return the part of a full name after the block number, as in model.layers.21.self_attn.q_proj."""
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), -1)
    return ".".join(parts[number + 1 :])


def _lora_parameters(config: AdapterConfig, keys: Sequence[str]) -> dict[str, Any]:
    return {"rank": config.rank, "scale": config.scale, "dropout": config.dropout, "keys": list(keys)}
