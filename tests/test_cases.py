import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cases import SUITES, matrix
from harness.errors import BadConfig
from harness.plans import AdapterConfig, ModelConfig

names = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True).filter(lambda n: n != "base"), unique=True)


def models(*its):
    return [ModelConfig(name=name, directory=name.partition("path:")[2] or None) for name in its]


def adapters(*its):
    return [
        AdapterConfig(name=name, rank=8, scale=20.0, dropout=0.0, layers=None, keys={"default": ("q",)}) for name in its
    ]


def ids(suite, model_names, adapter_names):
    return [case.id for case in matrix(suite, models(*model_names), adapters(*adapter_names))]


def test_training_has_a_case_for_each_adapter():
    assert ids("training", ["tiny", "big"], ["r8", "r16"]) == [
        "training/tiny/r8",
        "training/tiny/r16",
        "training/big/r8",
        "training/big/r16",
    ]


@pytest.mark.parametrize("suite", ["evaluation", "inference"])
def test_the_bare_model_is_measured_before_its_adapters(suite):
    assert ids(suite, ["tiny", "big"], ["r8"]) == [
        f"{suite}/tiny/base",
        f"{suite}/tiny/r8",
        f"{suite}/big/base",
        f"{suite}/big/r8",
    ]


def test_a_case_holds_the_very_model_and_adapter_it_is_named_after():
    (model,), (adapter,) = models("tiny"), adapters("r8")
    base, tuned = matrix("evaluation", [model], [adapter])
    assert (base.model, base.adapter) == (model, None)
    assert (tuned.model, tuned.adapter) == (model, adapter)


def test_training_comes_before_what_uses_its_adapters():
    assert SUITES == ("training", "evaluation", "inference")


def test_two_cases_of_one_id_are_refused_and_each_id_is_named_once():
    with pytest.raises(BadConfig) as refusal:
        ids("training", ["path:/a/tiny", "path:/b/tiny", "big"], ["r8", "r16"])
    assert str(refusal.value).splitlines() == [
        "the matrix: 2 problems",
        "  two cases are called training/tiny/r16; rename one of them",
        "  two cases are called training/tiny/r8; rename one of them",
    ]


def test_an_adapter_called_like_the_bare_model_is_refused():
    with pytest.raises(BadConfig, match="two cases are called inference/tiny/base"):
        ids("inference", ["tiny"], ["base"])


@given(st.sampled_from(SUITES), names, names)
@settings(deadline=None)
def test_every_model_meets_every_adapter_once(suite, model_names, adapter_names):
    its = adapter_names if suite == "training" else ["base", *adapter_names]
    found = ids(suite, model_names, adapter_names)
    assert len(found) == len(model_names) * len(its)
    assert set(found) == {f"{suite}/{model}/{adapter}" for model in model_names for adapter in its}
