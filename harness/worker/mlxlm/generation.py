"""Generating greedy tokens: for one prompt, behind a context that was read before, or for several prompts in step.

Nothing here stops at the end of a turn.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import generate_step, generation_stream
from mlx_lm.models.cache import KVCache, make_prompt_cache, trim_prompt_cache

from harness.errors import HarnessError


class CannotBatch(HarnessError):
    """The library or the architecture knows no batched generation."""


def generate(model: Any, prompt: Sequence[int], max_tokens: int, cache: Any = None) -> Iterator[int]:
    """Yield greedy tokens, each evaluated when it is yielded.

    mlx-lm computes one token ahead. The device is idle again once the iterator is exhausted or closed,
    so that no answer has to wait for the one before it.
    """
    try:
        for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=max_tokens, prompt_cache=cache):
            yield int(token)
    finally:
        mx.synchronize(generation_stream)


class ReadContext:
    """A context that a model has read and holds in its cache, so that more can be read and generated behind it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._start()

    def _start(self) -> None:
        self._cache = make_prompt_cache(self._model)
        self._length = 0

    def hold(self, tokens: Sequence[int]) -> None:
        """Read on until *tokens* are held, which begin with those held so far. What was generated behind them goes."""
        if all(isinstance(part, KVCache) for part in self._cache):
            trim_prompt_cache(self._cache, self._cache[0].offset - self._length)
        else:  # such a cache (of a sliding window, of a state space) may have forgotten what it would go back to
            self._start()
        if unread := tokens[self._length :]:
            tuple(generate(self._model, unread, 0, self._cache))
        self._length = len(tokens)

    def generate(self, prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
        """Read *prompt* behind the context, then yield tokens as `generate` does."""
        return generate(self._model, prompt, max_tokens, self._cache)


def generate_batch(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield step by step, for each prompt that is being answered, its place in *prompts* and its next token.

    Raises:
        CannotBatch: where mlx-lm or the architecture lacks what it takes.
    """
    try:
        yield from _batch_steps(model, prompts, max_tokens)
    except (AttributeError, ImportError, NotImplementedError, TypeError, ValueError) as error:
        said = str(error).partition("\n")[0]  # where an argument does not fit, MLX goes on with all that would
        raise CannotBatch(f"mlx-lm does not generate in batches here: {type(error).__name__}: {said}") from error


def _batch_steps(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    library = importlib.import_module("mlx_lm.generate")
    batch = library.BatchGenerator(model, completion_batch_size=len(prompts), prefill_batch_size=len(prompts))
    try:
        ids = batch.insert([list(prompt) for prompt in prompts], [max_tokens] * len(prompts))
        places = {its_id: place for place, its_id in enumerate(ids)}
        # Where a batch also tells how reading the prompts goes on, it is asked for what it generated alone.
        advance = batch.next_generated if hasattr(batch, "next_generated") else batch.next
        while answers := advance():
            yield tuple((places[answer.uid], int(answer.token)) for answer in answers)
    finally:
        if hasattr(batch, "close"):  # older ones hold nothing that would have to be given back
            batch.close()
        mx.synchronize(generation_stream)


def logits_are_finite(model: Any, prompt: Sequence[int]) -> bool:
    """Whether what the model says of every token of *prompt* are numbers."""
    return bool(mx.isfinite(model(mx.array([list(prompt)]))).all().item())
