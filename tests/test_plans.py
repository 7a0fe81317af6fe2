import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadConfig
from harness.plans import AdapterConfig, Case, ModelConfig

anything = st.text(min_size=1)


def adapter(**keys):
    return AdapterConfig(name="r8", rank=8, scale=20.0, dropout=0.0, layers=None, keys=keys)


def case(model, its_adapter=None):
    return Case(suite="evaluation", model=model, adapter=its_adapter)


@pytest.mark.parametrize(
    ("name", "directory", "slug"),
    [
        ("smollm2", None, "smollm2"),
        ("hf:Qwen/Qwen2.5-1.5B", None, "qwen--qwen2.5-1.5b"),
        ("hf:org/tiny@v1.0", None, "org--tiny--v1.0"),
        ("path:/data/My Model", "/data/My Model", "my--model"),
        ("path:/data/tiny/", "/data/tiny", "tiny"),
        ("path:/data/été", "/data/été", "t"),
        ("path:/data/日本", "/data/日本", "model"),
    ],
)
def test_the_name_of_a_model_becomes_part_of_a_case_id(name, directory, slug):
    assert ModelConfig(name=name, directory=directory).slug == slug


def test_a_case_is_named_after_suite_model_and_adapter():
    tuned = case(ModelConfig(name="tiny"), adapter())
    assert (tuned.id, tuned.test_id) == ("evaluation/tiny/r8", "tiny-r8")


def test_a_case_without_an_adapter_is_the_base():
    bare = case(ModelConfig(name="tiny"))
    assert (bare.id, bare.test_id) == ("evaluation/tiny/base", "tiny-base")


@given(st.sampled_from(["", "hf:", "path:"]), anything)
@settings(deadline=None)
def test_whatever_is_typed_a_case_id_has_three_parts_that_name_a_file(prefix, typed):
    model = ModelConfig(name=prefix + typed, directory=typed if prefix == "path:" else None)
    assert re.fullmatch(r"evaluation/[a-z0-9_][a-z0-9._-]*/base", case(model).id)


def test_a_model_type_has_its_own_keys_or_the_default():
    its = adapter(default=("q", "v"), gpt2=("c_attn",))
    assert its.keys_for("gpt2") == ("c_attn",)
    assert its.keys_for("llama") == ("q", "v")


def test_a_model_type_without_keys_is_refused_and_told_what_to_add():
    with pytest.raises(BadConfig) as refusal:
        adapter(gpt2=("c_attn",)).keys_for("llama")
    assert str(refusal.value) == ("adapter r8: 1 problem\n  no keys for 'llama'; add 'llama' or 'default' under [keys]")
