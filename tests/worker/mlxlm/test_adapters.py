import hashlib
from dataclasses import replace

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map

from harness.errors import BadConfig
from harness.inputs.config_files import read_adapter
from harness.inputs.plans import AdapterConfig, AdapterKind
from harness.worker import mlxlm

LORA = AdapterConfig(name="mine", rank=4, scale=20.0, layers=2, keys="qv")
DORA = replace(LORA, kind=AdapterKind.DORA)
FULL = AdapterConfig(name="mine", kind=AdapterKind.FULL, layers=2)


def sizes(model, names):
    parameters = dict(tree_flatten(model.parameters()))
    return {name: parameters[name].size for name in names}


def logits_of(model):
    return np.array(model(mx.array([[5, 6, 7, 8]])))


def attached(load_nano, config, name="tinyllama"):
    mlxlm.seed_everything(1)
    loaded = load_nano(name)
    return loaded, mlxlm.attach_adapter(loaded.model, config, loaded.model_type)


def sides_of(model, modules):
    """Rows and columns of the matrices as the bare model has them."""
    bare = dict(tree_flatten(model.parameters()))
    return [bare[f"{name}.weight"].shape for name in modules]


@pytest.mark.parametrize("name", ["tinyllama", "qwen", "gpt2"])
@pytest.mark.parametrize("preset", ["qv", "attention", "mlp", "all"])
def test_lora_trains_rank_times_both_sides_and_dora_a_row_more(load_nano, name, preset):
    """Hu et al. (2021), section 4.1: r (d_in + d_out); Liu et al. (2024), section 4: a magnitude for each row."""
    bare = load_nano(name).model
    for config, extra in ((replace(LORA, keys=preset), 0), (replace(DORA, keys=preset), 1)):
        _, value = attached(load_nano, config, name)
        sides = sides_of(bare, value.modules)
        assert value.trainable_parameters == sum(4 * (rows + columns) + extra * rows for rows, columns in sides)


def test_a_full_fine_tune_trains_all_of_the_last_blocks_and_nothing_else(load_nano):
    loaded, value = attached(load_nano, FULL)
    trainable = dict(tree_flatten(loaded.model.trainable_parameters()))
    blocks = [dict(tree_flatten(block.parameters())) for block in loaded.model.layers]
    assert value.trainable_parameters == sum(array.size for block in blocks[-2:] for array in block.values())
    assert {name.split(".")[2] for name in trainable} == {"2", "3"}
    assert (value.layers, value.facts()["rank"], value.facts()["peft_alpha_equivalent"]) == (2, None, None)
    assert {"self_attn.q_proj", "mlp.up_proj", "input_layernorm"} < set(value.keys)


@pytest.mark.parametrize("config", [LORA, DORA, FULL], ids=lambda value: value.kind)
def test_a_fresh_adapter_changes_nothing(load_nano, config):
    base = logits_of(load_nano("tinyllama").model)
    loaded, _ = attached(load_nano, config)
    np.testing.assert_allclose(logits_of(loaded.model), base, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", [LORA, DORA, FULL], ids=lambda value: value.kind)
def test_what_was_trained_is_saved_and_loaded_as_it_was_by_us_and_by_mlx_lm(nano, load_nano, config, tmp_path):
    loaded, item = attached(load_nano, config)
    model = loaded.model
    base = logits_of(model)
    model.update(tree_map(lambda array: array + 0.01, model.trainable_parameters()))
    model.eval()
    expected = logits_of(model)
    assert np.abs(expected - base).max() > 1e-3
    mlxlm.save_adapter(model, item, tmp_path)
    again = load_nano("tinyllama")
    assert mlxlm.load_adapter(again.model, config, tmp_path) == item
    np.testing.assert_allclose(logits_of(again.model), expected, rtol=1e-5, atol=1e-6)
    theirs = mlx_lm.load(nano("tinyllama").directory, adapter_path=str(tmp_path))[0]
    np.testing.assert_allclose(logits_of(theirs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [LORA, DORA], ids=lambda value: value.kind)
def test_a_quantized_base_has_the_same_adapter(load_nano, config):
    _, expected = attached(load_nano, config)
    loaded = load_nano("tinyllama")
    nn.quantize(loaded.model, group_size=32, bits=8)
    result = mlxlm.attach_adapter(loaded.model, config, loaded.model_type)
    assert result == expected
    gradients = nn.value_and_grad(loaded.model, lambda tokens: loaded.model(tokens).sum())(mx.array([[5, 6]]))[1]
    assert {name.rpartition(".")[2] for name, _ in tree_flatten(gradients)} <= {"lora_a", "lora_b", "m"}


def test_a_full_fine_tune_of_quantized_blocks_is_refused(load_nano):
    loaded = load_nano("tinyllama")
    nn.quantize(loaded.model, group_size=32, bits=8)
    with pytest.raises(BadConfig, match="kind 'full' on a quantised base: quantised weights have no gradient"):
        mlxlm.attach_adapter(loaded.model, FULL, loaded.model_type)


def resumed(config, directory):
    digest = hashlib.sha256((directory / "adapters.safetensors").read_bytes()).hexdigest()
    return replace(config, resume=str(directory), resume_sha256=digest)


@pytest.fixture
def earlier(load_nano, tmp_path):
    """A directory with an adapter full of 0.5."""
    loaded, value = attached(load_nano, LORA)
    loaded.model.update(tree_map(lambda array: mx.full(array.shape, 0.5), loaded.model.trainable_parameters()))
    mlxlm.save_adapter(loaded.model, value, tmp_path / "earlier")
    return tmp_path / "earlier"


def test_an_adapter_that_is_resumed_starts_where_it_ended(load_nano, earlier):
    config = resumed(LORA, earlier)
    loaded, value = attached(load_nano, config)
    trainable = dict(tree_flatten(loaded.model.trainable_parameters()))
    assert {float(array.min().item()) for array in trainable.values()} == {0.5}
    assert value.facts()["resumed_from_sha256"] == config.resume_sha256


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"rank": 5},
            r"model\.layers\.2\.self_attn\.q_proj\.lora_a has shape \(128, 4\); the model has it with \(128, 5\)",
        ),
        ({"layers": 3}, r"model\.layers\.1\.self_attn\.q_proj\.lora_a is missing"),
        ({"layers": 1}, r"model\.layers\.2\.self_attn\.q_proj\.lora_a is unexpected"),
        ({"keys": "all"}, r"20 problems\n(.*\n){10}  and 10 more"),
        ({"kind": AdapterKind.DORA}, r"\.m is missing"),
    ],
)
def test_another_adapter_than_the_config_describes_is_not_resumed(load_nano, earlier, changes, problem):
    with pytest.raises(BadConfig, match=problem):
        attached(load_nano, replace(resumed(LORA, earlier), **changes))


def test_a_shipped_config_s_modules_are_named_in_full(load_nano):
    _, value = attached(load_nano, read_adapter("qv-r8"), "gpt2")
    assert value.facts()["modules"] == [f"model.h.{block}.attn.c_attn" for block in range(4)]
    assert value.facts()["keys"] == ["attn.c_attn"]
