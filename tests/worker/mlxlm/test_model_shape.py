import gc
from dataclasses import replace
from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx import nn

from harness.inputs.config_files import read_model
from harness.inputs.plans import AdapterConfig
from harness.worker import mlxlm
from harness.worker.model_costs import ModelShape

QV = AdapterConfig(
    name="mine", rank=8, scale=20.0, dropout=0.0, layers=16, keys={"default": ("self_attn.q_proj", "self_attn.v_proj")}
)


SHAPES = {
    "smollm2": ModelShape(
        layers=30,
        block_parameters=2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536,
        head_parameters=49152 * 576,
        attention_width=9 * 64,
        kv_width=3 * 64,
        vocabulary=49152,
        hidden=576,
        stored_bytes=4 * 134_515_008,
        weight_bytes=4 * 134_515_008,  # tied
        kv_bytes_per_element=4,
    ),
    "tinyllama": ModelShape(
        layers=22,
        block_parameters=2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 5632,  # q and o, k and v, the gated layer
        head_parameters=32000 * 2048,
        attention_width=32 * 64,
        kv_width=4 * 64,
        vocabulary=32000,
        hidden=2048,
        stored_bytes=4 * 1_100_048_384,
        weight_bytes=4 * (1_100_048_384 - 32000 * 2048),  # the input embedding is a table of its own
        kv_bytes_per_element=4,
    ),
    "qwen": ModelShape(
        layers=28,
        block_parameters=2 * 1536 * 1536 + 2 * 1536 * 256 + 3 * 1536 * 8960,
        head_parameters=151936 * 1536,
        attention_width=12 * 128,
        kv_width=2 * 128,
        vocabulary=151936,
        hidden=1536,
        stored_bytes=4 * 1_543_714_304,
        weight_bytes=4 * 1_543_714_304,  # tied
        kv_bytes_per_element=4,
    ),
    "gpt2": ModelShape(
        layers=12,
        block_parameters=768 * (3 * 768 + 768) + 2 * 768 * 4 * 768,  # c_attn and c_proj, the two of the layer
        head_parameters=50257 * 768,
        attention_width=768,
        kv_width=768,
        vocabulary=50257,
        hidden=768,
        stored_bytes=4 * 124_439_808,
        weight_bytes=4 * (124_439_808 - 1024 * 768),  # of the positions' table one row is read
        kv_bytes_per_element=4,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_model_s_shape_is_that_of_its_published_config(name):
    assert mlxlm.shape_of(mlxlm.build(read_model(name).config)) == SHAPES[name]


def test_reading_the_shape_of_a_billion_parameters_allocates_next_to_nothing():
    gc.collect()  # nothing of other tests is freed in between
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mlxlm.shape_of(mlxlm.build(read_model("tinyllama").config))
    assert mx.get_peak_memory() - before < 10_000_000


def test_a_quantized_model_has_the_shape_of_the_whole_one_in_fewer_bytes(load_nano):
    """4 bits a weight and a scale and an offset of 32 bits for 32 weights: 6 bits, or 0.75 bytes."""
    model = load_nano("smollm2").model
    whole = mlxlm.shape_of(model)
    nn.quantize(model, group_size=32, bits=4)
    shape = mlxlm.shape_of(model)
    matrices = 4 * whole.block_parameters + whole.head_parameters
    stored = whole.stored_bytes - 4 * matrices + matrices * 3 // 4
    assert shape == replace(whole, stored_bytes=stored, weight_bytes=stored)


def test_an_adapter_changes_nothing_of_the_shape_but_the_bytes(load_nano):
    model = load_nano("tinyllama").model
    before = mlxlm.shape_of(model)
    attached = mlxlm.attach_adapter(model, QV, "llama")
    more = 4 * attached.trainable_parameters
    after = replace(before, stored_bytes=before.stored_bytes + more, weight_bytes=before.weight_bytes + more)
    assert mlxlm.shape_of(model) == after


def test_a_model_that_is_built_too_differently_has_no_shape(load_nano):
    model = load_nano("qwen").model
    model.args = SimpleNamespace(tie_word_embeddings=True)  # a config that does not tell of its heads
    assert mlxlm.shape_of(model) is None


def test_a_mixture_of_experts_has_no_shape():
    """A token uses two of four experts, and its bytes and FLOP are not those of all."""
    config = {
        "model_type": "mixtral",
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
    assert mlxlm.shape_of(mlxlm.build(config)) is None
