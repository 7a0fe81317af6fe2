from dataclasses import replace

import pytest

from harness.analysis.preflight import (
    RULES,
    Circumstances,
    PreflightSeverity,
    RowFacts,
    examine,
    stopping,
)

FINE = RowFacts(
    split="train",
    number=1,
    tokens=10,
    targets=9,
    leading_bos=0,
    closed=True,
    prompt_is_prefix=True,
    foreign=(),
)
USUAL = Circumstances(own_template=True, conversations=True, adds_bos=False, mask_prompt=False, longest=32)


def found(*rows, **changes):
    return [(finding.rule, finding.severity) for finding in examine(rows, replace(USUAL, **changes))]


def rows(count, **changes):
    return [replace(FINE, number=number, **changes) for number in range(1, count + 1)]


def test_rows_without_a_fault_have_no_finding():
    assert found(*rows(3)) == []


def test_a_row_of_plain_text_has_no_turns_to_be_wrong():
    assert found(replace(FINE, closed=None, prompt_is_prefix=None)) == []


@pytest.mark.parametrize(
    ("row", "changes", "finding"),
    [
        ({"closed": False}, {}, ("turn-end", PreflightSeverity.STOP)),
        ({"foreign": ("<|im_end|>",)}, {}, ("foreign-markers", PreflightSeverity.STOP)),
        ({"leading_bos": 2}, {}, ("bos", PreflightSeverity.STOP)),
        ({"leading_bos": 0}, {"adds_bos": True}, ("bos", PreflightSeverity.NOTE)),
        ({"prompt_is_prefix": False}, {}, ("prompt-prefix", PreflightSeverity.NOTE)),
        ({"prompt_is_prefix": False}, {"mask_prompt": True}, ("prompt-prefix", PreflightSeverity.STOP)),
        ({"targets": 0}, {}, ("no-targets", PreflightSeverity.STOP)),
        ({"tokens": 33}, {}, ("truncated", PreflightSeverity.STOP)),
        ({"tokens": 32}, {"positions": 31}, ("beyond-positions", PreflightSeverity.STOP)),
        ({"seen_in_training": True}, {}, ("contaminated", PreflightSeverity.NOTE)),
        ({}, {"own_template": False}, ("no-template", PreflightSeverity.NOTE)),
    ],
)
def test_each_fault_has_its_rule(row, changes, finding):
    assert found(replace(FINE, **row), **changes) == [finding]


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        ({"leading_bos": 1}, {"adds_bos": True}),
        ({"targets": 1}, {}),
        ({"tokens": 32}, {"positions": 32}),
        ({"closed": None, "prompt_is_prefix": None}, {"own_template": False, "conversations": False}),
    ],
)
def test_what_is_just_right_is_not_found(row, changes):
    assert found(replace(FINE, **row), **changes) == []


def test_a_finding_names_the_first_five_rows_of_a_split_and_counts_the_rest():
    faulty_rows = [*rows(7, closed=False), replace(FINE, split="valid", number=4, closed=False), FINE]
    wrong = "the last answer is not closed by an end-of-text token"
    remedy = "the model would never learn to stop; mend the chat template"
    assert [str(finding) for finding in examine(faulty_rows, USUAL)] == [
        f"[turn-end] train rows 1, 2, 3, 4, 5 and 2 more: {wrong}; {remedy}",
        f"[turn-end] valid row 4: {wrong}; {remedy}",
    ]


def test_what_is_to_be_noted_of_all_rows_is_one_note():
    faulty_rows = [*rows(3, seen_in_training=True), replace(FINE, split="valid", seen_in_training=True)]
    (finding,) = examine(faulty_rows, USUAL)
    assert finding.text == "every row: the same text is a training row"


def test_all_foreign_markers_of_a_split_are_named():
    faulty_rows = [
        replace(FINE, foreign=("<|im_end|>",)),
        replace(FINE, number=2, foreign=("[INST]", "<|im_end|>")),
        FINE,
    ]
    (finding,) = examine(faulty_rows, USUAL)
    assert finding.text.startswith("train rows 1, 2: turn markers of another family are plain text")
    assert finding.text.endswith(": <|im_end|>, [INST]")


def test_a_row_that_is_masked_and_cut_away_is_told_how():
    (finding,) = examine([replace(FINE, targets=0)], replace(USUAL, mask_prompt=True))
    assert finding.text == "train row 1: nothing is left to learn after masking the prompt and cutting at 32 tokens"


def test_what_stops_comes_first_and_only_what_is_not_accepted_stops():
    findings = examine([replace(FINE, tokens=33, closed=False, targets=0)], USUAL)
    assert [finding.rule for finding in findings] == ["turn-end", "no-targets", "truncated"]
    assert [finding.rule for finding in stopping(findings, ("turn-end",))] == ["no-targets", "truncated"]
    assert stopping(findings, tuple(RULES)) == []
