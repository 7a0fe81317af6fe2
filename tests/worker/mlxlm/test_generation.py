import copy
import importlib
import itertools

import mlx.core as mx
import pytest
from mlx.utils import tree_map
from mlx_lm.models.cache import RotatingKVCache, _BaseCache

from harness.worker.mlxlm import CannotBatch, ReadContext, generate, generate_batch, generation, logits_are_finite

TEXT = tuple(range(40, 140))
library = importlib.import_module("mlx_lm.generate")


def greedy(model, tokens, count):
    """The independent truth: the whole text anew for every token, no cache."""
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(int(mx.argmax(model(mx.array([tokens]))[0, -1])))
    return tuple(tokens[-count:])


@pytest.fixture(scope="module")
def model(load_nano):
    """Its weights are as large as those of a trained model, so that its answers depend on what it has read."""
    loaded = load_nano("smollm2").model
    loaded.update(tree_map(lambda value: value * 8 if value.ndim > 1 else value, loaded.parameters()))
    mx.eval(loaded.parameters())
    return loaded


def test_the_greedy_tokens_are_those_of_the_whole_text_anew(model):
    assert tuple(generate(model, TEXT[:9], 5)) == greedy(model, TEXT[:9], 5)
    assert len(set(greedy(model, TEXT[:9], 5))) > 1


@pytest.mark.parametrize("taken", [2, 3])
def test_the_device_is_idle_once_the_answer_is_taken_or_given_up(model, monkeypatch, taken):
    """mlx-lm queues the token after the last one; the next answer must not wait for it."""
    waited = []
    monkeypatch.setattr(generation.mx, "synchronize", waited.append)
    tokens = generate(model, TEXT[:9], 3)
    for _ in range(taken):
        next(tokens)
    assert waited == []
    tokens.close()
    assert waited == [library.generation_stream]


def test_behind_a_held_context_a_model_says_what_it_says_behind_the_whole_text(model):
    read = ReadContext(model)
    for depth in (0, 3, 20, 21, 60):  # steps longer and shorter than what was generated in between
        read.hold(TEXT[:depth])
        told = tuple(read.generate(TEXT[depth : depth + 7], 6))
        assert told == greedy(model, TEXT[: depth + 7], 6)


@pytest.fixture
def asked(monkeypatch):
    """The prompts that the model is given from now on."""
    prompts = []
    real = generation.generate

    def noted(model, prompt, *args):
        prompts.append(tuple(prompt))
        return real(model, prompt, *args)

    monkeypatch.setattr(generation, "generate", noted)
    return prompts


def test_a_context_is_read_on_and_not_read_again(model, asked):
    read = ReadContext(model)
    read.hold(TEXT[:10])
    tuple(read.generate(TEXT[10:12], 2))
    read.hold(TEXT[:15])
    assert asked == [TEXT[:10], TEXT[10:12], TEXT[10:15]]


def test_a_cache_that_may_have_forgotten_is_filled_anew(model, monkeypatch, asked):
    """A window of 16 tokens has slid over 10 + 5 + 4 of them and cannot go back to the first 10."""
    window = [RotatingKVCache(max_size=16, keep=4) for _ in model.layers]
    monkeypatch.setattr(generation, "make_prompt_cache", lambda _: copy.deepcopy(window))
    read = ReadContext(model)
    read.hold(TEXT[:10])
    tuple(read.generate(TEXT[10:15], 4))
    read.hold(TEXT[:12])
    assert asked == [TEXT[:10], TEXT[10:15], TEXT[:12]]


def test_a_batch_answers_each_prompt_as_it_would_be_alone(model):
    """All answers grow by a token a step: their prompts are equally long."""
    prompts = [TEXT[:9], TEXT[30:39], TEXT[60:69]]
    steps = list(generate_batch(model, prompts, 5))
    assert [sorted(place for place, _ in step) for step in steps] == [[0, 1, 2]] * 5
    answers = [tuple(dict(step)[place] for step in steps) for place in range(3)]
    assert answers == [greedy(model, prompt, 5) for prompt in prompts]


@pytest.mark.parametrize("steps", [1, 4])
def test_a_batch_is_closed_and_the_device_idle_once_it_is_taken_or_given_up(model, monkeypatch, steps):
    done = []
    real = getattr(library.BatchGenerator, "close", id)  # the first ones could not be closed
    monkeypatch.setattr(
        library.BatchGenerator, "close", lambda self: done.append("closed") or real(self), raising=False
    )
    monkeypatch.setattr(generation.mx, "synchronize", done.append)
    batch = generate_batch(model, [TEXT[:9]], 3)
    for _ in itertools.islice(batch, steps):
        assert done == []
    batch.close()
    assert done[:2] == ["closed", library.generation_stream]


def test_more_prompts_than_mlx_lm_takes_at_once_by_itself_are_answered_at_once(model):
    steps = list(generate_batch(model, [TEXT[n : n + 4] for n in range(40)], 2))
    assert [len(step) for step in steps] == [40, 40]


def test_an_older_library_cannot_batch(model, monkeypatch):
    monkeypatch.delattr(library, "BatchGenerator")
    with pytest.raises(CannotBatch, match=r"AttributeError: .*BatchGenerator"):
        list(generate_batch(model, [TEXT[:9]], 2))


def test_an_architecture_may_be_one_that_cannot_batch(model, monkeypatch):
    """mlx-lm says so by an error for the caches that it cannot merge."""

    class Unmergeable(_BaseCache):
        pass

    monkeypatch.setattr(type(model), "make_cache", lambda _: [Unmergeable() for _ in model.layers], raising=False)
    with pytest.raises(CannotBatch, match=r"here: \w+Error: .*(not yet support batching|must implement this)"):
        list(generate_batch(model, [TEXT[:9]], 2))


def test_a_bug_is_not_taken_for_an_architecture_that_cannot_batch(model, monkeypatch):
    def fail(self):
        raise ZeroDivisionError

    monkeypatch.setattr(library.BatchGenerator, "next_generated", fail, raising=False)
    with pytest.raises(ZeroDivisionError):
        list(generate_batch(model, [TEXT[:9]], 2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_are_finite_unless_one_of_them_is_not(load_nano, value):
    model = load_nano("smollm2").model
    assert logits_are_finite(model, TEXT[:9])
    weight = model.model.embed_tokens.weight
    weight[7, 0] = value  # one token of the vocabulary, in none of the prompt's places
    assert not logits_are_finite(model, TEXT[:9])
