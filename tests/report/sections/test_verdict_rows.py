"""Headlines about the verdicts, as the comparison shows them."""

from tests.support.comparisons import page
from tests.support.samples import (
    bundle,
    key,
    measured,
    record,
    small_run,
)

SPEED, WAIT = "decode_tokens_per_s", "ttft_s"


FAST, SLOW = (40.0, 41.0, 42.0, 43.0, 44.0, 45.0), (20.0, 21.0, 22.0, 23.0, 24.0, 25.0)


def test_the_headline_counts_cases_and_verdicts():
    assert page(small_run()).headline == (
        "2 of 3 cases ended ok.",
        "Inference: of 2 rows tiny/r8 is better in 1, inconclusive in 1.",
        "No winner on the whole: none is at least level in every row of ttft_s, decode_tokens_per_s.",
    )


def test_a_winner_on_the_whole_is_level_or_better_in_all_that_a_choice_turns_on():
    waits = {"left": (1.0,) * 6, "right": (1.0,) * 6}
    speeds = {"left": SLOW, "right": FAST}
    cases = [
        record(
            f"inference/tiny/{side}",
            metrics={WAIT: measured(WAIT, *waits[side]), SPEED: measured(SPEED, *speeds[side])},
        )
        for side in waits
    ]
    assert page(bundle(*cases)).headline[1:] == (
        "Inference: of 2 rows tiny/right is better in 1, equivalent in 1.",
        "On the whole tiny/right: in no row of ttft_s, decode_tokens_per_s is another better.",
    )


def test_a_winner_on_the_whole_is_of_all_that_a_choice_turns_on():
    """The speed is decided, and in the time to the first token the tokenizers' models do not compare."""
    cases = [
        record("inference/a/base", metrics={SPEED: measured(SPEED, *FAST), "load_s": measured("load_s", *[1.0] * 6)}),
        record(
            "inference/b/base",
            key=key(tokenizer="e" * 64),
            metrics={SPEED: measured(SPEED, *SLOW), "load_s": measured("load_s", *[2.0] * 6)},
        ),
    ]
    assert page(bundle(*cases)).headline[1:] == ("Inference: of 1 row a/base is better in 1.",)


def test_a_case_alone_in_its_group_is_no_sentence_of_the_headline():
    cases = [
        record(f"inference/{name}/base", key=key(tokenizer=name * 64), metrics={SPEED: measured(SPEED, *FAST)})
        for name in "ab"
    ]
    assert page(bundle(*cases)).headline[1:] == (
        "Inference: no two cases compare in any of 1 row; the tables say why.",
    )
