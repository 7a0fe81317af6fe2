"""Rows of a dataset as a model sees them: tokens, and which of them are targets."""

import statistics as numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import BadConfig
from harness.inputs.jsonl import read_each
from harness.inputs.row_formats import TEXT
from harness.worker import mlxlm


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as tokens. Every token from *start* on is a target, but for the row's first."""

    tokens: tuple[int, ...]
    start: int  # 0, or the length of a masked prompt
    text_bytes: int  # UTF-8 bytes of its text, without markup

    def cut(self, longest: int) -> tuple[int, ...]:
        """The tokens that are left where rows may hold so many."""
        return self.tokens[:longest]

    def targets(self, longest: int) -> int:
        """How many tokens have a loss, where rows may hold so many."""
        return max(0, min(len(self.tokens), longest) - self.first_target)

    @property
    def first_target(self) -> int:
        """The position of the first token that has a loss."""
        return max(self.start, 1)

    def of_targets(self, values: Sequence[float]) -> Sequence[float]:
        """What of *values*, one for every token after the first, belongs to targets."""
        return values[self.first_target - 1 :]


def tokenised(
    tokenizer: Any, rows: Sequence[Mapping[str, Any]], *, form: str, mask_prompt: bool, split: str = ""
) -> list[Row]:
    """Every row as mlx-lm tokenises it; with *mask_prompt*, only the last answer of a chat has a loss.

    Raises:
        BadConfig: if the prompts of texts are to be masked; or naming every row of *split* that the model's chat
            template refuses.
    """
    if form == TEXT and mask_prompt:
        raise BadConfig("mask_prompt", ["rows of text have no prompt; leave it out, or give rows with messages"])

    def its_tokens(row: Mapping[str, Any]) -> Row:
        return _text(tokenizer, row["text"]) if form == TEXT else _chat(tokenizer, row["messages"], mask_prompt)

    return list(read_each("the rows as the model reads them", f"{split} row".lstrip(), rows, its_tokens))


def plain(raw: Mapping[str, Any]) -> str:
    """All that a row says, without its markup."""
    return str(raw["text"]) if "text" in raw else "\n".join(message["content"] for message in raw["messages"])


def _text(tokenizer: Any, text: str) -> Row:
    return Row(tokens=tuple(mlxlm.text_tokens(tokenizer, text)), start=0, text_bytes=len(text.encode()))


def _chat(tokenizer: Any, messages: Sequence[Mapping[str, str]], mask_prompt: bool) -> Row:  # noqa: FBT001 - of a row
    return Row(
        tokens=tuple(mlxlm.conversation_tokens(tokenizer, messages)),
        start=len(mlxlm.prompt_tokens(tokenizer, messages[:-1])) if mask_prompt else 0,
        text_bytes=sum(len(message["content"].encode()) for message in messages),
    )


def prompt_length(tokenizer: Any, messages: Sequence[Mapping[str, str]], tokens: Sequence[int]) -> int | None:
    """How many of a conversation's *tokens* come before its last answer; None if its prompt is not their beginning."""
    prompt = mlxlm.prompt_tokens(tokenizer, messages[:-1])
    return len(prompt) if list(tokens[: len(prompt)]) == prompt else None


def statistics(rows: Sequence[Row], longest: int) -> dict[str, Any]:
    """What a split is to the model: tokens of whole rows, and targets of what is left of them at *longest* tokens."""
    lengths = [len(row.tokens) for row in rows]
    return {
        "rows": len(rows),
        "tokens": sum(lengths),
        "shortest_tokens": min(lengths),
        "median_tokens": numbers.median(lengths),
        "longest_tokens": max(lengths),
        "targets": sum(row.targets(longest) for row in rows),
        "truncated_rows": sum(length > longest for length in lengths),
        "text_bytes": sum(row.text_bytes for row in rows),
    }
