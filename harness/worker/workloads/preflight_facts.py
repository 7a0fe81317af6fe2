"""The facts of a pre-flight: what a tokenizer makes of every row, gathered for `preflight` to judge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.analysis.preflight import MARKERS, Circumstances, PreflightSeverity, RowFacts, examine, stopping
from harness.errors import BadData
from harness.inputs.plans import TrainingPlan
from harness.inputs.prompts import PLAIN_FAMILY, read_chat_template
from harness.worker.workloads.rows import Row, plain, prompt_length

_TURNS = (("system", "a"), ("user", "b"), ("assistant", "c"))


def check(
    tokenizer: Any,
    splits: Mapping[str, Sequence[tuple[int, Mapping[str, Any], Row]]],
    plan: TrainingPlan,
    positions: int | None = None,
) -> tuple[str, ...]:
    """What is to be noted of the rows of *splits*, for a model of *positions*.

    A row is its number where it came from, what was read there, and the same as tokens.

    Raises:
        BadData: if rows are found that *plan* does not accept, naming all of them.
    """
    own, learnt = own_markers(tokenizer), {plain(raw) for _, raw, _ in splits.get("train", ())}
    facts = [
        _facts(tokenizer, split, number, raw, row, plan, own, learnt)
        for split, rows in splits.items()
        for number, raw, row in rows
    ]
    findings = examine(facts, replace(_circumstances(tokenizer, splits, plan), positions=positions))
    if stops := stopping(findings, plan.accept):
        raise BadData(list(map(str, stops)), list(dict.fromkeys(its.rule for its in stops)))
    return tuple(
        f"accepted: {finding}" if finding.severity is PreflightSeverity.STOP else str(finding) for finding in findings
    )


def own_markers(tokenizer: Any) -> set[str]:
    """The markers this tokenizer has a token for, and those its chat template writes."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    written = "".join(_written(tokenizer))
    return {its for markers in MARKERS.values() for its in markers if its in special or its in written}


def _written(tokenizer: Any) -> Iterator[str]:
    """A conversation as the template writes it; some know no system."""
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
    row: Row,
    plan: TrainingPlan,
    own: set[str],
    learnt: set[str],
) -> RowFacts:
    text = plain(raw)
    markers = {its for markers in MARKERS.values() for its in markers if its in text}
    messages = raw.get("messages")
    return RowFacts(
        split=split,
        number=number,
        tokens=len(row.tokens),
        targets=row.targets(plan.max_seq_length),
        leading_bos=_leading(row.tokens, tokenizer.bos_token_id),
        closed=None if messages is None else _closed(tokenizer, row.tokens),
        prompt_is_prefix=None if messages is None else prompt_length(tokenizer, messages, row.tokens) is not None,
        foreign=tuple(sorted(markers - own)),
        seen_in_training=split != "train" and text in learnt,
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
    """How many beginning-of-text tokens open a row."""
    return next((place for place, token in enumerate(tokens) if token != bos), len(tokens))


def _closed(tokenizer: Any, tokens: Sequence[int]) -> bool:
    ends = set(tokenizer.eos_token_ids)
    last = max((place for place, token in enumerate(tokens) if token in ends), default=None)
    return last is not None and not tokenizer.decode(list(tokens[last + 1 :])).strip()
