"""Score the test rows and answer the evaluation prompts: the bare model, and each adapter trained on it."""

import math

import pytest

pytestmark = pytest.mark.evaluation


def test_quality(bench, benchmark):
    benchmark.pedantic(bench.sample, rounds=bench.repeats, iterations=1)

    for sample in bench.samples:
        loss, perplexity = (sample.readings[name].values[0] for name in ("test_loss", "test_perplexity"))
        assert loss > 0, "a model that knows every token has seen the test rows"
        assert math.isclose(math.log(perplexity), loss, rel_tol=1e-9), "perplexity is not that of the loss"
        assert len(sample.outputs) == sample.key.settings["prompts"], "a prompt was left unanswered"
