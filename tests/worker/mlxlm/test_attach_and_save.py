import json
from dataclasses import replace

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

from harness.errors import BadConfig
from harness.inputs.config_files import read_adapter
from harness.inputs.plans import AdapterConfig
from harness.worker import mlxlm

QV = AdapterConfig(
    name="mine", rank=8, scale=20.0, dropout=0.0, layers=16, keys={"default": ("self_attn.q_proj", "self_attn.v_proj")}
)


def test_a_key_that_matches_nothing_is_refused_with_the_keys_there_are(load_nano):
    loaded = load_nano("tinyllama")
    wrong = replace(QV, keys={"default": ("self_attn.q_proj", "attn.c_attn", "mlp")})
    with pytest.raises(BadConfig) as refusal:
        mlxlm.attach_adapter(loaded.model, wrong, "llama")
    first, *problems = str(refusal.value).splitlines()
    assert first == "adapter mine: 2 problems"
    known = (
        "mlp.down_proj, mlp.gate_proj, mlp.up_proj, "
        "self_attn.k_proj, self_attn.o_proj, self_attn.q_proj, self_attn.v_proj"
    )
    assert problems == [
        f"  key 'attn.c_attn' matches no matrix of a 'llama' block; known: {known}",
        f"  key 'mlp' matches no matrix of a 'llama' block; known: {known}",
    ]
    assert not [name for name, _ in tree_flatten(loaded.model.parameters()) if "lora" in name]


def test_more_layers_than_there_are_become_all_of_them_and_are_noted(load_nano):
    """Per block of the shrunk TinyLlama, from 128 to 256 and to 32: 8 (128 + 256) + 8 (128 + 32) = 4352."""
    attached = mlxlm.attach_adapter(load_nano("tinyllama").model, QV, "llama")
    assert attached.layers == 4
    assert attached.note == "adapter mine: 16 layers asked for, the model has 4"
    assert attached.trainable_parameters == 4 * 4352
    assert attached.facts() == {
        "name": "mine",
        "kind": "lora",
        "rank": 8,
        "scale": 20.0,
        "peft_alpha_equivalent": 160.0,
        "dropout": 0.0,
        "layers": 4,
        "layers_requested": 16,
        "keys": ["self_attn.q_proj", "self_attn.v_proj"],
        "modules": [f"model.layers.{block}.self_attn.{side}_proj" for block in range(4) for side in "qv"],
        "resumed_from_sha256": None,
    }


def test_layers_count_from_the_last_block(load_nano):
    attached = mlxlm.attach_adapter(load_nano("tinyllama").model, replace(QV, layers=2), "llama")
    assert attached.modules == (
        "model.layers.2.self_attn.q_proj",
        "model.layers.2.self_attn.v_proj",
        "model.layers.3.self_attn.q_proj",
        "model.layers.3.self_attn.v_proj",
    )
    assert (attached.layers, attached.note) == (2, None)


def test_all_layers_are_nothing_to_note(load_nano):
    attached = mlxlm.attach_adapter(load_nano("gpt2").model, read_adapter("all-r32"), "gpt2")
    assert (attached.layers, attached.note) == (4, None)
    assert attached.facts()["layers_requested"] is None
    assert attached.facts()["keys"] == ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


def test_only_the_adapter_is_trainable(load_nano):
    model = load_nano("tinyllama").model
    total = mlxlm.total_parameters(model)
    attached = mlxlm.attach_adapter(model, QV, "llama")
    trainable = dict(tree_flatten(model.trainable_parameters()))
    assert {name.rpartition(".")[2] for name in trainable} == {"lora_a", "lora_b"}
    assert sum(array.size for array in trainable.values()) == attached.trainable_parameters
    assert mlxlm.total_parameters(model) == total + attached.trainable_parameters


@pytest.fixture
def trained(load_nano, tmp_path):
    """A model with an adapter that says something, its logits, and where the adapter was saved."""
    mlxlm.seed_everything(1)
    loaded = load_nano("tinyllama")
    attached = mlxlm.attach_adapter(loaded.model, replace(QV, layers=3), "llama")
    model = loaded.model
    model.update(tree_map(lambda array: array + 0.01, model.trainable_parameters()))
    model.eval()
    files = mlxlm.save_adapter(model, attached, tmp_path / "adapter")
    assert sorted(path.name for path in files) == ["adapter_config.json", "adapters.safetensors"]
    return attached, logits_of(model), tmp_path / "adapter"


def logits_of(model):
    return np.array(model(mx.array([[5, 6, 7, 8]])))


def test_a_saved_adapter_is_loaded_as_it_was(load_nano, trained):
    attached, expected, directory = trained
    loaded = load_nano("tinyllama")
    base = logits_of(loaded.model)
    again = mlxlm.load_adapter(loaded.model, attached.config, directory)
    np.testing.assert_allclose(logits_of(loaded.model), expected, rtol=1e-6, atol=1e-7)
    assert np.abs(expected - base).max() > 0.01
    assert again == attached


def test_mlx_lm_itself_reads_a_saved_adapter(nano, trained):
    _, expected, directory = trained
    model = mlx_lm.load(nano("tinyllama").directory, adapter_path=str(directory))[0]
    np.testing.assert_allclose(logits_of(model), expected, rtol=1e-6, atol=1e-7)


def test_a_saved_adapter_says_what_it_is(trained):
    assert json.loads((trained[2] / "adapter_config.json").read_text()) == {
        "fine_tune_type": "lora",
        "num_layers": 3,
        "lora_parameters": {
            "rank": 8,
            "scale": 20.0,
            "dropout": 0.0,
            "keys": ["self_attn.q_proj", "self_attn.v_proj"],
        },
    }
