"""Preflight rules for training rows: they detect silent faults of the data before anything is trained.

The input is facts of each row as tokens. Rules and remedies are described in docs/data.md; a config can accept the
findings of a rule by its name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

_NAMED = 5  # rows that a finding lists at most


class PreflightSeverity(StrEnum):
    """Consequence of a finding."""

    STOP = "stop"  # stops the training, unless the config accepts the rule
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFacts:
    """Facts of one row as tokens. A fact that does not apply to the row's format is None."""

    split: str
    number: int  # its line in the file it came from
    tokens: int
    targets: int  # tokens with a loss, after masking and cutting
    leading_bos: int
    closed: bool | None  # an end-of-text token closes the last answer, followed by nothing but space
    prompt_is_prefix: bool | None
    foreign: tuple[str, ...]  # markers of other families that are plain text here
    seen_in_training: bool = False  # a row of another split with the text of a training row


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Facts of the model and of the planned training."""

    own_template: bool  # False: conversations are written in the format "plain"
    conversations: bool  # the rows are conversations
    adds_bos: bool  # the tokenizer begins a text with one
    mask_prompt: bool
    longest: int  # tokens at which a row is cut
    positions: int | None = None  # that the model was trained for; None if its config does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """A fault of some rows, and what to do about it."""

    rule: str
    severity: PreflightSeverity
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"[{self.rule}] {self.text}; {self.remedy}"


def examine(rows: Sequence[RowFacts], circumstances: Circumstances) -> list[PreflightFinding]:
    """Return the findings of every rule; those that stop the training come first."""
    findings = [finding for rule in RULES.values() for finding in rule(rows, circumstances)]
    return sorted(findings, key=lambda finding: finding.severity is PreflightSeverity.NOTE)


def stopping(findings: Sequence[PreflightFinding], accepted: Sequence[str]) -> list[PreflightFinding]:
    """Return the findings that stop a training: of severity STOP, and by a rule that is not *accepted*."""
    return [
        finding for finding in findings if finding.severity is PreflightSeverity.STOP and finding.rule not in accepted
    ]


def _no_template(_: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    if circumstances.conversations and not circumstances.own_template:
        yield PreflightFinding(
            rule="no-template",
            severity=PreflightSeverity.NOTE,
            text="the tokenizer has no chat template of its own",
            remedy="conversations are written in the family plain",
        )


def _turn_end(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    yield from _by_split(
        rows,
        lambda row: row.closed is False,
        "turn-end",
        PreflightSeverity.STOP,
        "the last answer is not closed by an end-of-text token",
        "the model would never learn to stop; mend the chat template",
    )


def _foreign_markers(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    markers = ", ".join(sorted({marker for row in rows for marker in row.foreign}))
    yield from _by_split(
        rows,
        lambda row: bool(row.foreign),
        "foreign-markers",
        PreflightSeverity.STOP,
        f"turn markers of another family are plain text to this tokenizer: {markers}",
        "the model would write them out; give rows with messages in place of finished text",
    )


def _bos(rows: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    yield from _by_split(
        rows,
        lambda row: row.leading_bos > 1,
        "bos",
        PreflightSeverity.STOP,
        "more than one beginning-of-text token",
        "template and tokenizer both add one; leave it to the template",
    )
    if circumstances.adds_bos:
        yield from _by_split(
            rows,
            lambda row: row.leading_bos == 0,
            "bos",
            PreflightSeverity.NOTE,
            "no beginning-of-text token, though the tokenizer opens texts with one",
            "the chat template leaves it out",
        )


def _prompt_prefix(rows: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    yield from _by_split(
        rows,
        lambda row: row.prompt_is_prefix is False,
        "prompt-prefix",
        PreflightSeverity.STOP if circumstances.mask_prompt else PreflightSeverity.NOTE,
        "the prompt's tokens are not the beginning of the conversation's",
        "masking and scoring of the answer would cut in the wrong place; mend the chat template",
    )


def _no_targets(rows: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    masked = " after masking the prompt" if circumstances.mask_prompt else ""
    yield from _by_split(
        rows,
        lambda row: row.targets == 0,
        "no-targets",
        PreflightSeverity.STOP,
        f"nothing is left to learn{masked} and cutting at {circumstances.longest} tokens",
        "shorten the prompt, or raise max_seq_length",
    )


def _truncated(rows: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    yield from _by_split(
        rows,
        lambda row: row.tokens > circumstances.longest,
        "truncated",
        PreflightSeverity.STOP,
        f"cut at {circumstances.longest} tokens, their end of turn with the rest",
        "raise max_seq_length, or leave them out",
    )


def _beyond_positions(rows: Sequence[RowFacts], circumstances: Circumstances) -> Iterator[PreflightFinding]:
    positions = circumstances.positions or circumstances.longest
    yield from _by_split(
        rows,
        lambda row: min(row.tokens, circumstances.longest) > positions,
        "beyond-positions",
        PreflightSeverity.STOP,
        f"longer than the {positions} positions of the model",
        "lower max_seq_length",
    )


def _contaminated(rows: Sequence[RowFacts], _: Circumstances) -> Iterator[PreflightFinding]:
    yield from _by_split(
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


def _by_split(
    rows: Sequence[RowFacts],
    is_faulty: Callable[[RowFacts], bool],
    rule: str,
    severity: PreflightSeverity,
    text: str,
    remedy: str,
) -> Iterator[PreflightFinding]:
    """Report the faulty rows: one finding a split that lists the first of them, or a single note if all rows are."""
    faulty = [row for row in rows if is_faulty(row)]
    if faulty and len(faulty) == len(rows) and severity is PreflightSeverity.NOTE:
        yield PreflightFinding(rule=rule, severity=severity, text=f"every row: {text}", remedy=remedy)
        return
    for split in dict.fromkeys(row.split for row in faulty):
        numbers = [row.number for row in faulty if row.split == split]
        listed = ", ".join(map(str, numbers[:_NAMED])) + (
            f" and {len(numbers) - _NAMED} more" if numbers[_NAMED:] else ""
        )
        place = f"{split} row{'s'[: len(numbers) > 1]} {listed}"
        yield PreflightFinding(rule=rule, severity=severity, text=f"{place}: {text}", remedy=remedy)
