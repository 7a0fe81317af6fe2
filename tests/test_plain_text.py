import pytest

from harness.plain_text import cut_short


@pytest.mark.parametrize(("text", "cut"), [("", ""), ("abcd", "abcd"), ("abcde", "abc…")])
def test_a_text_is_cut_to_the_longest_length_with_an_ellipsis_in_it(text, cut):
    assert cut_short(text, 4) == cut
