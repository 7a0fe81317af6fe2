from dataclasses import replace

import pytest

from harness.inputs.plans import Job, Work
from harness.inputs.prompts import read_prompts
from harness.worker import mlxlm
from harness.worker.workloads import scaling
from harness.worker.workloads.context import Context
from harness.worker.workloads.scaling import batch_rate, batch_scaling, context_scaling, filler, longest_context


@pytest.fixture
def context_for(nano, tiny_profile, stepping_stopwatch):
    """A context whose clock goes on by a second a look, with a plan of its own."""

    def build(**plan):
        profile = replace(tiny_profile, inference=replace(tiny_profile.inference, **plan))
        job = Job(work=Work.INFERENCE, ready=nano("smollm2"), profile=profile)
        return Context(job=job, device="cpu: test", progress=lambda *_: None, stopwatch=stepping_stopwatch)

    return build


def noted(monkeypatch, owner, name):
    """Every call of owner.name from now on: its arguments, the model or the context it is about left out."""
    calls = []
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: calls.append(args[1:]) or real(*args))
    return calls


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_ctx": 512, "n_positions": 1024}, 1024),
        ({"max_position_embeddings": None, "n_ctx": 512}, 512),
        ({"model_type": "mamba"}, None),
    ],
)
def test_the_longest_context_is_the_one_the_config_names(config, limit):
    assert longest_context(config) == limit


def test_the_filler_is_the_first_long_prompt_over_and_over(load_nano):
    loaded = load_nano("smollm2")
    once = list(mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": read_prompts("long")[0].text}]))
    assert list(filler(loaded, 2 * len(once) + 3)) == once + once + once[:3]
    assert list(filler(loaded, 5)) == once[:5]


def test_at_each_depth_as_many_tokens_are_read_and_then_generated(context_for, load_nano, monkeypatch):
    """A look at the start, one at each of 4 tokens: 4 read in a second, then 3 in 3 s."""
    held = noted(monkeypatch, mlxlm.ReadContext, "hold")
    asked = noted(monkeypatch, mlxlm.ReadContext, "generate")
    loaded = load_nano("smollm2")
    text = filler(loaded, 20)
    readings, notes = context_scaling(context_for(context_depths=(0, 8, 16), context_tokens=4), loaded)
    assert held == [(text[:0],), (text[:8],), (text[:16],)]
    assert asked == [(text[:4], 4), (text[8:12], 4), (text[16:20], 4)]
    assert {name: value.values for name, value in readings.items()} == {
        "context_prefill_tokens_per_s": (4.0, 4.0, 4.0),
        "context_decode_tokens_per_s": (1.0, 1.0, 1.0),
    }
    assert {reading.labels for reading in readings.values()} == {("depth 0", "depth 8", "depth 16")}
    assert notes == ()


def test_filling_the_context_is_not_timed(context_for, load_nano, monkeypatch):
    """Ten seconds pass while it is filled, and none of them counts."""
    context = context_for(context_depths=(8,), context_tokens=4)
    real = mlxlm.ReadContext.hold

    def slow(self, tokens):
        for _ in range(10):
            context.stopwatch.now_ns()
        real(self, tokens)

    monkeypatch.setattr(mlxlm.ReadContext, "hold", slow)
    readings, _ = context_scaling(context, load_nano("smollm2"))
    assert readings["context_prefill_tokens_per_s"].values == (4.0,)


@pytest.mark.parametrize(("limit", "reached"), [(16, ("depth 0", "depth 8")), (15, ("depth 0",))])
def test_a_depth_beyond_the_models_context_is_left_out_and_noted(context_for, load_nano, monkeypatch, limit, reached):
    """At depth 8, 4 tokens are read and 4 generated: 16 in all."""
    monkeypatch.setattr(scaling, "read_config", lambda _: {"n_positions": limit})
    readings, notes = context_scaling(context_for(context_depths=(0, 8), context_tokens=4), load_nano("smollm2"))
    assert {reading.labels for reading in readings.values()} == {reached}
    left_out = f"context depth 8 is left out: with 2 x 4 tokens it is beyond the model's {limit}"
    assert notes == ((left_out,) if len(reached) == 1 else ())


def test_a_model_that_tells_no_limit_reaches_every_depth(context_for, load_nano, monkeypatch):
    monkeypatch.setattr(scaling, "read_config", lambda _: {})
    readings, notes = context_scaling(context_for(context_depths=(0, 8), context_tokens=4), load_nano("smollm2"))
    assert {reading.labels for reading in readings.values()} == {("depth 0", "depth 8")}
    assert notes == ()


def test_a_model_too_short_for_every_depth_has_a_reason(context_for, load_nano, monkeypatch):
    monkeypatch.setattr(scaling, "read_config", lambda _: {"n_positions": 7})
    readings, notes = context_scaling(context_for(context_depths=(0, 8), context_tokens=4), load_nano("smollm2"))
    assert len(notes) == 2
    assert {(reading.values, reading.labels, reading.reason) for reading in readings.values()} == {
        ((), None, "; ".join(notes))
    }


def test_each_size_of_batch_is_measured_with_prompts_of_one_length(context_for, load_nano, monkeypatch):
    """A look at the start and one at each of 5 steps: after the first, 4 s for 4 tokens of each answer."""
    asked = noted(monkeypatch, mlxlm, "generate_batch")
    loaded = load_nano("smollm2")
    text = filler(loaded, 6)
    readings = batch_scaling(context_for(batch_sizes=(1, 3), context_tokens=4, output_tokens=5), loaded)
    assert (readings.labels, readings.values) == (("batch 1", "batch 3"), (1.0, 3.0))
    assert asked == [([text[:4]], 5), ([text[:4], text[1:5], text[2:6]], 5)]


def test_where_nothing_generates_in_batches_there_is_a_reason(context_for, load_nano, monkeypatch):
    def refuse(*_):
        raise mlxlm.CannotBatch("not here")
        yield

    monkeypatch.setattr(mlxlm, "generate_batch", refuse)
    readings = batch_scaling(context_for(), load_nano("smollm2"))
    assert (readings.values, readings.labels, readings.reason) == ((), None, "not here")


def test_a_batch_is_timed_once_every_answer_has_begun():
    """The second answer begins at 4 s. From there to 10 s both grow by 2 and then one by 1: 5 tokens in 6 s."""
    steps = [[(0, 7)], [(0, 7)], [(0, 7), (1, 7)], [(0, 7), (1, 7)], [(0, 7), (1, 7)], [(1, 7)]]
    assert batch_rate(steps, (1.0, 2.0, 4.0, 5.0, 7.0, 10.0)) == 5 / 6
