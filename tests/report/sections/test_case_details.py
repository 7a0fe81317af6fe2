"""Details of cases, as the comparison shows them."""

from tests.support.comparisons import page
from tests.support.samples import (
    bundle,
    full_record,
    grid,
    key,
    output,
    record,
    section,
    weights,
)


def test_memory_has_a_row_a_phase():
    case = "training tiny/r8"
    rows = grid(page(bundle(full_record())), "Memory")
    assert [list(cells.values()) for cells in rows] == [
        [case, "load", "1.500 {1.000; 2.000} KiB (n=2)", "0 {0; 0} B (n=2)", "not measured"],
        [case, "train", "4.000 {3.000; 5.000} GiB (n=2)", "512 {512; 512} B (n=2)", "not measured"],
    ]


def test_the_answers_to_a_prompt_stand_one_below_the_other_as_they_came():
    base = record("evaluation/tiny/base", outputs=(output(text="hi", finish_reason="length"),))
    tuned = record(
        "evaluation/tiny/r8", outputs=(output(text="ho"), output(prompt_id="p2", prompt="Again.", text="hu *hu*"))
    )
    listings = section(page(bundle(base, tuned)), "Answers").listings
    assert [(listing.title, listing.text) for listing in listings] == [
        ("Prompt p1", "Say hi."),
        ("tiny/base: 1 word, 2 tokens, cut at the token limit", "hi"),
        ("tiny/r8: 1 word, 2 tokens, ended by itself", "ho"),
        ("Prompt p2", "Again."),
        ("tiny/base: not recorded", ""),
        ("tiny/r8: 2 words, 2 tokens, ended by itself", "hu *hu*"),
    ]


def test_of_many_prompts_the_first_are_shown_and_the_rest_counted():
    outputs = tuple(output(prompt_id=f"p{number}", prompt=str(number)) for number in range(23))
    answers = section(page(bundle(record("evaluation/tiny/base", outputs=outputs))), "Answers")
    assert len(answers.listings) == 2 * 20
    assert answers.text.endswith("3 more prompts are in the JSON.")


def test_answers_to_different_prompts_do_not_stand_together():
    base = record("evaluation/tiny/base", outputs=(output(prompt="One?", text="1"),))
    tuned = record("evaluation/tiny/r8", outputs=(output(prompt="Two?", text="2"),))
    listings = section(page(bundle(base, tuned)), "Answers").listings
    assert [listing.text for listing in listings] == ["One?", "1", "", "Two?", "", "2"]


def test_answers_of_random_weights_are_counted_and_not_shown():
    real = record("evaluation/a/base", outputs=(output(text="hi"),))
    noise = record("evaluation/b/base", key=key(weights=weights(source="nano")), outputs=(output(text="|||"),))
    answers = section(page(bundle(real, noise)), "Answers")
    assert [listing.text for listing in answers.listings] == ["Say hi.", "hi"]
    assert answers.text.endswith("Left out as noise of random weights: 1.")
