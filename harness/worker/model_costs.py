"""What a model must do and hold, in closed form: FLOP of a training step, bytes of a decoded token, memory.

Pure: numbers of the architecture in, numbers of work out. Nothing is measured here. The formulas, worked
by hand, and what they leave out stand in docs/roofline.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FLOAT32_BYTES = 4
# FLOP a token that training a parameter adds: one of an adapter takes 2 forward and 4 backward; of one that
# is trained in place, all but the 2 of its own gradient are counted already.
FLOPS_OF_ADAPTER, FLOPS_IN_PLACE = 6, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a decoder that decide what a token costs. Parameters are counted before quantisation.

    Matrix parameters are those a token is multiplied with: no bias, no norm, no table that is looked up.
    """

    layers: int
    block_parameters: int  # matrix parameters of one block
    head_parameters: int  # matrix parameters of the output projection; the embedding itself where they are tied
    attention_width: int  # query heads * head size
    kv_width: int  # key-value heads * head size
    vocabulary: int
    hidden: int
    stored_bytes: int  # all parameters as they lie in memory
    weight_bytes: int  # of these, what a decoded token reads: no table of which it looks up a row
    kv_bytes_per_element: int


def decode_bytes(shape: ModelShape, *, depth: int) -> float:
    """Bytes that decoding one token reads behind *depth* tokens of context: the weights, their keys and values."""
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
    """Model FLOP of one iteration on rows of *lengths* tokens, padding left out.

    A matrix parameter costs 2 FLOP a token on the way forward, and 2 more for the gradient of its input
    where something below is trained: in the head and in the *adapted_layers* last blocks. A frozen one's
    own gradient is never formed; what a trained one adds is *flops_of_trainable*. Attention multiplies every
    query with half of the keys and of the values, as it is causal: 2 n^2 width FLOP forward, twice that
    backward. What is computed twice (gradient checkpointing) counts once.

    Source: Chowdhery et al. (2022), arXiv:2204.02311, appendix B, which counts the whole square of the
    attention; Hu et al. (2021), arXiv:2106.09685, section 4.1, for what is frozen.
    """
    forward = shape.layers * shape.block_parameters + shape.head_parameters
    backward = adapted_layers * shape.block_parameters + shape.head_parameters
    by_token = 2 * (forward + backward) + flops_of_trainable * trainable_parameters
    by_pair = 2 * shape.attention_width * (shape.layers + 2 * adapted_layers)
    return float(by_token * sum(lengths) + by_pair * sum(length**2 for length in lengths))


def training_memory(shape: ModelShape, *, trainable_parameters: int, copies: int, rows: int, tokens: int) -> int:
    """Bytes that training on batches of *rows* by *tokens* needs at least; the activations come on top.

    The weights as they lie in memory; for each trained parameter *copies* float32 numbers (the parameter
    itself where it is an adapter's, its gradient, what is accumulated of it, the optimizer's moments); the
    logits of the batch in float32 with their gradient.
    """
    trained = copies * _FLOAT32_BYTES * trainable_parameters
    logits = 2 * _FLOAT32_BYTES * rows * tokens * shape.vocabulary
    return shape.stored_bytes + trained + logits
