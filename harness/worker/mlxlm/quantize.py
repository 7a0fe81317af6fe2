"""Quantising models: a copy on disk, or one that is being built. The door to mlx-lm's own quantisation."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.utils import load_model, quantize_model, save_model

from harness.errors import BadConfig
from harness.inputs.model_dir import read_config, tokenizer_files, write_json
from harness.inputs.plans import Quantization
from harness.worker.mlxlm.sizes import sides

_GROUP_SIZES = {"affine": (128, 64, 32), "mxfp4": (32,), "mxfp8": (32,), "nvfp4": (16,)}  # that MLX knows, by mode


def quantise(directory: Path, target: Path, quantization: Quantization) -> None:
    """Write the model of *directory* to *target*, with its matrices quantised.

    Raises:
        BadConfig: if groups of that size do not divide a matrix, or this MLX does not know bits or mode.
    """
    config = read_config(directory)
    model = load_model(directory, lazy=True)[0]
    _check_groups(model, quantization)
    facts = asdict(quantization)
    model, config = _quantise(model, config, quantization)
    save_model(target, model, donate_model=True)
    write_json(target / "config.json", {**config, "quantization": facts, "quantization_config": facts})
    for path in tokenizer_files(directory):
        shutil.copy2(path, target)


def _check_groups(model: Any, quantization: Quantization) -> None:
    """Refuse groups that leave a matrix as it is: mlx-lm would pass over it without a word."""
    odd = {name: sides(module)[1] for name, module in model.named_modules() if hasattr(module, "to_quantized")}
    odd = {name: columns for name, columns in odd.items() if columns % quantization.group_size}
    if odd:
        fitting = [
            size
            for size in _GROUP_SIZES.get(quantization.mode, ())
            if not any(columns % size for columns in odd.values())
        ]
        name, columns = next(iter(odd.items()))
        problem = f"groups of {quantization.group_size} do not divide the {columns} columns of {name}"
        accepted = f"give group_size {' or '.join(map(str, fitting))}" if fitting else "no group size does"
        raise BadConfig("quantize", [f"{problem}; {accepted}"])


def _quantise(model: Any, config: Mapping[str, Any], its: Quantization) -> tuple[Any, dict[str, Any]]:
    try:
        return quantize_model(model, dict(config), its.group_size, its.bits, mode=its.mode)  # type: ignore[no-any-return]
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadConfig("quantize", [f"this MLX cannot: {error}"]) from error


def packed_matrix(matrix: Any, module: Any) -> dict[str, Any]:
    """The arrays in which the quantised *module* stores *matrix*, evaluated."""
    arrays = mx.quantize(matrix, group_size=module.group_size, bits=module.bits, mode=getattr(module, "mode", "affine"))
    mx.eval(arrays)
    return dict(zip(("weight", "scales", "biases"), arrays, strict=False))  # not every mode has offsets


def quantised(model: Any, config: Mapping[str, Any]) -> Any:
    """*model* as *config* has it; its arrays are as lazy as they were."""
    facts = config.get("quantization")
    if not facts:
        return model
    its = Quantization(**{name: facts[name] for name in ("bits", "group_size", "mode") if name in facts})
    _check_groups(model, its)
    plain = {name: value for name, value in config.items() if not name.startswith("quantization")}
    return _quantise(model, plain, its)[0]
