"""Parameter and byte counts of a built model. Nothing is evaluated, so the model may be built lazily.

Each matrix counts as the architecture builds it: GPT-2's fused `c_attn` (query, key and value) is one matrix of
3 * hidden rows by hidden columns.
"""

import math
from typing import Any

from mlx.utils import tree_flatten

EXPERTS = {"SwitchLinear", "QuantizedSwitchLinear"}  # mlx_lm.models.switch_layers


def total_parameters(model: Any) -> int:
    """Count the parameters of *model*: tied weights once, quantized ones as they were before quantization."""
    stored = sum(array.size for _, array in tree_flatten(model.parameters()))
    packed = [module for module in model.modules() if is_packed(module)]
    return int(stored + sum(_logical(module) - _stored(module) for module in packed))


def _logical(module: Any) -> int:
    rows, columns = sides(module)
    experts: int = math.prod(module.weight.shape[:-2])
    return experts * rows * columns


def _stored(module: Any) -> int:
    """Count the stored numbers of a quantized matrix: packed words, and a scale and an offset for each group."""
    return sum(module[name].size for name in ("weight", "scales", "biases") if module.get(name) is not None)


def bits_per_weight(model: Any) -> float:
    """Return the mean number of bits per parameter, scales and offsets included."""
    return 8 * stored_bytes(model) / total_parameters(model)


def sides(module: Any) -> tuple[int, int]:
    """Return rows and columns of a module's weight as they were before quantization."""
    rows, columns = module.weight.shape[-2:]  # an expert layer stores one matrix per expert
    return rows, columns * 32 // module.bits if is_packed(module) else columns  # packed into words of 32 bits


def is_packed(module: Any) -> bool:
    """Tell whether a module's weight is quantized: stored as integers with scales."""
    return "scales" in module


def stored_bytes(module: Any) -> int:
    """Return the bytes that all parameters of *module* take in memory."""
    return sum(array.nbytes for _, array in tree_flatten(module.parameters()))
