from dataclasses import replace

import pytest

from harness.errors import UnknownName
from harness.inputs.cases import SUITES
from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.inputs.plans import Case, Quantization, ReadyModel, Suite
from harness.session.identity import changed, identify
from tests.support.samples import environment, weights

MODEL = read_model("tinyllama")
READY = ReadyModel(config=MODEL, directory="/models/x", weights=weights(), tokenizer="t" * 64)
PROFILE = read_profile("smoke")
ENVIRONMENT = environment(code="c" * 64)


def case(suite="training", adapter="qv-r8", *, quantization=None, **training):
    config = adapter and read_adapter(adapter)
    plan = replace(PROFILE.training, **training)
    return Case(suite=Suite(suite), model=MODEL, adapter=config, training=plan, quantization=quantization)


def identity(measured=None, *, ready=READY, profile=PROFILE, machine=ENVIRONMENT):
    return identify(measured or case(), ready, profile, machine)


@pytest.mark.parametrize("suite", SUITES)
def test_the_same_work_has_the_same_identity(suite):
    assert identity(case(suite)) == identity(case(suite))
    assert changed(identity(case(suite)), identity(case(suite))) == []


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("weights", {"ready": replace(READY, weights=weights(sha256="0" * 64))}),
        ("tokenizer", {"ready": replace(READY, tokenizer="0" * 64)}),
        ("code", {"machine": replace(ENVIRONMENT, code="0" * 64)}),
        ("versions", {"machine": replace(ENVIRONMENT, packages={"mlx": "9.9"})}),
        ("versions", {"machine": replace(ENVIRONMENT, blas={"library": "stock"})}),
        ("versions", {"machine": replace(ENVIRONMENT, os={**ENVIRONMENT.os, "python": "4.0"})}),
        ("versions", {"machine": replace(ENVIRONMENT, compiler=None)}),
        ("device", {"machine": replace(ENVIRONMENT, device={"name": "gpu: Two"})}),
        ("device", {"machine": replace(ENVIRONMENT, os={**ENVIRONMENT.os, "processor": "Two"})}),
        ("device", {"machine": replace(ENVIRONMENT, os={**ENVIRONMENT.os, "cpu_limit_cores": 1.5})}),
        ("variables", {"machine": replace(ENVIRONMENT, os={**ENVIRONMENT.os, "variables": {"OMP_NUM_THREADS": "1"}})}),
        ("config", {"measured": case(learning_rate=1.0)}),
        ("config", {"measured": case(quantization=Quantization(bits=8))}),
        ("config", {"measured": case(adapter="qv-r16")}),
    ],
)
def test_whatever_changes_is_named(part, other):
    assert changed(identity(), identity(**other)) == [part]


def test_other_training_data_is_other_data_for_all_that_is_trained():
    for names in (("training",), ("evaluation",), ("evaluation", None), ("inference",)):
        assert "data" in changed(identity(case(*names)), identity(case(*names, dataset="mlqa")))


def test_other_rows_of_the_same_data_are_other_data():
    assert "data" in changed(identity(), identity(case(split_rows=(40, 10, 5))))
    assert changed(identity(case("inference", None)), identity(case("inference", None, split_rows=(40, 10, 5)))) == []


def test_a_bare_model_s_speed_does_not_depend_on_how_adapters_are_trained():
    bare = case("inference", None)
    assert identity(bare) == identity(case("inference", None, dataset="mlqa", iters=7))


def test_each_suite_depends_on_its_own_part_of_the_profile():
    longer = replace(PROFILE, max_answer_tokens=99)
    faster = replace(PROFILE, inference=replace(PROFILE.inference, output_tokens=99))
    differing = {
        suite: [changed(identity(case(suite)), identity(case(suite), profile=profile)) for profile in (longer, faster)]
        for suite in SUITES
    }
    assert differing == {"training": [[], []], "evaluation": [["config"], []], "inference": [[], ["config"]]}


def test_how_often_and_how_long_make_no_difference():
    assert identity() == identity(profile=replace(PROFILE, repeats=9, timeout_s=1.0, cooldown_s=3.0))


def test_a_part_that_was_not_recorded_has_changed():
    assert changed({}, {"code": "1"}) == ["code"]


def test_a_dataset_that_does_not_exist_is_refused():
    with pytest.raises(UnknownName, match="unknown dataset 'none'"):
        identity(case(dataset="none"))
