"""Counts a model's parameters, and an adapter's, from the published sizes. Allocates nothing."""

import math
from pathlib import Path
from typing import Any

from harness import mlxlm
from harness.errors import BadConfig
from harness.modeldir import read_config
from harness.plans import AdapterConfig, ModelConfig


def count(model: ModelConfig, adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count all parameters, and with *adapter* the trainable ones and what they sit in.

    Source of the closed form r (d_in + d_out): Hu et al. (2021), arXiv:2106.09685, section 4.
    """
    config = read_config(Path(model.directory)) if model.directory else model.config
    if not config:
        raise BadConfig(model.name, ["its sizes are not in the registry; fetch it, then give path:DIR"])
    shapes = mlxlm.parameter_shapes(config)
    total = sum(math.prod(shape) for shape in shapes.values())
    facts: dict[str, Any] = {"model_type": config["model_type"], "total_parameters": total}
    if adapter is not None:
        attached = mlxlm.attach_adapter(mlxlm.build(config), adapter, config["model_type"])
        facts |= {
            "trainable_parameters": attached.trainable_parameters,
            "adapter": attached.facts(),
            "note": attached.note,
        }
    return facts
