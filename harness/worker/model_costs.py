"""Closed-form costs of a model: FLOP of a training step, bytes read per decoded token, memory of training.

Nothing is measured here. docs/roofline.md works the formulas by hand and lists what they leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FLOAT32_BYTES = 4
# FLOP per token that each trained parameter adds. An adapter's parameter takes 2 forward and 4 backward. For a
# parameter trained in place, everything but the 2 FLOP of its own gradient is counted already.
FLOPS_OF_ADAPTER, FLOPS_IN_PLACE = 6, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Sizes of a decoder that decide what a token costs. Parameters are counted as before quantization.

    Matrix parameters are those that a token is multiplied with: no biases, norms or lookup tables.
    """

    layers: int
    block_parameters: int  # matrix parameters of one block
    head_parameters: int  # matrix parameters of the output projection; the embedding itself where they are tied
    attention_width: int  # query heads * head size
    kv_width: int  # key-value heads * head size
    vocabulary: int
    hidden: int
    stored_bytes: int  # of all parameters, as stored in memory
    weight_bytes: int  # read per decoded token: all but the tables of which a token looks up one row
    kv_bytes_per_element: int


def decode_bytes(shape: ModelShape, *, depth: int) -> float:
    """Return the bytes read to decode one token after *depth* tokens: the weights, and the cached keys and values."""
    context = 2 * depth * shape.layers * shape.kv_width * shape.kv_bytes_per_element
    return float(shape.weight_bytes + context)


def training_flops(
    shape: ModelShape,
    *,
    lengths: Sequence[int],
    adapted_layers: int,
    trainable_parameters: int,
    flops_of_trainable: int = FLOPS_OF_ADAPTER,
) -> float:
    """Return the model FLOP of one iteration on rows of *lengths* tokens, without padding.

    A matrix parameter costs 2 FLOP per token in the forward pass, and 2 more for the gradient of its input
    where a layer below is trained: in the head and in the last *adapted_layers* blocks. The gradient of a frozen
    parameter is never computed; a trained parameter adds *flops_of_trainable*. Causal attention multiplies every
    query with half of the keys and half of the values: 2 n^2 width FLOP forward, twice that backward.
    Work that is done twice (gradient checkpointing) counts once.

    Source: Chowdhery et al. (2022), arXiv:2204.02311, appendix B, which counts the full square of the
    attention; Hu et al. (2021), arXiv:2106.09685, section 4.1, for the frozen parameters.
    """
    forward = shape.layers * shape.block_parameters + shape.head_parameters
    backward = adapted_layers * shape.block_parameters + shape.head_parameters
    by_token = 2 * (forward + backward) + flops_of_trainable * trainable_parameters
    by_pair = 2 * shape.attention_width * (shape.layers + 2 * adapted_layers)
    return float(by_token * sum(lengths) + by_pair * sum(length**2 for length in lengths))


def training_memory(shape: ModelShape, *, trainable_parameters: int, copies: int, rows: int, tokens: int) -> int:
    """Return a lower bound of the bytes for training on batches of *rows* by *tokens*, activations left out.

    Counted are the stored weights; *copies* float32 numbers per trained parameter (an adapter's parameter, its
    gradient, the accumulated gradient, the optimizer's moments); and the batch's logits with their gradient in
    float32.
    """
    trained = copies * _FLOAT32_BYTES * trainable_parameters
    logits = 2 * _FLOAT32_BYTES * rows * tokens * shape.vocabulary
    return shape.stored_bytes + trained + logits
