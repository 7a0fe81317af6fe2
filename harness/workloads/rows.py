"""Rows of a dataset as a training sees them: tokens, and which of them are targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import mlxlm


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


def tokenised(tokenizer: Any, rows: Sequence[Mapping[str, Any]], *, mask_prompt: bool) -> list[Row]:
    """Every row through the model's chat template; with *mask_prompt*, only the last answer has a loss."""
    return [
        Row(
            tokens=tuple(mlxlm.conversation_tokens(tokenizer, row["messages"])),
            start=len(mlxlm.prompt_tokens(tokenizer, row["messages"][:-1])) if mask_prompt else 0,
            text_bytes=sum(len(message["content"].encode()) for message in row["messages"]),
        )
        for row in rows
    ]
