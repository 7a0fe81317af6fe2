import gc
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from harness.inputs import hub
from harness.inputs.config_files import known, read_adapter, read_model
from harness.inputs.plans import AdapterConfig, AdapterKind
from harness.worker import mlxlm
from harness.worker.workloads.count_parameters import count, count_all

# Total, and trainable at rank 8: all matrices of the last 16 blocks, of all; query and value of the last 16, of all.
# Counted from the repositories' config.json files; GPT-2 has 12 blocks and query, key and value in one matrix.
PUBLISHED = {
    "tinyllama": (1_100_048_384, 4_587_520, 6_307_840, 819_200, 1_126_400),
    "qwen": (1_543_714_304, 5_275_648, 9_232_384, 622_592, 1_089_536),
    "qwen-0.5b": (494_032_768, 2_932_736, 4_399_104, 360_448, 540_672),
    "gpt2": (124_439_808, 1_179_648, 1_179_648, 294_912, 294_912),
    "smollm2": (134_515_008, 1_302_528, 2_442_240, 245_760, 460_800),
    "smollm2-360m": (361_821_120, 2_170_880, 4_341_760, 409_600, 819_200),
    "llama-1b": (1_235_814_400, 5_636_096, 5_636_096, 851_968, 851_968),
    "gemma-270m": (268_098_176, 1_687_552, 1_898_496, 327_680, 368_640),
    "gemma-1b": (999_885_952, 4_014_080, 6_522_880, 458_752, 745_472),
    "qwen3-0.6b": (596_049_920, 2_883_584, 5_046_272, 655_360, 1_146_880),
}


COLUMNS = [(keys, layers) for keys in ("all", "qv") for layers in (16, None)]


def rank_8(keys, layers):
    return AdapterConfig(name="r8", rank=8, scale=20.0, layers=layers, keys=keys)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameters_are_the_published_ones(name):
    total, *trainable = PUBLISHED[name]
    counted = [count(read_model(name), rank_8(*column)) for column in COLUMNS]
    assert {item["total_parameters"] for item in counted} == {total}
    assert [element["trainable_parameters"] for element in counted] == trainable


def closed_form(config, keys, layers):
    """r (d_in + d_out) for every adapted matrix, from the sizes of the config alone."""
    if config["model_type"] == "gpt2":
        width, blocks = config["n_embd"], config["n_layer"]
        matrices = [(width, 3 * width)]
        matrices += [(width, width), (width, 4 * width), (4 * width, width)] if keys == "all" else []
    else:
        width, wide, blocks = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        head = config.get("head_dim", width // heads)
        matrices = [(width, heads * head), (width, kv_heads * head)]
        if keys == "all":
            matrices += [(width, kv_heads * head), (heads * head, width), (width, wide), (width, wide), (wide, width)]
    return min(layers or blocks, blocks) * sum(8 * (rows + columns) for rows, columns in matrices)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_trainable_parameters_are_those_of_the_closed_form(name):
    config = read_model(name).config
    assert [closed_form(config, *column) for column in COLUMNS] == list(PUBLISHED[name][1:])


def test_every_model_of_the_registry_is_counted_here():
    assert set(PUBLISHED) == set(known("models"))


@pytest.mark.parametrize(
    ("model", "adapter", "published"),
    [
        ("tinyllama", "qv-r8", 819_200),
        ("tinyllama", "qv-r16", 819_200),
        ("qwen", "all-r8", 5_275_648),
        ("qwen", "s0", 622_592),
        ("qwen", "s2", 9_232_384),
        ("tinyllama", "s3", 819_200),
    ],
)
def test_the_trainable_parameters_are_those_of_published_runs(model, adapter, published):
    assert count(read_model(model), read_adapter(adapter))["trainable_parameters"] == published


@pytest.mark.parametrize(("model", "published"), [("tinyllama", 4_874_240), ("qwen", 5_644_288)])
def test_dora_trains_a_magnitude_for_each_row_as_well(model, published):
    dora = replace(rank_8("all", 16), kind=AdapterKind.DORA)
    assert count(read_model(model), dora)["trainable_parameters"] == published


@pytest.mark.parametrize("name", ["gpt2", "gemma-270m", "qwen3-0.6b"])
@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_count_as_what_they_stand_for(name, bits):
    """An affine group of 64 has a scale and an offset of 32 bits each here: a bit a weight more."""
    config = {**read_model(name).config, "quantization": {"group_size": 64, "bits": bits}}
    built = mlxlm.build(config)
    assert mlxlm.total_parameters(built) == PUBLISHED[name][0]
    assert mlxlm.bits_per_weight(built) == pytest.approx(bits + 1, rel=0.06)  # norms and positions stay as they were


def test_what_the_registry_does_not_have_is_counted_as_it_lies_on_this_machine(nano, monkeypatch):
    """And only that: finding a snapshot hashes its weights, which takes seconds a model."""
    here = Path(nano("gpt2").directory)
    monkeypatch.setattr(hub, "cached_snapshot", lambda repository, revision: here if revision == "v2" else None)
    counted = count(read_model("hf:org/any@v2"), read_adapter("qv-r8"))
    assert (counted["model_type"], counted["total_parameters"]) == ("gpt2", 1_055_488)
    assert counted["trainable_parameters"] == 4 * 8 * (128 + 3 * 128)
    monkeypatch.setattr(hub, "cached_snapshot", lambda *_: pytest.fail("asked for a model of the registry"))
    assert count(read_model("qwen"), None)["total_parameters"] == PUBLISHED["qwen"][0]


def test_weights_that_do_not_fit_their_config_are_not_counted(nano, tmp_path):
    path = shutil.copytree(nano("qwen").directory, tmp_path / "odd")
    shutil.copy2(Path(nano("gpt2").directory) / "config.json", path)
    counted = count_all([read_model(f"path:{path}")], None)[f"path:{path}"]
    assert "config.json and weights do not make a 'gpt2' model" in counted["problem"]


def test_counting_a_billion_parameters_allocates_next_to_nothing():
    gc.collect()  # nothing of other tests is freed in between
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    count(read_model("tinyllama"), read_adapter("qv-r8"))
    assert mx.get_peak_memory() - before < 10_000_000  # the model has 4.4 GB
