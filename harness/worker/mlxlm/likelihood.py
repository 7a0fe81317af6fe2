"""Likelihood that a model assigns to texts."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx import nn

_PADDING = 0  # token with which mlx-lm's trainer pads rows


def padded(rows: Sequence[Sequence[int]]) -> Any:
    """Return rows as one array `(rows, longest)`, padded on the right, which a causal model does not see."""
    longest = max(map(len, rows))
    return mx.array([[*row, *[_PADDING] * (longest - len(row))] for row in rows])


def token_nll(model: Any, rows: Sequence[Sequence[int]], batch_size: int) -> list[list[float]]:
    """Return the negative log-likelihood in nats of every token after a row's first, in the order of *rows*.

    The batch size changes only the speed.
    """
    losses: list[list[float]] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        tokens = padded(batch)
        logits = model(tokens[:, :-1]).astype(mx.float32)
        nll = nn.losses.cross_entropy(logits, tokens[:, 1:])
        losses += [row_nll[: len(row) - 1] for row_nll, row in zip(nll.tolist(), batch, strict=True)]
    return losses


def padded_nll(model: Any, rows: Sequence[Sequence[int]], batch_size: int) -> list[list[float]]:
    """Return the same as `token_nll`, with one more value per row for the padding after it."""
    return token_nll(model, [[*row, _PADDING] for row in rows], batch_size)
