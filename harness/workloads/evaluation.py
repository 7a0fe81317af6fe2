"""Scores the test rows and answers the evaluation prompts, with the base model or with an adapter on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import mlxlm
from harness.records import Output, Readings, Sample
from harness.texts import Prompt, read_dataset, read_prompts
from harness.workloads import fusing
from harness.workloads.context import Context
from harness.workloads.validation import mean_nll

_BATCH = 4  # rows at a time; nothing but memory depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """A test row as tokens. *answer* is the span of the answer's own tokens; None if it cannot be told apart."""

    tokens: tuple[int, ...]
    answer: tuple[int, int] | None
    answer_bytes: int


def measure(context: Context) -> Sample:
    """Measure loss, perplexity and bits per byte on the test split, then answer every prompt."""
    plan = context.profile.training
    dataset = read_dataset(plan.dataset)
    with context.memory.phase("load"):
        loaded, adapter = context.load_with_adapter(check=True)
    context.roof(loaded)
    rows = [scored_row(loaded.tokenizer, row["messages"]) for row in dataset.splits["test"]]
    with context.memory.phase("evaluate"):
        nll = mlxlm.token_nll(loaded.model, [row.tokens for row in rows], _BATCH)
    prompts = read_prompts(f"evaluation-{dataset.name}")
    outputs = []
    with context.memory.phase("generate"):
        for number, prompt in enumerate(prompts, start=1):
            outputs.append(answer(loaded, prompt, context.profile.max_answer_tokens))
            context.progress(number, len(prompts), "answers")
    fuse_readings, fuse_notes = fusing.measure(context, loaded, [row.tokens for row in rows])
    loss = mean_nll(nll)
    readings = {
        "test_loss": Readings(values=(loss,)),
        "test_perplexity": Readings(values=(math.exp(loss),)),
        "bits_per_byte": bits_per_byte(rows, nll),
        "eos_rate": Readings(values=(sum(its.finish_reason == "stop" for its in outputs) / len(outputs),)),
        "response_words": Readings(values=tuple(float(len(its.text.split())) for its in outputs)),
        **fuse_readings,
        **context.readings(),
    }
    trained = {
        "iters": plan.iters,
        "learning_rate": plan.learning_rate,
        "grad_accumulation_steps": plan.grad_accumulation_steps,
        "seed": plan.seed,
    }
    settings = {
        "max_answer_tokens": context.profile.max_answer_tokens,
        "prompts": len(prompts),
    }
    return Sample(
        key=context.key(loaded, adapter=adapter and adapter | trained, dataset=dataset.facts(), settings=settings),
        readings=readings,
        outputs=tuple(outputs),
        notes=fuse_notes,
    )


def scored_row(tokenizer: Any, messages: Sequence[dict[str, str]]) -> ScoredRow:
    """Tokenise a conversation and find its last answer in it.

    The answer starts where the prompt's tokens end, if they are a prefix of the whole, and ends before
    the first token that is not text.
    """
    tokens = mlxlm.conversation_tokens(tokenizer, messages)
    prompt = mlxlm.prompt_tokens(tokenizer, messages[:-1])
    span = None
    if tokens[: len(prompt)] == prompt:
        closing = mlxlm.closing_tokens(tokenizer)
        end = next((i for i in range(len(prompt), len(tokens)) if tokens[i] in closing), len(tokens))
        span = (len(prompt), end) if end > len(prompt) else None
    return ScoredRow(tokens=tuple(tokens), answer=span, answer_bytes=len(messages[-1]["content"].encode()))


def bits_per_byte(rows: Sequence[ScoredRow], nll: Sequence[Sequence[float]]) -> Readings:
    """Bits per byte of the answers. *nll* holds a value, in nats, for every token after a row's first.

    Source: Gao et al. (2020), arXiv:2101.00027, section 3.1.
    """
    nats: list[float] = []
    for number, (row, its) in enumerate(zip(rows, nll, strict=True), start=1):
        if row.answer is None:
            return Readings(
                values=(), reason=f"test row {number}: the answer's tokens cannot be told from the template's"
            )
        start, end = row.answer
        nats += its[start - 1 : end - 1]
    return Readings(values=(math.fsum(nats) / math.log(2) / sum(row.answer_bytes for row in rows),))


def answer(loaded: mlxlm.Loaded, prompt: Prompt, max_tokens: int) -> Output:
    """Answer greedily until the model ends its turn, or for *max_tokens*."""
    tokens = mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": prompt.text}])
    stop = set(loaded.tokenizer.eos_token_ids)
    generated = []
    reason = "length"
    for token in mlxlm.generate(loaded.model, tokens, max_tokens):
        if token in stop:
            reason = "stop"
            break
        generated.append(token)
    return Output(
        prompt_id=prompt.id,
        prompt=prompt.text,
        text=loaded.tokenizer.decode(generated),
        finish_reason=reason,
        prompt_tokens=len(tokens),
        output_tokens=len(generated),
    )
