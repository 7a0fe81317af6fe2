"""Building and loading models."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model, load_tokenizer

from harness.errors import BadWeights
from harness.inputs.model_dir import DRAWN, read_config, read_json
from harness.paths import without_home
from harness.worker.mlxlm.parameter_counts import is_packed
from harness.worker.mlxlm.quantize import packed_matrix, quantize_as_configured
from harness.worker.mlxlm.random_weights import draw_weights

_MESSAGE = 300  # characters shown of an mlx-lm error, which may name every parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model in memory, evaluated, with its tokenizer."""

    model: Any  # mlx.nn.Module
    tokenizer: Any  # mlx_lm's TokenizerWrapper
    model_type: str
    dtype: str


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the parameters that mlx-lm builds from *config*.

    Nothing is allocated: the arrays are never evaluated.
    """
    return {name: tuple(array.shape) for name, array in tree_flatten(build(config).parameters())}


def build(config: Mapping[str, Any]) -> Any:
    """Build the architecture that *config* names, lazily: an array takes memory only once it is evaluated.

    The result equals a loaded model: `sanitize` drops a tied output projection, which some architectures do only when
    they see the weights. Layers that *config* quantizes are quantized.
    """
    architecture = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = architecture.Model(architecture.ModelArgs.from_dict(dict(config)))
    if config.get("tie_word_embeddings") and "lm_head" in model:
        model.sanitize({})
    return quantize_as_configured(model, config)


def load(directory: Path, chat_template: str | None) -> Loaded:
    """Load a model directory; every parameter is in memory on return.

    On the CPU everything is made float32: half-precision products do not use the BLAS there.
    A tokenizer without a chat template gets *chat_template*.
    """
    config = read_config(directory)
    if (directory / DRAWN).is_file():
        model = _drawn(config, read_json(directory / DRAWN)["seed"])
    else:
        model = load_model(directory)[0]
    tokenizer = load_tokenizer(directory, eos_token_ids=_ends_of_text(directory, config))
    if tokenizer.eos_token_id is not None:  # not every mlx-lm adds the tokenizer's own token to the config's
        tokenizer.eos_token_ids.add(tokenizer.eos_token_id)
    if _on_cpu():
        model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    model.eval()
    if chat_template is not None and not getattr(tokenizer, "chat_template", None):
        tokenizer.chat_template = chat_template
    return Loaded(model=model, tokenizer=tokenizer, model_type=config["model_type"], dtype=_dtype(model))


def _ends_of_text(directory: Path, config: Mapping[str, Any]) -> int | list[int] | None:
    """Return the tokens that end a text, from generation_config.json (unread by older mlx-lm) or the config."""
    generation = directory / "generation_config.json"
    stated = read_json(generation).get("eos_token_id") if generation.is_file() else None
    return stated or config.get("eos_token_id")


def load_lazily(directory: Path) -> Any:
    """Return the model that `load` would return, with nothing in memory yet.

    Raises:
        BadWeights: if the weights do not belong to the architecture that config.json names.
    """
    config = read_config(directory)
    try:
        if (directory / DRAWN).is_file():
            model = build(config)
            model.set_dtype(_drawn_dtype())
            return model
        return load_model(directory, lazy=True)[0]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = (
            f"{without_home(str(directory))}: config.json and weights do not make a {config['model_type']!r} model"
        )
        raise BadWeights(f"{problem} that mlx-lm knows: {_shortened(f'{type(error).__name__}: {error}')}") from error


def _drawn(config: Mapping[str, Any], seed: int) -> Any:
    """Build a full-size model with random weights; only one matrix at a time is in memory unquantized."""
    model = build(config)
    packed = {name: module for name, module in model.named_modules() if is_packed(module)}
    shapes = parameter_shapes({name: value for name, value in config.items() if name != "quantization"})
    weights: list[tuple[str, Any]] = []
    for name, array in draw_weights(shapes, seed, _drawn_dtype()):
        owner, _, part = name.rpartition(".")
        if part == "weight" and owner in packed:
            weights += [
                (f"{owner}.{part_name}", values) for part_name, values in packed_matrix(array, packed[owner]).items()
            ]
        else:
            weights.append((name, array))
    model.load_weights(weights)
    return model


def _drawn_dtype() -> Any:
    return mx.float32 if _on_cpu() else mx.bfloat16


def _on_cpu() -> bool:
    return bool(mx.default_device() == mx.cpu)


def _dtype(model: Any) -> str:
    """Return the type of the largest floating-point array."""
    arrays = [array for _, array in tree_flatten(model.parameters()) if mx.issubdtype(array.dtype, mx.floating)]
    return str(max(arrays, key=lambda array: array.size).dtype).removeprefix("mlx.core.")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE else f"{line[:_MESSAGE]} ..."
