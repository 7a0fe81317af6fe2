"""What a built model holds: parameters, bytes, and what its tokens cost.

Nothing is evaluated, so a lazily built one will do.
"""

import math
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache

from harness.worker.model_costs import ModelShape

EXPERTS = {"SwitchLinear", "QuantizedSwitchLinear"}  # mlx_lm.models.switch_layers
_MATRICES, _TABLES = (nn.Linear, nn.QuantizedLinear), (nn.Embedding, nn.QuantizedEmbedding)


def total_parameters(model: Any) -> int:
    """Count a model's parameters, tied weights once, quantised ones as they were before."""
    stored = sum(array.size for _, array in tree_flatten(model.parameters()))
    packed = [module for module in model.modules() if is_packed(module)]
    return int(stored + sum(_logical(module) - _stored(module) for module in packed))


def _logical(module: Any) -> int:
    rows, columns = sides(module)
    experts: int = math.prod(module.weight.shape[:-2])
    return experts * rows * columns


def _stored(module: Any) -> int:
    """The numbers a packed matrix is stored in: words, and a scale and an offset for each group."""
    return sum(module[name].size for name in ("weight", "scales", "biases") if module.get(name) is not None)


def bits_per_weight(model: Any) -> float:
    """Bits that a parameter takes on average, scales and offsets included."""
    return 8 * stored_bytes(model) / total_parameters(model)


def shape_of(model: Any) -> ModelShape | None:
    """Read off a built model what its tokens cost; None where it is built too differently for that.

    Of a mixture of experts a token uses some, and which is not in the sizes: it has no shape either.

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
    experts = any(type(module).__name__ in EXPERTS for module in model.modules())
    if keys is None or query_heads is None or not heads or experts:
        return None
    _, kv_heads, _, head_size = keys.shape
    head, stored = heads[0], stored_bytes(model)
    return ModelShape(
        layers=len(model.layers),
        block_parameters=sum(math.prod(sides(matrix)) for matrix in matrices) // len(model.layers),
        head_parameters=math.prod(sides(head)),
        attention_width=query_heads * head_size,
        kv_width=kv_heads * head_size,
        vocabulary=vocabulary,
        hidden=sides(head)[1],
        stored_bytes=stored,
        weight_bytes=stored - sum(stored_bytes(table) for table in tables if table is not head),
        kv_bytes_per_element=keys.dtype.size,
    )


def _modules(model: Any, *kinds: type) -> list[Any]:
    return [module for _, module in model.named_modules() if isinstance(module, kinds)]


def _query_heads(args: Any) -> int | None:
    """The number of query heads, under the name the architecture's config gives it."""
    names = ("num_attention_heads", "n_head", "n_heads", "num_heads")
    return next((int(getattr(args, name)) for name in names if hasattr(args, name)), None)


def positions(model: Any) -> int | None:
    """How many positions a model was made for; None where its config does not say."""
    names = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
    return next((int(its) for name in names if (its := getattr(model.args, name, None))), None)


def sides(module: Any) -> tuple[int, int]:
    """Rows and columns of a module's weight as they were before it was quantised."""
    rows, columns = module.weight.shape[-2:]  # an expert layer has a matrix for each
    return rows, columns * 32 // module.bits if is_packed(module) else columns  # packed into words of 32 bits


def is_packed(module: Any) -> bool:
    """Whether a module's weight is quantised: stored as whole numbers with scales."""
    return "scales" in module


def stored_bytes(module: Any) -> int:
    """Bytes of all parameters as they lie in memory."""
    return sum(array.nbytes for _, array in tree_flatten(module.parameters()))
