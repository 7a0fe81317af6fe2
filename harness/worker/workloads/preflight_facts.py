"""Facts of a pre-flight: what a tokenizer makes of every row. `analysis/preflight.py` judges them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.analysis.leaked_markers import MARKERS
from harness.analysis.preflight import Circumstances, PreflightSeverity, RowFacts, examine, stopping
from harness.errors import BadData
from harness.inputs.plans import TrainingPlan
from harness.inputs.prompts import PLAIN_FAMILY, read_chat_template
from harness.worker.workloads.rows import TokenRow, prompt_length, raw_text

_TURNS = (("system", "a"), ("user", "b"), ("assistant", "c"))


def check(
    tokenizer: Any,
    splits: Mapping[str, Sequence[tuple[int, Mapping[str, Any], TokenRow]]],
    plan: TrainingPlan,
    positions: int | None = None,
) -> tuple[str, ...]:
    """Return the notes on the rows of *splits* for a model with *positions* positions.

    A row is given as its number in the file, its raw fields and its tokens.

    Raises:
        BadData: if *plan* does not accept some rows, naming all of them.
    """
    known_markers, training_texts = (
        tokenizer_markers(tokenizer),
        {raw_text(raw) for _, raw, _ in splits.get("train", ())},
    )
    facts = [
        _facts(tokenizer, split, number, raw, row, plan, known_markers, training_texts)
        for split, rows in splits.items()
        for number, raw, row in rows
    ]
    findings = examine(facts, replace(_circumstances(tokenizer, splits, plan), positions=positions))
    if stops := stopping(findings, plan.accept):
        raise BadData(list(map(str, stops)), list(dict.fromkeys(stop.rule for stop in stops)))
    return tuple(
        f"accepted: {finding}" if finding.severity is PreflightSeverity.STOP else str(finding) for finding in findings
    )


def tokenizer_markers(tokenizer: Any) -> set[str]:
    """Return the markers that this tokenizer has tokens for or its chat template writes."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    written = "".join(_written(tokenizer))
    return {marker for markers in MARKERS.values() for marker in markers if marker in special or marker in written}


def _written(tokenizer: Any) -> Iterator[str]:
    """Yield a conversation as the chat template writes it, with and without a system turn: some refuse one."""
    for turns in (_TURNS, _TURNS[1:]):
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            yield tokenizer.apply_chat_template(messages, tokenize=False)
        except Exception:  # noqa: BLE001, S112 - a template is a program of its own, and may raise what it likes
            continue


def _facts(
    tokenizer: Any,
    split: str,
    number: int,
    raw: Mapping[str, Any],
    row: TokenRow,
    plan: TrainingPlan,
    known_markers: set[str],
    training_texts: set[str],
) -> RowFacts:
    text = raw_text(raw)
    markers = {marker for markers in MARKERS.values() for marker in markers if marker in text}
    messages = raw.get("messages")
    return RowFacts(
        split=split,
        number=number,
        tokens=len(row.tokens),
        targets=row.targets(plan.max_seq_length),
        leading_bos=_leading(row.tokens, tokenizer.bos_token_id),
        closed=None if messages is None else _closed(tokenizer, row.tokens),
        prompt_is_prefix=None if messages is None else prompt_length(tokenizer, messages, row.tokens) is not None,
        foreign=tuple(sorted(markers - known_markers)),
        seen_in_training=split != "train" and text in training_texts,
    )


def _circumstances(tokenizer: Any, splits: Mapping[str, Sequence[Any]], plan: TrainingPlan) -> Circumstances:
    opened = tokenizer.encode("a")
    return Circumstances(
        own_template=tokenizer.chat_template != read_chat_template(PLAIN_FAMILY),
        conversations=any("messages" in raw for rows in splits.values() for _, raw, _ in rows),
        adds_bos=tokenizer.bos_token_id is not None and opened[:1] == [tokenizer.bos_token_id],
        mask_prompt=plan.mask_prompt,
        longest=plan.max_seq_length,
    )


def _leading(tokens: Sequence[int], bos: int | None) -> int:
    """Count the beginning-of-text tokens that open a row."""
    return next((place for place, token in enumerate(tokens) if token != bos), len(tokens))


def _closed(tokenizer: Any, tokens: Sequence[int]) -> bool:
    ends = set(tokenizer.eos_token_ids)
    last = max((place for place, token in enumerate(tokens) if token in ends), default=None)
    return last is not None and not tokenizer.decode(list(tokens[last + 1 :])).strip()
