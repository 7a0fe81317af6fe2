"""Scaling of speed with the depth of the context and with the number of prompts answered at once."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.inputs.model_dir import read_config
from harness.inputs.prompts import read_prompts
from harness.machine.clock import Stopwatch
from harness.results.records import Readings
from harness.worker import mlxlm
from harness.worker.workloads.context import Context
from harness.worker.workloads.response import rate_after_first, stamped, tokens_of

_LIMITS = ("max_position_embeddings", "n_positions", "n_ctx")  # what configs call the longest context


def longest_context(config: Mapping[str, Any]) -> int | None:
    """Return the longest context that *config* states; None if it states none."""
    return next((int(config[name]) for name in _LIMITS if config.get(name)), None)


def filler(loaded: mlxlm.Loaded, length: int) -> tuple[int, ...]:
    """Return *length* tokens of text: the first long prompt, repeated."""
    return tuple(itertools.islice(itertools.cycle(tokens_of(loaded, read_prompts("long")[0])), length))


def context_scaling(context: Context, loaded: mlxlm.Loaded) -> tuple[dict[str, Readings], tuple[str, ...]]:
    """Measure prefill and decode rates at each context depth; return them and a note for each depth out of reach."""
    plan = context.profile.inference
    limit = longest_context(read_config(Path(context.ready.directory)))
    reached = [depth for depth in plan.context_depths if limit is None or depth + 2 * plan.context_tokens <= limit]
    notes = tuple(
        f"context depth {depth} is left out: with 2 x {plan.context_tokens} tokens it is beyond the model's {limit}"
        for depth in plan.context_depths
        if depth not in reached
    )
    read = mlxlm.ReadContext(loaded.model)
    rates = [
        _rates_at(read, filler(loaded, depth + plan.context_tokens), depth, context.stopwatch) for depth in reached
    ]
    labels = tuple(f"depth {depth}" for depth in reached)
    reason = None if reached else "; ".join(notes)
    names = ("context_prefill_tokens_per_s", "context_decode_tokens_per_s")
    values = tuple(zip(*rates, strict=True)) or ((), ())
    readings = {
        name: Readings(values=rates_by_depth, labels=labels or None, reason=reason)
        for name, rates_by_depth in zip(names, values, strict=True)
    }
    return readings, notes


def _rates_at(read: mlxlm.ReadContext, tokens: Sequence[int], depth: int, stopwatch: Stopwatch) -> tuple[float, float]:
    """Return the rates of reading the tokens after *depth* and of generating as many; the context is not timed."""
    read.hold(tokens[:depth])
    unread = tokens[depth:]
    stopwatch.wait()
    _, token_s = stamped(read.generate(unread, len(unread)), stopwatch, stopwatch.now_ns())
    return len(unread) / token_s[0], rate_after_first(token_s)


def batch_scaling(context: Context, loaded: mlxlm.Loaded) -> Readings:
    """Measure the total decode rate by the number of prompts answered at once."""
    plan = context.profile.inference
    values = []
    try:
        for size in plan.batch_sizes:
            text = filler(loaded, size + plan.context_tokens)
            prompts = [text[place : place + plan.context_tokens] for place in range(size)]  # no two alike
            context.stopwatch.wait()
            start_ns = context.stopwatch.now_ns()
            steps = mlxlm.generate_batch(loaded.model, prompts, plan.output_tokens)
            values.append(batch_rate(*stamped(steps, context.stopwatch, start_ns)))
    except mlxlm.CannotBatch as error:
        return Readings(values=(), reason=str(error))
    return Readings(values=tuple(values), labels=tuple(f"batch {size}" for size in plan.batch_sizes))


def batch_rate(steps: Sequence[Sequence[tuple[int, int]]], step_s: Sequence[float]) -> float:
    """Return tokens per second from the moment every answer has its first token to the end.

    *steps* holds, for each time of *step_s*, the answers that grew and their tokens.
    """
    firsts: dict[int, int] = {}
    for number, step in enumerate(steps):
        for place, _ in step:
            firsts.setdefault(place, number)
    begun = max(firsts.values())
    return sum(len(step) for step in steps[begun + 1 :]) / (step_s[-1] - step_s[begun])
