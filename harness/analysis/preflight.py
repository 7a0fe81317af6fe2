"""Whether a model can learn from these rows: what goes wrong silently is said before anything is trained.

Pure: facts of each row in, findings out. Rules and remedies stand in docs/data.md; a config accepts a rule's
findings by its name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

# What turns of a conversation are marked with, by the family of models that learnt it.
MARKERS = {
    "ChatML": ("<|im_start|>", "<|im_end|>"),
    "Zephyr": ("<|user|>", "<|assistant|>", "<|system|>"),
    "Llama 2, Mistral": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    "Llama 3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"),
    "Llama 3 text": ("<|begin_of_text|>", "<|end_of_text|>"),
    "Llama 4": ("<|header_start|>", "<|header_end|>", "<|eot|>"),
    "Gemma": ("<start_of_turn>", "<end_of_turn>"),
    "Phi": ("<|end|>", "<|im_sep|>"),
    "GPT": ("<|endoftext|>",),
    "Harmony": ("<|start|>", "<|message|>", "<|channel|>", "<|return|>"),
    "Command R": ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    "DeepSeek": ("<｜User｜>", "<｜Assistant｜>"),
    "Granite": ("<|start_of_role|>", "<|end_of_role|>"),
    "sentence": ("</s>",),  # not <s>, which strikes text out in HTML
}
_NAMED = 5  # rows of a finding


class PreflightSeverity(Enum):
    """What a finding does."""

    STOP = "stop"  # the training, unless the config accepts it
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFacts:
    """What is known of one row as tokens. A fact that its form does not have is None."""

    split: str
    number: int  # where it came from: its line in a file
    tokens: int
    targets: int  # tokens with a loss, after masking and cutting
    leading_bos: int
    closed: bool | None  # whether an end of text closes the last answer, with nothing but space after it
    prompt_is_prefix: bool | None
    foreign: tuple[str, ...]  # markers of other families that are plain text here
    seen_in_training: bool = False  # a row of another split whose text is a training row's


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of the model and the plan."""

    own_template: bool  # False: conversations are written in the plain family
    conversations: bool  # whether the rows are some
    adds_bos: bool  # whether its tokenizer opens a text with one
    mask_prompt: bool
    longest: int
    positions: int | None = None  # how many the model was made for; None where its config does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """Something that is wrong with some rows, and what to do."""

    rule: str
    severity: PreflightSeverity
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"[{self.rule}] {self.text}; {self.remedy}"


def examine(rows: Sequence[RowFacts], its: Circumstances) -> list[PreflightFinding]:
    """Every rule's finding, those that stop first."""
    found = [finding for rule in RULES.values() for finding in rule(rows, its)]
    return sorted(found, key=lambda finding: finding.severity is PreflightSeverity.NOTE)


def stopping(findings: Sequence[PreflightFinding], accepted: Sequence[str]) -> list[PreflightFinding]:
    """The findings that end a case before it is trained."""
    return [its for its in findings if its.severity is PreflightSeverity.STOP and its.rule not in accepted]


def leaked_markers(text: str) -> tuple[str, ...]:
    """The markers of any family that stand in a generated text: a model that ends its turn properly writes none."""
    return tuple(marker for markers in MARKERS.values() for marker in markers if marker in text)


