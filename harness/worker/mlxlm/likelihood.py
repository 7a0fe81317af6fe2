"""The likelihood a model gives to texts."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx import nn

_PADDING = 0  # what mlx-lm's trainer fills rows up with


def padded(rows: Sequence[Sequence[int]]) -> Any:
    """Rows as one array, filled up on the right, which a causal model does not see: `(rows, longest)`."""
    longest = max(map(len, rows))
    return mx.array([[*row, *[_PADDING] * (longest - len(row))] for row in rows])


def token_nll(model: Any, rows: Sequence[Sequence[int]], batch_size: int) -> list[list[float]]:
    """The negative log-likelihood of every token after a row's first, in nats, in the rows' order.

    The batch size changes nothing but the speed.
    """
    losses: list[list[float]] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        tokens = padded(batch)
        logits = model(tokens[:, :-1]).astype(mx.float32)
        nll = nn.losses.cross_entropy(logits, tokens[:, 1:])
        losses += [its[: len(row) - 1] for its, row in zip(nll.tolist(), batch, strict=True)]
    return losses


def padded_nll(model: Any, rows: Sequence[Sequence[int]], batch_size: int) -> list[list[float]]:
    """As `token_nll`, and last of all that of the padding which mlx-lm's trainer puts after a row."""
    return token_nll(model, [[*row, _PADDING] for row in rows], batch_size)
