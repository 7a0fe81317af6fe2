"""Greedy generation: for one prompt, after a context that was read before, or for several prompts in a batch.

It never stops at the end of a turn.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import generate_step, generation_stream
from mlx_lm.models.cache import KVCache, make_prompt_cache, trim_prompt_cache

from harness.errors import HarnessError


class CannotBatch(HarnessError):
    """Batched generation is missing in the library or the architecture."""


def generate(model: Any, prompt: Sequence[int], max_tokens: int, cache: Any = None) -> Iterator[int]:
    """Yield greedy tokens, each evaluated when it is yielded.

    mlx-lm computes one token ahead. Once the iterator is exhausted or closed, the device is idle again, so that no
    answer waits for the previous one.
    """
    try:
        for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=max_tokens, prompt_cache=cache):
            yield int(token)
    finally:
        mx.synchronize(generation_stream)


class ReadContext:
    """Context that a model has read into its cache, so that reading and generation can continue after it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._start()

    def _start(self) -> None:
        self._cache = make_prompt_cache(self._model)
        self._length = 0

    def hold(self, tokens: Sequence[int]) -> None:
        """Read on until the cache holds *tokens*, which start with those held so far; generated tokens are dropped."""
        if all(isinstance(part, KVCache) for part in self._cache):
            trim_prompt_cache(self._cache, self._cache[0].offset - self._length)
        else:  # a cache of a sliding window or a state space cannot be trimmed back
            self._start()
        if unread := tokens[self._length :]:
            tuple(generate(self._model, unread, 0, self._cache))
        self._length = len(tokens)

    def generate(self, prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
        """Read *prompt* after the context, then yield tokens as `generate` does."""
        return generate(self._model, prompt, max_tokens, self._cache)


def generate_batch(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield per step the position in *prompts* and the next token of each prompt that is still being answered.

    Raises:
        CannotBatch: if mlx-lm or the architecture does not support batches.
    """
    try:
        yield from _batch_steps(model, prompts, max_tokens)
    except (AttributeError, ImportError, NotImplementedError, TypeError, ValueError) as error:
        cause = str(error).partition("\n")[0]  # MLX lists every accepted signature on further lines
        raise CannotBatch(f"mlx-lm does not generate in batches here: {type(error).__name__}: {cause}") from error


def _batch_steps(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    library = importlib.import_module("mlx_lm.generate")
    batch = library.BatchGenerator(model, completion_batch_size=len(prompts), prefill_batch_size=len(prompts))
    try:
        ids = batch.insert([list(prompt) for prompt in prompts], [max_tokens] * len(prompts))
        places = {prompt_id: place for place, prompt_id in enumerate(ids)}
        # Newer batches also report prompt processing; `next_generated` gives only generated tokens.
        advance = batch.next_generated if hasattr(batch, "next_generated") else batch.next
        while answers := advance():
            yield tuple((places[answer.uid], int(answer.token)) for answer in answers)
    finally:
        if hasattr(batch, "close"):  # older batches have nothing to release
            batch.close()
        mx.synchronize(generation_stream)


def logits_are_finite(model: Any, prompt: Sequence[int]) -> bool:
    """Tell whether all logits for *prompt* are finite."""
    return bool(mx.isfinite(model(mx.array([list(prompt)]))).all().item())
