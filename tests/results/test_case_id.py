import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.case_id import CaseId

PARTS = st.text(min_size=1).filter(lambda text: "/" not in text)


def test_an_id_has_a_suite_a_model_and_a_variant():
    case = CaseId.parse("training/tinyllama/qv-r16")
    assert (case.suite, case.model, case.variant) == ("training", "tinyllama", "qv-r16")
    assert case.configuration == "tinyllama/qv-r16"


@given(PARTS, PARTS, PARTS)
def test_an_id_is_read_back_from_its_text(suite, model, variant):
    case = CaseId(suite, model, variant)
    assert CaseId.parse(str(case)) == case


@pytest.mark.parametrize("text", ["", "training", "training/tinyllama", "a/b/c/d", "/b/c", "a//c", "a/b/"])
def test_a_text_of_other_than_three_parts_is_no_id(text):
    with pytest.raises(ValueError, match="is not SUITE/MODEL/VARIANT"):
        CaseId.parse(text)


@pytest.mark.parametrize(
    ("variant", "base"),
    [("base", True), ("base-4bit", True), ("basement", False), ("r8-base", False)],
)
def test_a_base_is_called_base_or_begins_so(variant, base):
    assert CaseId("inference", "qwen", variant).is_base is base
