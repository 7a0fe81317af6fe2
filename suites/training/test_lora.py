"""Train an adapter on a model: how fast, in how much memory, to which losses."""

import pytest

pytestmark = pytest.mark.training


def test_lora(bench, benchmark):
    benchmark.pedantic(bench.sample, rounds=bench.repeats, iterations=1)

    for sample in bench.samples:
        iters = sample.key.settings["iters"]
        assert len(sample.series["train_loss"].y) == iters, "a step is missing"
        assert sample.series["val_loss"].x[0] == 0, "the untrained adapter was not validated"
        assert sample.series["val_loss"].x[-1] == iters, "the trained adapter was not validated"
        real, padded = (sum(sample.series[name].y) for name in ("real_tokens", "padded_tokens"))
        assert 0 < real <= padded, "more real tokens than there is room for"
