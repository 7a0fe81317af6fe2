import pytest

from harness.results.turn_id import TurnId


@pytest.mark.parametrize("text", ["training/gpt2/qv-r8#3", "a#b#12"])
def test_a_turn_id_reads_back_as_it_was_written(text):
    assert str(TurnId.parse(text)) == text


def test_a_case_may_contain_the_separator():
    assert TurnId.parse("a#b#12") == TurnId("a#b", 12)


@pytest.mark.parametrize("text", ["", "a", "a#", "a#b"])
def test_a_text_without_a_number_is_no_turn_id(text):
    with pytest.raises(ValueError, match="invalid literal"):
        TurnId.parse(text)
