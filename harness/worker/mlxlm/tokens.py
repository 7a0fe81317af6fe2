"""Tokens of conversations, through the model's own chat template, and of plain texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from harness.errors import HarnessError


class TemplateRefused(HarnessError, ValueError):
    """Refusal of a conversation by the model's chat template."""


def prompt_tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return the tokens of a conversation that the model is to answer next."""
    return _tokens(tokenizer, messages, add_generation_prompt=True)


def conversation_tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return the tokens of a finished conversation."""
    return _tokens(tokenizer, messages, add_generation_prompt=False)


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text, with the tokenizer's opening tokens and an end of sequence."""
    tokens = list(tokenizer.encode(text))
    return tokens if tokens[-1:] == [tokenizer.eos_token_id] else [*tokens, tokenizer.eos_token_id]


def _tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool) -> list[int]:
    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except TemplateError as error:  # some accept no system turn, others require alternating roles
        remedy = "give conversations as this model knows them, or take another model"
        raise TemplateRefused(f"the chat template refuses it: {error}; {remedy}") from error
    return list(tokenizer.encode(text, add_special_tokens=False))


def closing_tokens(tokenizer: Any) -> set[int]:
    """Return the ids that end an answer: the end-of-sequence tokens and all other special tokens."""
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {*tokenizer.eos_token_ids, *special}
