import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.text_overlap import copied_shares, near_duplicates, normalized

WORDS = [f"w{i}" for i in range(60)]
texts = st.lists(st.sampled_from("abcd"), max_size=20).map(" ".join)


def copied_share(text, training):
    (share,) = copied_shares([text], training)
    return share


def text(*numbers):
    return " ".join(WORDS[i] for i in numbers)


def test_texts_are_compared_as_words_in_small_letters():
    assert normalized("  What is\tLoRA?\n") == "what is lora"
    assert normalized("ＬｏＲＡ, ﬁne-tuned: STRASSE/straße") == "lora fine tuned strasse strasse"


def test_a_run_of_eight_words_is_copied_and_one_of_seven_is_not():
    known = [text(*range(8))]
    assert copied_share(text(20, *range(8), 21), known) == 0.8
    assert copied_share(text(20, *range(7), 21, 22), known) == 0.0


def test_a_word_in_two_runs_counts_once():
    assert copied_share(text(*range(12)), [text(*range(12))]) == 1.0
    assert copied_share(text(*range(10), 30, 31), [text(*range(10))]) == pytest.approx(10 / 12)


def test_runs_of_several_training_texts_add_up():
    known = [text(*range(8)), text(*range(20, 28))]
    assert copied_share(text(*range(8), 39, *range(20, 28)), known) == pytest.approx(16 / 17)


def test_a_run_does_not_reach_from_one_training_text_into_the_next():
    assert copied_share(text(*range(8)), [text(*range(4)), text(*range(4, 8))]) == 0.0


def test_fewer_than_eight_words_have_no_share():
    assert copied_share(text(*range(7)), [text(*range(7))]) is None


def test_near_duplicates_share_four_fifths_of_their_runs_of_five():
    """24 words are 20 runs: cutting 4 at the end leaves 16 of 20, cutting 5 leaves 15."""
    known = [text(*range(24))]
    assert near_duplicates([text(*range(20)), text(*range(19)), text(*range(30, 40))], known) == (0,)


def test_one_changed_word_costs_five_runs_on_either_side():
    """Of 49 words 40 of 50 runs are shared, of 48 it is 39 of 49."""
    for words, near in ((49, (0,)), (48, ())):
        assert near_duplicates([text(*range(24), 59, *range(25, words))], [text(*range(words))]) == near


def test_what_a_longer_text_has_more_counts_against_it():
    assert near_duplicates([text(*range(24))], [text(*range(40))]) == ()


def test_short_texts_are_near_only_if_they_are_copies():
    assert near_duplicates(["Yes, it is.", "it is", "", "!"], ["yes it is", ""]) == (0,)


def test_the_same_run_twice_in_a_text_counts_once():
    twice = text(*range(10), *range(10))
    assert near_duplicates([twice], [twice, text(0, 1)]) == (0,)
    assert near_duplicates([text(*range(5), *range(5))], [text(*range(5))]) == ()
    assert near_duplicates([text(*range(10), *range(20, 24))], [twice]) == ()


@given(texts, texts)
def test_two_texts_are_near_each_other_or_not_at_all(a, b):
    assert near_duplicates([a], [b]) == near_duplicates([b], [a])


@given(texts)
def test_a_text_with_words_is_near_itself_and_copied_whole(a):
    assert near_duplicates([a], [a]) == ((0,) if a else ())
    assert copied_share(a, [a]) == (1.0 if len(a.split()) >= 8 else None)
