import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadConfig
from harness.inputs.cases import SUITES, matrix
from harness.inputs.config_files import read_profile
from harness.inputs.plans import AdapterConfig, ModelConfig, Quantization

SMOKE = read_profile("smoke")
names = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True).filter(lambda n: n != "base"), unique=True)


def models(*names):
    return [ModelConfig(name=name, directory=name.partition("path:")[2] or None) for name in names]


def adapters(*names):
    return [
        AdapterConfig(name=name, rank=8, scale=20.0, dropout=0.0, layers=None, keys={"default": ("q",)})
        for name in names
    ]


def ids(suite, model_names, adapter_names):
    return [case.id for case in matrix(suite, models(*model_names), adapters(*adapter_names), SMOKE)]


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
    base, tuned = matrix("evaluation", [model], [adapter], SMOKE)
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
    variants_expected = adapter_names if suite == "training" else ["base", *adapter_names]
    case_ids = ids(suite, model_names, adapter_names)
    assert len(case_ids) == len(model_names) * len(variants_expected)
    assert set(case_ids) == {f"{suite}/{model}/{adapter}" for model in model_names for adapter in variants_expected}


def tuned(name, **changes):
    return replace(adapters(name)[0], **changes)


def variants(suite, *configs, **changes):
    return [case.variant for case in matrix(suite, models("tiny"), configs, SMOKE, **changes)]


def test_a_config_that_names_its_models_goes_with_these_alone():
    configs = [tuned("r8", models=("big",)), tuned("r16")]
    assert [case.id for case in matrix("training", models("tiny", "big"), configs, SMOKE)] == [
        "training/tiny/r16",
        "training/big/r8",
        "training/big/r16",
    ]


def test_an_adapter_on_a_quantized_base_is_compared_with_that_base():
    eight = Quantization(bits=8)
    configs = [tuned("r8"), tuned("q8", quantization=eight), tuned("q8b", quantization=eight)]
    assert variants("inference", *configs) == ["base", "base-8bit", "r8", "q8", "q8b"]
    assert variants("training", *configs) == ["r8", "q8", "q8b"]
    bases = matrix("inference", models("tiny"), configs, SMOKE)[:2]
    assert [case.quantization for case in bases] == [None, eight]


def test_a_session_s_quantization_is_that_of_every_case_and_no_variant():
    eight = Quantization(bits=8)
    assert variants("inference", tuned("r8"), tuned("q8", quantization=eight), quantization=eight) == [
        "base",
        "r8",
        "q8",
    ]
    assert {case.quantization for case in matrix("inference", models("tiny"), [tuned("r8")], SMOKE, eight)} == {eight}


def test_an_adapter_on_other_data_is_compared_with_the_base_on_these_data():
    configs = [
        tuned("r8"),
        tuned("qa", training={"dataset": "path:/x/My Data"}),
        tuned("few", training={"split_rows": (40, 10, 5)}),
    ]
    assert variants("evaluation", *configs) == ["base", "base-my-data", "base-40-10-5", "r8", "qa", "few"]
    bases = matrix("evaluation", models("tiny"), configs, SMOKE)[:3]
    assert [case.training.dataset for case in bases] == ["aphorisms", "path:/x/My Data", "aphorisms"]
    assert [case.training.split_rows for case in bases] == [None, None, (40, 10, 5)]
    assert variants("inference", *configs) == ["base", "r8", "qa", "few"]  # speed does not depend on them


def test_a_case_trains_what_its_config_says_and_its_base_does_not():
    base, tuned_case = matrix("evaluation", models("tiny"), [tuned("r8", training={"iters": 7})], SMOKE)
    assert (base.training.iters, tuned_case.training.iters) == (SMOKE.training.iters, 7)


def test_bases_that_differ_are_never_called_the_same():
    """Two files of one name, two kinds of four bits: each adapter has its own base to compare with."""
    configs = [
        tuned("a", training={"dataset": "path:/x/one/train.jsonl"}),
        tuned("b", training={"dataset": "path:/x/two/train.jsonl"}),
        tuned("c", training={"dataset": "path:/x/one/"}, quantization=Quantization(bits=4)),
        tuned("d", training={"dataset": "path:/x/one/"}, quantization=Quantization(bits=4, group_size=32)),
    ]
    bases = matrix("evaluation", models("tiny"), configs, SMOKE)[:4]
    assert [(base.training.dataset, base.quantization) for base in bases] == [
        (case.training.get("dataset"), case.quantization) for case in configs
    ]
    assert [re.sub("[0-9a-f]{6}$", "HASH", base.variant) for base in bases] == [
        "base-train.jsonl-HASH",
        "base-train.jsonl-HASH",
        "base-one-4bit-HASH",
        "base-one-4bit-HASH",
    ]
    assert len({base.id for base in bases}) == 4
