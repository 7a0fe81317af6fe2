import math

import mlx.core as mx
import numpy as np
import pytest

from harness.worker import mlxlm
from tests.support.likelihood import nll_by_numpy


def ragged_rows():
    generator = np.random.default_rng(3)
    return [generator.integers(0, 1024, size=length).tolist() for length in (9, 33, 2, 17, 40)]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_batch_size_does_not_change_a_row_s_likelihood(load_nano, batch_size):
    model = load_nano("tinyllama").model
    rows = ragged_rows()
    losses = mlxlm.token_nll(model, rows, batch_size)
    assert [len(loss) for loss in losses] == [len(row) - 1 for row in rows]
    for value, row in zip(losses, rows, strict=True):
        np.testing.assert_allclose(value, nll_by_numpy(model, row), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_model_that_knows_nothing_scores_the_logarithm_of_its_vocabulary(batch_size):
    losses = mlxlm.token_nll(lambda tokens: mx.zeros((*tokens.shape, 7)), [[1, 2, 3], [4, 5], [6, 0, 1, 2]], batch_size)
    assert [len(loss) for loss in losses] == [2, 1, 3]
    np.testing.assert_allclose(np.concatenate(losses), math.log(7), rtol=1e-6)


def test_the_padding_after_a_row_is_scored_last(load_nano):
    model = load_nano("tinyllama").model
    rows = ragged_rows()
    for value, row in zip(mlxlm.padded_nll(model, rows, 2), rows, strict=True):
        np.testing.assert_allclose(value, nll_by_numpy(model, [*row, 0]), rtol=1e-6)


def test_every_token_is_scored_by_the_ones_before_it():
    """A model that is sure that n + 1 follows n, by 50 over all others: it is right, or off by 50."""

    def counts_up(tokens):
        return 50 * (mx.arange(10) == (tokens + 1)[..., None]).astype(mx.float32)

    (right, wrong, right_again) = mlxlm.token_nll(counts_up, [[1, 2, 3, 4], [4, 3, 2], [7, 8]], 4)
    np.testing.assert_allclose(right, [0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(wrong, [50, 50], rtol=1e-6)
    np.testing.assert_allclose(right_again, [0], atol=1e-6)
