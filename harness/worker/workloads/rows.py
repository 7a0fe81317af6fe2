"""Rows of a dataset as a model sees them: their tokens, and which of these are targets."""

import statistics as numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import BadConfig
from harness.inputs.jsonl import read_each
from harness.inputs.row_formats import TEXT
from harness.worker import mlxlm


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """Row as tokens. Every token from *start* on is a target, except the row's first token."""

    tokens: tuple[int, ...]
    start: int  # 0, or the length of a masked prompt
    text_bytes: int  # UTF-8 bytes of its text, without markup

    def truncated(self, longest: int) -> tuple[int, ...]:
        """Return at most the first *longest* tokens."""
        return self.tokens[:longest]

    def targets(self, longest: int) -> int:
        """Count the tokens that have a loss if rows are cut after *longest* tokens."""
        return max(0, min(len(self.tokens), longest) - self.first_target)

    @property
    def first_target(self) -> int:
        """Position of the first token that has a loss."""
        return max(self.start, 1)

    def target_values(self, values: Sequence[float]) -> Sequence[float]:
        """Return those of *values* (one per token after the first) that belong to targets."""
        return values[self.first_target - 1 :]


def tokenize_rows(
    tokenizer: Any, rows: Sequence[Mapping[str, Any]], *, form: str, mask_prompt: bool, split: str = ""
) -> list[TokenRow]:
    """Tokenize every row as mlx-lm does; with *mask_prompt*, only the last answer of a chat has a loss.

    Raises:
        BadConfig: if *mask_prompt* is set for plain texts, or the chat template refuses rows of *split*; it names
            every such row.
    """
    if form == TEXT and mask_prompt:
        raise BadConfig("mask_prompt", ["rows of text have no prompt; leave it out, or give rows with messages"])

    def tokenize(row: Mapping[str, Any]) -> TokenRow:
        return _text(tokenizer, row["text"]) if form == TEXT else _chat(tokenizer, row["messages"], mask_prompt)

    return list(read_each("the rows as the model reads them", f"{split} row".lstrip(), rows, tokenize))


def raw_text(raw: Mapping[str, Any]) -> str:
    """Return the text of a raw row without markup."""
    return str(raw["text"]) if "text" in raw else "\n".join(message["content"] for message in raw["messages"])


def _text(tokenizer: Any, text: str) -> TokenRow:
    return TokenRow(tokens=tuple(mlxlm.text_tokens(tokenizer, text)), start=0, text_bytes=len(text.encode()))


def _chat(tokenizer: Any, messages: Sequence[Mapping[str, str]], mask_prompt: bool) -> TokenRow:  # noqa: FBT001 - of a row
    return TokenRow(
        tokens=tuple(mlxlm.conversation_tokens(tokenizer, messages)),
        start=len(mlxlm.prompt_tokens(tokenizer, messages[:-1])) if mask_prompt else 0,
        text_bytes=sum(len(message["content"].encode()) for message in messages),
    )


def prompt_length(tokenizer: Any, messages: Sequence[Mapping[str, str]], tokens: Sequence[int]) -> int | None:
    """Return the number of *tokens* before the last answer; None if the prompt's tokens are not their prefix."""
    prompt = mlxlm.prompt_tokens(tokenizer, messages[:-1])
    return len(prompt) if list(tokens[: len(prompt)]) == prompt else None


def statistics(rows: Sequence[TokenRow], longest: int) -> dict[str, Any]:
    """Return statistics of a split: tokens of the full rows, and targets of rows cut after *longest* tokens."""
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
