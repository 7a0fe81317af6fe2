import pytest

from harness.analysis.leaked_markers import leaked_markers


@pytest.mark.parametrize(
    ("text", "leaked"),
    [
        ("Htem <|im_start|>)mat", ("<|im_start|>",)),
        ("Paris.</s>", ("</s>",)),
        ("[INST] Again? [/INST]", ("[INST]", "[/INST]")),
        ("The capital of France is Paris.", ()),
        ("x < y and y > z | w", ()),
        ("### Response: <s>struck out", ()),
    ],
)
def test_a_marker_of_any_family_in_an_answer_has_leaked(text, leaked):
    assert leaked_markers(text) == leaked
