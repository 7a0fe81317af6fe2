"""Load a model and answer prompts of five kinds: how soon, how fast, in how much memory."""

import pytest

pytestmark = pytest.mark.inference


def test_speed(bench, benchmark):
    benchmark.pedantic(bench.sample, rounds=bench.repeats, iterations=1)

    for sample in bench.samples:
        wanted = sample.key.settings["output_tokens"]
        lengths = {output.output_tokens for output in sample.outputs}
        assert lengths == {wanted}, "answers of other lengths: their times do not compare"
        waited, answered = (sample.readings[name].values for name in ("ttft_s", "response_s"))
        assert all(0 < first < last for first, last in zip(waited, answered, strict=True)), "time ran backwards"