def _no_template(_: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    if its.conversations and not its.own_template:
        yield PreflightFinding(
            rule="no-template",
            severity=PreflightSeverity.NOTE,
            text="the tokenizer has no chat template of its own",
            remedy="conversations are written in the family plain",
        )


def _turn_end(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    yield from _of(
        rows,
        lambda row: row.closed is False,
        "turn-end",
        PreflightSeverity.STOP,
        "the last answer is not closed by an end-of-text token",
        "the model would never learn to stop; mend the chat template",
    )


def _foreign_markers(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    markers = ", ".join(sorted({marker for row in rows for marker in row.foreign}))
    yield from _of(
        rows,
        lambda row: bool(row.foreign),
        "foreign-markers",
        PreflightSeverity.STOP,
        f"turn markers of another family are plain text to this tokenizer: {markers}",
        "the model would write them out; give rows with messages in place of finished text",
    )


def _bos(rows: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    yield from _of(
        rows,
        lambda row: row.leading_bos > 1,
        "bos",
        PreflightSeverity.STOP,
        "more than one beginning-of-text token",
        "template and tokenizer both add one; leave it to the template",
    )
    if its.adds_bos:
        yield from _of(
            rows,
            lambda row: row.leading_bos == 0,
            "bos",
            PreflightSeverity.NOTE,
            "no beginning-of-text token, though the tokenizer opens texts with one",
            "the chat template leaves it out",
        )


def _prompt_prefix(rows: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    yield from _of(
        rows,
        lambda row: row.prompt_is_prefix is False,
        "prompt-prefix",
        PreflightSeverity.STOP if its.mask_prompt else PreflightSeverity.NOTE,
        "the prompt's tokens are not the beginning of the conversation's",
        "masking and scoring of the answer would cut in the wrong place; mend the chat template",
    )


def _no_targets(rows: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    masked = " after masking the prompt" if its.mask_prompt else ""
    yield from _of(
        rows,
        lambda row: row.targets == 0,
        "no-targets",
        PreflightSeverity.STOP,
        f"nothing is left to learn{masked} and cutting at {its.longest} tokens",
        "shorten the prompt, or raise max_seq_length",
    )


def _truncated(rows: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    yield from _of(
        rows,
        lambda row: row.tokens > its.longest,
        "truncated",
        PreflightSeverity.STOP,
        f"cut at {its.longest} tokens, their end of turn with the rest",
        "raise max_seq_length, or leave them out",
    )


def _beyond_positions(rows: Sequence[RowFacts], its: Circumstances) -> Iterator[PreflightFinding]:
    positions = its.positions or its.longest
    yield from _of(
        rows,
        lambda row: min(row.tokens, its.longest) > positions,
        "beyond-positions",
        PreflightSeverity.STOP,
        f"longer than the {positions} positions of the model",
        "lower max_seq_length",
    )


def _contaminated(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    yield from _of(
        rows,
        lambda row: row.seen_in_training,
        "contaminated",
        PreflightSeverity.NOTE,
        "the same text is a training row",
        "take them out: their loss shows memory, not learning",
    )


RULES: dict[str, Callable[[Sequence[RowFacts], Circumstances], Iterator[PreflightFinding]]] = {
    "no-template": _no_template,
    "turn-end": _turn_end,
    "foreign-markers": _foreign_markers,
    "bos": _bos,
    "prompt-prefix": _prompt_prefix,
    "no-targets": _no_targets,
    "truncated": _truncated,
    "beyond-positions": _beyond_positions,
    "contaminated": _contaminated,
}


def _of(
    rows: Sequence[RowFacts],
    wrong: Callable[[RowFacts], bool],
    rule: str,
    severity: PreflightSeverity,
    text: str,
    remedy: str,
) -> Iterator[PreflightFinding]:
    """One finding a split, with its first rows that are *wrong* named; one note for all where every row is."""
    odd = [row for row in rows if wrong(row)]
    if odd and len(odd) == len(rows) and severity is PreflightSeverity.NOTE:
        yield PreflightFinding(rule=rule, severity=severity, text=f"every row: {text}", remedy=remedy)
        return
    for split in dict.fromkeys(row.split for row in odd):
        numbers = [row.number for row in odd if row.split == split]
        named = ", ".join(map(str, numbers[:_NAMED])) + (
            f" and {len(numbers) - _NAMED} more" if numbers[_NAMED:] else ""
        )
        place = f"{split} row{'s'[: len(numbers) > 1]} {named}"
        yield PreflightFinding(rule=rule, severity=severity, text=f"{place}: {text}", remedy=remedy)
