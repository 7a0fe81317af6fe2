"""Train an adapter on a model: how fast, in how much memory, to which losses."""

import math

import pytest

pytestmark = pytest.mark.training


def test_lora(bench, benchmark):
    benchmark.pedantic(bench.sample, rounds=bench.repeats, iterations=1)

    for sample in bench.samples:
        iters = sample.key.settings["iters"]
        series = {name: points.y for name, points in sample.series.items()}
        for name in ("train_loss", "trainer_loss", "step_s"):
            assert len(series[name]) == iters, f"{name}: a step is missing"
        steps = zip(series["loss_tokens"], series["real_tokens"], series["padded_tokens"], strict=True)
        assert all(0 < loss <= real <= padded for loss, real, padded in steps), "more tokens than there is room for"
        validated = sample.series["val_loss"].x
        assert validated[0] == 0, "the untrained adapter was not validated"
        assert validated[-1] == iters, "the trained adapter was not validated"
        (wall_s,), parts = (sample.readings[name].values for name in ("train_wall_s", "wall_part_s"))
        assert math.isclose(math.fsum(parts), wall_s, rel_tol=1e-9), "the parts of the wall time do not add up to it"
        assert min(parts) > -0.1 * wall_s, "the parts of the wall time are more than the whole"
