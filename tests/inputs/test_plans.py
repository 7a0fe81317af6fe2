import re
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.inputs.plans import AdapterConfig, Case, ModelConfig, Suite, TrainingPlan

anything = st.text(min_size=1)
PLAN = TrainingPlan(
    dataset="aphorisms",
    iters=100,
    batch_size=2,
    learning_rate=1e-3,
    max_seq_length=512,
    val_every=3,
    warmup_iters=1,
    grad_accumulation_steps=1,
    seed=5,
)


def adapter(**keys):
    return AdapterConfig(name="r8", rank=8, scale=20.0, dropout=0.0, layers=None, keys=keys)


def case(model, its_adapter=None):
    variant = {"variant": its_adapter.name} if its_adapter else {}
    return Case(suite=Suite.EVALUATION, model=model, adapter=its_adapter, training=PLAN, **variant)


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


def test_two_trainings_are_comparable_by_everything_that_changes_a_step():
    left_out = {"dataset", "split_rows", "checkpoint_every", "accept"}  # the data have a key of their own
    assert PLAN.facts().keys() == {field.name for field in fields(TrainingPlan)} - left_out
    assert (PLAN.facts()["iters"], PLAN.facts()["optimizer"], PLAN.facts()["mask_prompt"]) == (100, "adam", False)


def test_a_config_comes_before_the_profile_and_the_session_before_both(tiny_profile):
    config = replace(adapter(), training={"iters": 7, "learning_rate": 0.5})
    usual = tiny_profile.training_of()
    assert usual == tiny_profile.training
    assert tiny_profile.training_of(config) == replace(usual, iters=7, learning_rate=0.5)
    shortened = replace(tiny_profile, over={"iters": 3})
    assert shortened.training_of(config) == replace(usual, iters=3, learning_rate=0.5)
    assert shortened.training_of() == replace(usual, iters=3)
