"""Parameter counts of models and adapters, without allocating weights: the work of the job `count`.

The registry holds the published sizes; other models are counted from their files on this machine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import BadConfig, HarnessError
from harness.inputs import hub
from harness.inputs.model_dir import read_config
from harness.inputs.plans import AdapterConfig, ModelConfig
from harness.worker import mlxlm


def count_all(models: Sequence[ModelConfig], adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count every model, by name; a model that cannot be counted gets its `problem` instead."""
    counted: dict[str, Any] = {}
    for model in models:
        try:
            counted[model.name] = count(model, adapter)
        except HarnessError as error:
            counted[model.name] = {"problem": str(error)}
    return counted


def count(model: ModelConfig, adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count all parameters and, with *adapter*, the trainable ones and the modules that hold them.

    Source of the closed form r (d_in + d_out): Hu et al. (2021), arXiv:2106.09685, section 4.
    """
    directory = _directory(model)
    config = model.config if directory is None else read_config(directory)
    if not config:
        place = "neither in the registry nor on this machine"
        raise BadConfig(model.name, [f"its sizes are {place}; get it with: tunebench models fetch {model.name}"])
    built = mlxlm.build(config) if directory is None else mlxlm.load_lazily(directory)
    facts: dict[str, Any] = {"model_type": config["model_type"], "total_parameters": mlxlm.total_parameters(built)}
    if adapter is not None:
        attached = mlxlm.attach_adapter(built, adapter, config["model_type"])
        facts |= {
            "trainable_parameters": attached.trainable_parameters,
            "adapter": attached.facts(),
            "note": attached.note,
        }
    return facts


def _directory(model: ModelConfig) -> Path | None:
    """Return the local directory of a model that is not in the registry; None if there is none."""
    if model.directory is not None:
        return Path(model.directory)
    if model.config or model.repository is None:  # finding a snapshot hashes its weights
        return None
    return hub.cached_snapshot(model.repository, model.revision)
