"""Quantization of models with mlx-lm: a copy on disk, or a model that is being built."""

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
from harness.worker.mlxlm.parameter_counts import sides

_GROUP_SIZES = {"affine": (128, 64, 32), "mxfp4": (32,), "mxfp8": (32,), "nvfp4": (16,)}  # that MLX knows, by mode


def write_quantized(directory: Path, target: Path, quantization: Quantization) -> None:
    """Write the model of *directory* to *target*, with its matrices quantized.

    Raises:
        BadConfig: if the group size does not divide a matrix, or this MLX does not know the bits or the mode.
    """
    config = read_config(directory)
    model = load_model(directory, lazy=True)[0]
    _check_groups(model, quantization)
    facts = asdict(quantization)
    model, config = _quantize_model(model, config, quantization)
    save_model(target, model, donate_model=True)
    write_json(target / "config.json", {**config, "quantization": facts, "quantization_config": facts})
    for path in tokenizer_files(directory):
        shutil.copy2(path, target)


def _check_groups(model: Any, quantization: Quantization) -> None:
    """Refuse a group size that does not divide every matrix: mlx-lm would silently skip such a matrix."""
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


def _quantize_model(model: Any, config: Mapping[str, Any], quantization: Quantization) -> tuple[Any, dict[str, Any]]:
    try:
        return quantize_model(  # type: ignore[no-any-return]
            model, dict(config), quantization.group_size, quantization.bits, mode=quantization.mode
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadConfig("quantize", [f"this MLX cannot: {error}"]) from error


def packed_matrix(matrix: Any, module: Any) -> dict[str, Any]:
    """Return the evaluated arrays in which the quantized *module* stores *matrix*."""
    arrays = mx.quantize(matrix, group_size=module.group_size, bits=module.bits, mode=getattr(module, "mode", "affine"))
    mx.eval(arrays)
    return dict(zip(("weight", "scales", "biases"), arrays, strict=False))  # not every mode has offsets


def quantize_as_configured(model: Any, config: Mapping[str, Any]) -> Any:
    """Quantize *model* if *config* says so; lazy arrays stay lazy."""
    facts = config.get("quantization")
    if not facts:
        return model
    quantization = Quantization(**{name: facts[name] for name in ("bits", "group_size", "mode") if name in facts})
    _check_groups(model, quantization)
    plain = {name: value for name, value in config.items() if not name.startswith("quantization")}
    return _quantize_model(model, plain, quantization)[0]
