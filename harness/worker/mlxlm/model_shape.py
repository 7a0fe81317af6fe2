"""Sizes of a built model that decide what its tokens cost. The model may be built lazily: no weight is evaluated."""

import math
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.models.cache import make_prompt_cache

from harness.worker.mlxlm.parameter_counts import EXPERTS, sides, stored_bytes
from harness.worker.model_costs import ModelShape

_MATRICES, _TABLES = (nn.Linear, nn.QuantizedLinear), (nn.Embedding, nn.QuantizedEmbedding)


def shape_of(model: Any) -> ModelShape | None:
    """Return the sizes that decide what a token of *model* costs; None if they cannot be read off the model.

    One token is sent through the model: the logits give the vocabulary, the cache the size of keys and values. Only
    linear layers are counted, not the matrices of state-space layers. A mixture of experts has no shape: each token
    uses only some experts, and the sizes do not say how many.
    """
    cache = make_prompt_cache(model)
    vocabulary = model(mx.array([[0]]), cache=cache).shape[-1]
    keys = next((layer.keys for layer in cache if getattr(layer, "keys", None) is not None), None)
    query_heads = _query_heads(model.args)
    matrices = [module for block in model.layers for module in _modules(block, *_MATRICES)]
    tables = _modules(model, *_TABLES)
    outside = [module for module in _modules(model, *_MATRICES) if all(module is not matrix for matrix in matrices)]
    heads = [module for module in (*outside, *tables) if sides(module)[0] == vocabulary]  # tied: a table
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
    """Return the number of query heads, whatever the architecture's config calls it."""
    names = ("num_attention_heads", "n_head", "n_heads", "num_heads")
    return next((int(getattr(args, name)) for name in names if hasattr(args, name)), None)


def positions(model: Any) -> int | None:
    """Return the number of positions *model* was built for; None if the config does not say."""
    names = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
    return next((int(limit) for name in names if (limit := getattr(model.args, name, None))), None)
