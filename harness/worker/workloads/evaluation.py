"""Evaluation workload: score the test rows and answer the evaluation prompts, with or without an adapter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.leaked_markers import leaked_markers
from harness.analysis.text_overlap import RUN_WORDS, copied_shares, near_duplicates
from harness.inputs.datasets import Dataset, prompts_of, read_dataset
from harness.inputs.prompts import Prompt
from harness.results.records import Output, Readings, Sample
from harness.worker import mlxlm
from harness.worker.workloads import fuse_cost
from harness.worker.workloads.context import Context
from harness.worker.workloads.rows import prompt_length, raw_text, statistics, tokenize_rows
from harness.worker.workloads.validation import mean_nll

_BATCH = 4  # rows at a time; nothing but memory depends on it
_PART = "\ufffd"  # decoded text of an incomplete character
_NO_ANSWERS = "the rows are text, so nothing is asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSpan:
    """Tokens of a row that are scored in bits, from *start* up to but not including *end*, and their UTF-8 bytes."""

    start: int
    end: int
    bytes: int


def measure(context: Context) -> Sample:
    """Measure loss, perplexity and bits per byte on the test split, then answer every prompt."""
    plan = context.profile.training
    dataset = read_dataset(plan.dataset, plan.split_rows)
    with context.memory.phase("load"):
        loaded, adapter = context.load_with_adapter(check=True)
    context.roof(loaded)
    test = dataset.splits["test"]
    rows = tokenize_rows(loaded.tokenizer, test, form=dataset.form, mask_prompt=False, split="test")
    tokens = [row.tokens for row in rows]
    spans = [_span(loaded.tokenizer, row, row_tokens) for row, row_tokens in zip(test, tokens, strict=True)]
    with context.memory.phase("evaluate"):
        nll = mlxlm.token_nll(loaded.model, tokens, _BATCH)
    outputs = _answers(context, loaded, prompts_of(dataset))
    fuse_readings, fuse_notes = fuse_cost.measure(context, loaded, tokens)
    loss = mean_nll(nll)
    readings = {
        "test_loss": Readings(values=(loss,)),
        "test_perplexity": Readings(values=(math.exp(loss),)),
        "bits_per_byte": bits_per_byte(spans, nll),
        **_answer_readings(outputs),
        "copied_share": _copied(outputs, dataset.splits["train"]),
        **fuse_readings,
        **context.readings(),
    }
    settings = {
        "max_answer_tokens": context.profile.max_answer_tokens,
        "prompts": len(outputs),
    }
    trained = adapter and adapter | {"training": plan.facts()}
    return Sample(
        key=context.key(loaded, adapter=trained, dataset=dataset.facts(), settings=settings),
        readings=readings,
        outputs=outputs,
        notes=fuse_notes,
        data={"test": statistics(rows, max(map(len, tokens))) | {"rows_in_training": _in_training(dataset)}},
    )


def _answers(context: Context, loaded: mlxlm.Loaded, prompts: Sequence[Prompt]) -> tuple[Output, ...]:
    outputs = []
    with context.memory.phase("generate"):
        for number, prompt in enumerate(prompts, start=1):
            outputs.append(answer(loaded, prompt, context.profile.max_answer_tokens))
            context.progress(number, len(prompts), "answers")
    return tuple(outputs)


def _answer_readings(outputs: Sequence[Output]) -> dict[str, Readings]:
    """Return the readings of the answers; without answers, readings with a reason instead of values."""
    if not outputs:
        return dict.fromkeys(("eos_rate", "leak_rate", "response_words"), Readings(values=(), reason=_NO_ANSWERS))
    return {
        "eos_rate": Readings(values=(sum(output.finish_reason == "stop" for output in outputs) / len(outputs),)),
        "leak_rate": Readings(values=(sum(bool(leaked_markers(output.text)) for output in outputs) / len(outputs),)),
        "response_words": Readings(values=tuple(float(len(output.text.split())) for output in outputs)),
    }


def _copied(outputs: Sequence[Output], training: Sequence[dict[str, Any]]) -> Readings:
    """Return the share of each answer that is copied from the training rows."""
    if not outputs:
        return Readings(values=(), reason=_NO_ANSWERS)
    shares = copied_shares([output.text for output in outputs], map(raw_text, training))
    values = tuple(share for share in shares if share is not None)
    return Readings(values=values, reason=None if values else f"no answer has {RUN_WORDS} words")


def _in_training(dataset: Dataset) -> int:
    """Count the test rows that are duplicates or near-duplicates of training rows."""
    test, training = (list(map(raw_text, dataset.splits[split])) for split in ("test", "train"))
    return len(near_duplicates(test, training))


def _span(tokenizer: Any, row: dict[str, Any], tokens: Sequence[int]) -> ScoredSpan | None:
    return (
        answer_span(tokenizer, row["messages"], tokens)
        if "messages" in row
        else text_span(tokenizer, row["text"], tokens)
    )


def answer_span(tokenizer: Any, messages: Sequence[dict[str, str]], tokens: Sequence[int]) -> ScoredSpan | None:
    """Return the span of the last answer in the conversation's *tokens*; None if it cannot be separated.

    The span starts where the prompt's tokens end, provided they are a prefix of the conversation's. It ends before
    the first token that is not text.
    """
    start = prompt_length(tokenizer, messages, tokens)
    if start is None:
        return None
    closing = mlxlm.closing_tokens(tokenizer)
    end = next((i for i in range(start, len(tokens)) if tokens[i] in closing), len(tokens))
    return ScoredSpan(start=start, end=end, bytes=len(messages[-1]["content"].encode())) if end > start else None


def text_span(tokenizer: Any, text: str, tokens: Sequence[int]) -> ScoredSpan:
    """Return the span of a text's tokens without its first token and the end of sequence.

    Nothing predicts the first token. Unless it is the beginning of sequence, its bytes do not count; if it holds an
    incomplete character, the rest of that character does not count either.
    """
    end = max(1, len(tokens) - (tokens[-1] == tokenizer.eos_token_id))
    if tokens[0] == tokenizer.bos_token_id:
        return ScoredSpan(start=1, end=end, bytes=len(text.encode()))
    complete = (place for place in range(1, end) if not tokenizer.decode(tokens[:place]).endswith(_PART))
    if (start := next(complete, end)) == end:
        return ScoredSpan(start=end, end=end, bytes=0)
    return ScoredSpan(start=start, end=end, bytes=len(text.encode()) - len(tokenizer.decode(tokens[:start]).encode()))


def bits_per_byte(spans: Sequence[ScoredSpan | None], nll: Sequence[Sequence[float]]) -> Readings:
    """Return the bits per byte of the spans. *nll* holds nats for every token after a row's first.

    Source: Gao et al. (2020), arXiv:2101.00027, section 3.1.
    """
    nats: list[float] = []
    scored_bytes = 0
    for number, (span, row_nll) in enumerate(zip(spans, nll, strict=True), start=1):
        if span is None:
            return Readings(
                values=(), reason=f"test row {number}: the answer's tokens cannot be told from the template's"
            )
        nats += row_nll[span.start - 1 : span.end - 1]
        scored_bytes += span.bytes
    if not scored_bytes:
        return Readings(values=(), reason="no test row has text after its first token")
    return Readings(values=(math.fsum(nats) / math.log(2) / scored_bytes,))


def answer(loaded: mlxlm.Loaded, prompt: Prompt, max_tokens: int) -> Output:
    """Answer greedily until the model ends its turn or *max_tokens* are generated."""
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
