"""Building and loading models."""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm import load as mlx_load
from mlx_lm.models.cache import make_prompt_cache

from harness.costs import ModelShape
from harness.modeldir import read_config

_EXPERTS = {"SwitchLinear", "QuantizedSwitchLinear"}  # mlx_lm.models.switch_layers
_MATRICES, _TABLES = (nn.Linear, nn.QuantizedLinear), (nn.Embedding, nn.QuantizedEmbedding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model in memory, evaluated, with its tokenizer."""

    model: Any  # mlx.nn.Module
    tokenizer: Any  # mlx_lm's TokenizerWrapper
    model_type: str
    dtype: str


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name the parameters of the architecture mlx-lm builds from *config*, with their shapes.

    Nothing is allocated: the arrays are never evaluated.
    """
    return {name: tuple(array.shape) for name, array in tree_flatten(build(config).parameters())}


def build(config: Mapping[str, Any]) -> Any:
    """Build the architecture that *config* names, lazily: an array costs memory once it is evaluated."""
    architecture = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    return architecture.Model(architecture.ModelArgs.from_dict(dict(config)))


def load(directory: Path, chat_template: str | None) -> Loaded:
    """Load a model directory; when this returns, every parameter is in memory.

    On the CPU everything is made float32: half-precision products do not use the BLAS there.
    A tokenizer without a chat template gets *chat_template*.
    """
    model, tokenizer = mlx_load(str(directory))[:2]
    if mx.default_device() == mx.cpu:
        model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    model.eval()
    if chat_template is not None and not getattr(tokenizer, "chat_template", None):
        tokenizer.chat_template = chat_template
    largest = max(tree_flatten(model.parameters()), key=lambda item: item[1].size)[1]
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        model_type=read_config(directory)["model_type"],
        dtype=str(largest.dtype).removeprefix("mlx.core."),
    )


def total_parameters(model: Any) -> int:
    """Count a model's parameters, tied weights once. Not for quantised weights."""
    return sum(array.size for _, array in tree_flatten(model.parameters()))


def shape_of(model: Any) -> ModelShape | None:
    """Read off a built model what its tokens cost; None where it is built too differently for that.

    Of a mixture of experts a token uses some, and which is not in the sizes: it has no shape either.

    Nothing is evaluated, so a lazily built one will do.

    One token is sent through it: the logits tell the vocabulary, the cache the size of keys and values.
    Matrices of other kinds than linear layers (of state spaces) are not counted.
    """
    cache = make_prompt_cache(model)
    vocabulary = model(mx.array([[0]]), cache=cache).shape[-1]
    keys = next((its.keys for its in cache if getattr(its, "keys", None) is not None), None)
    query_heads = _query_heads(model.args)
    matrices = [module for block in model.layers for module in _modules(block, *_MATRICES)]
    tables = _modules(model, *_TABLES)
    outside = [its for its in _modules(model, *_MATRICES) if all(its is not matrix for matrix in matrices)]
    heads = [its for its in (*outside, *tables) if sides(its)[0] == vocabulary]  # a table where they are tied
    experts = any(type(module).__name__ in _EXPERTS for module in model.modules())
    if keys is None or query_heads is None or not heads or experts:
        return None
    _, kv_heads, _, head_size = keys.shape
    head, stored = heads[0], _bytes(model)
    return ModelShape(
        layers=len(model.layers),
        block_parameters=sum(math.prod(sides(matrix)) for matrix in matrices) // len(model.layers),
        head_parameters=math.prod(sides(head)),
        attention_width=query_heads * head_size,
        kv_width=kv_heads * head_size,
        vocabulary=vocabulary,
        hidden=sides(head)[1],
        stored_bytes=stored,
        weight_bytes=stored - sum(_bytes(table) for table in tables if table is not head),
        kv_bytes_per_element=keys.dtype.size,
    )


def _modules(model: Any, *kinds: type) -> list[Any]:
    return [module for _, module in model.named_modules() if isinstance(module, kinds)]


def _query_heads(args: Any) -> int | None:
    """The number of query heads, under the name the architecture's config gives it."""
    names = ("num_attention_heads", "n_head", "n_heads", "num_heads")
    return next((int(getattr(args, name)) for name in names if hasattr(args, name)), None)


def sides(module: Any) -> tuple[int, int]:
    """Rows and columns of a module's weight as they were before it was quantised."""
    rows, columns = module.weight.shape[-2:]  # an expert layer has a matrix for each
    packed = "Quantized" in type(module).__name__
    return rows, columns * 32 // module.bits if packed else columns  # packed into words of 32 bits


def _bytes(module: Any) -> int:
    return sum(array.nbytes for _, array in tree_flatten(module.parameters()))
