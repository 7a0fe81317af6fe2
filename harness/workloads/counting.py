"""Counts a model's parameters, and an adapter's, from the published sizes. Allocates nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import mlxlm
from harness.errors import BadConfig, HarnessError
from harness.modeldir import read_config
from harness.plans import AdapterConfig, ModelConfig


def count_all(models: Sequence[ModelConfig], adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count every model by its name; in place of one that cannot be counted so, its `problem`."""
    counted: dict[str, Any] = {}
    for model in models:
        try:
            counted[model.name] = count(model, adapter)
        except HarnessError as error:
            counted[model.name] = {"problem": str(error)}
    return counted


def count(model: ModelConfig, adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count all parameters, and with *adapter* the trainable ones and what they sit in.

    Source of the closed form r (d_in + d_out): Hu et al. (2021), arXiv:2106.09685, section 4.
    """
    config = read_config(Path(model.directory)) if model.directory else model.config
    if not config:
        raise BadConfig(model.name, ["its sizes are not in the registry; fetch it, then give path:DIR"])
    built = mlxlm.load_lazily(Path(model.directory)) if model.directory else mlxlm.build(config)
    facts: dict[str, Any] = {"model_type": config["model_type"], "total_parameters": mlxlm.total_parameters(built)}
    if adapter is not None:
        attached = mlxlm.attach_adapter(built, adapter, config["model_type"])
        facts |= {
            "trainable_parameters": attached.trainable_parameters,
            "adapter": attached.facts(),
            "note": attached.note,
        }
    return facts
