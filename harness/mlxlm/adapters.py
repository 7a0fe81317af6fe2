"""Putting adapters into models, and saving them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

from harness.errors import BadConfig
from harness.modeldir import write_json
from harness.plans import AdapterConfig


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
