"""Load a model and answer prompts of five kinds: how soon, how fast, in how much memory."""

import math

import pytest

pytestmark = pytest.mark.inference


def test_speed(bench, benchmark):
    benchmark.pedantic(bench.sample, rounds=bench.repeats, iterations=1)

    for sample in bench.samples:
        output_tokens = sample.key.settings["output_tokens"]
        lengths = {output.output_tokens for output in sample.outputs}
        assert lengths == {output_tokens}, "answers of other lengths: their times do not compare"
        waited, answered, rates, per_token, intervals = (
            sample.readings[name].values for name in ("ttft_s", "response_s", "decode_tokens_per_s", "tpot_s", "itl_s")
        )
        assert all(0 < ttft_s < response_s for ttft_s, response_s in zip(waited, answered, strict=True)), (
            "time ran backwards"
        )
        assert len(intervals) == len(sample.outputs) * (output_tokens - 1), (
            "an answer has an interval after each token but one"
        )
        starts = range(0, len(intervals), output_tokens - 1)
        for rate, mean_s, start in zip(rates, per_token, starts, strict=True):
            spent_s = sum(intervals[start : start + output_tokens - 1])
            assert math.isclose(rate * mean_s, 1, rel_tol=1e-9), "rate and time of a token contradict each other"
            assert math.isclose(rate * spent_s, output_tokens - 1, rel_tol=1e-9), (
                "the intervals do not add up to the answer"
            )
