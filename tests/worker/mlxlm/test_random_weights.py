import gc
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from harness.errors import BadWeights
from harness.inputs.config_files import read_model
from harness.inputs.model_dir import read_config, write_json
from harness.inputs.plans import Quantization
from harness.worker import mlxlm, stand_ins
from harness.worker.mlxlm import models
from harness.worker.mlxlm.parameter_counts import stored_bytes

SHAPES = {"a.weight": (300, 200), "a.bias": (300,), "norm.weight": (200,), "b.weight": (200, 300)}


def drawn(seed=0, shapes=SHAPES, **more):
    return dict(mlxlm.draw_weights(shapes, seed, **more))


def test_matrices_are_spread_around_nothing_norms_are_one_and_biases_nothing():
    result = {name: np.array(array) for name, array in drawn().items()}
    assert {name: array.shape for name, array in result.items()} == SHAPES
    pooled = np.concatenate([result["a.weight"].ravel(), result["b.weight"].ravel()])
    assert abs(pooled.mean()) < 4 * 0.02 / math.sqrt(pooled.size)
    assert pooled.std() == pytest.approx(0.02, rel=0.01)
    assert np.abs(pooled).max() <= 0.02 * math.sqrt(3) * 1.0001  # the ends of a uniform distribution
    assert set(result["norm.weight"]) == {1.0}
    assert set(result["a.bias"]) == {0.0}


def test_a_parameter_depends_on_seed_and_name_and_on_nothing_else():
    first, other_order = drawn(), drawn(shapes=dict(reversed(SHAPES.items())))
    alone = drawn(shapes={"b.weight": (200, 300)})
    for item in (other_order, alone):
        np.testing.assert_array_equal(np.array(item["b.weight"]), np.array(first["b.weight"]))
    assert not np.array_equal(np.array(drawn(seed=1)["b.weight"]), np.array(first["b.weight"]))
    assert not np.array_equal(np.array(first["a.weight"]).ravel(), np.array(first["b.weight"]).ravel())


def test_the_values_are_those_they_have_always_been():
    """Else records of before and after would be taken for the same weights: raise the version in stand_ins.py."""
    assert np.array(drawn()["a.weight"])[0, :3].tolist() == pytest.approx(
        [-0.0133027844, 0.0195083134, -0.0185499471], rel=1e-6
    )


def test_what_is_drawn_is_of_the_type_that_is_asked_for():
    assert {array.dtype for array in drawn(dtype=mx.bfloat16).values()} == {mx.bfloat16}


@pytest.fixture
def directory(tmp_path):
    """A stand-in of "full" size that is small: the sizes of the shrunk one are taken for published."""

    def build(quantization=None, name="tinyllama"):
        model = read_model(name)
        small = replace(model, config={**model.config, **model.nano, "vocab_size": 1100})
        path = tmp_path / f"{name}-{quantization and quantization.bits}"
        path.mkdir()
        stand_ins.build_full(small, quantization, path)
        return path

    return build


def test_a_directory_without_weights_is_loaded_with_drawn_ones(directory):
    loaded = mlxlm.load(directory(), None)
    assert loaded.model.model.embed_tokens.weight.shape == (1100, 128)
    assert loaded.dtype == "float32"
    expected = drawn(shapes=mlxlm.parameter_shapes(read_config(directory(name="gemma-270m"))))
    again = mlxlm.load(directory(name="llama-1b"), None)
    assert set(dict(tree_flatten(again.model.parameters()))) & set(expected)
    assert mx.isfinite(loaded.model(mx.array([[1, 2]]))).all().item()


def test_a_loaded_parameter_is_the_one_that_was_drawn_for_its_name(directory):
    path = directory(name="gemma-270m")
    loaded = dict(tree_flatten(mlxlm.load(path, None).model.parameters()))
    expected = drawn(shapes=mlxlm.parameter_shapes(read_config(path)))
    assert loaded.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(np.array(loaded[name]), np.array(array), err_msg=name)


def test_drawn_weights_are_quantized_as_the_config_says(directory):
    result = Quantization(bits=4, group_size=32)
    model = mlxlm.load(directory(result), None).model
    whole = mlxlm.load(directory(), None).model
    packed = model.model.layers[0].mlp.up_proj
    assert (packed.bits, packed.group_size) == (4, 32)
    plain = whole.model.layers[0].mlp.up_proj.weight
    again = mx.dequantize(packed.weight, packed.scales, packed.biases, 32, 4)
    step = 2 * 0.02 * math.sqrt(3) / 15  # the whole range in 15 steps
    assert mx.abs(plain - again).max().item() < step
    assert mlxlm.total_parameters(model) == mlxlm.total_parameters(whole)


def test_what_is_no_matrix_of_a_quantized_layer_is_drawn_as_ever(directory):
    path = directory(Quantization(bits=8), name="qwen")
    packed = mlxlm.load(path, None).model.model.layers[0].self_attn.q_proj
    assert packed.weight.shape == (192, 192 // 4)  # four to a word
    assert np.array(packed.bias).tolist() == [0.0] * 192


def test_drawn_weights_are_never_in_memory_whole_before_they_are_quantized(directory):
    path = directory(Quantization(bits=4))
    whole = stored_bytes(mlxlm.build({**read_config(path), "quantization": None}))
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    model = mlxlm.load(path, None).model
    assert mx.get_peak_memory() - before < whole / 2
    assert stored_bytes(model) < whole / 5


@pytest.mark.parametrize(
    ("value", "average"),
    [(Quantization(bits=8), 8.5), (Quantization(bits=4, group_size=32, mode="mxfp4"), 4.25)],
)
def test_on_a_gpu_weights_are_drawn_in_half_precision(directory, monkeypatch, value, average):
    """A scale and an offset of 16 bits for 64 weights, or a scale of 8 for 32; norms are a thousandth of all."""
    path = directory(value)
    monkeypatch.setattr(models, "_on_cpu", lambda: False)
    loaded = mlxlm.load(path, None)
    assert loaded.dtype == "bfloat16"
    assert mlxlm.bits_per_weight(loaded.model) == pytest.approx(average, rel=4e-3)
    assert mlxlm.bits_per_weight(mlxlm.load_lazily(path)) == mlxlm.bits_per_weight(loaded.model)


def test_a_model_that_is_looked_at_lazily_takes_no_memory(directory):
    path = directory()
    before = mx.get_active_memory()
    model = mlxlm.load_lazily(path)
    assert mlxlm.total_parameters(model) > 1_000_000
    assert mx.get_active_memory() - before < 100_000


def test_weights_of_another_architecture_are_refused_before_they_are_read(nano, tmp_path):
    path = shutil.copytree(nano("tinyllama").directory, tmp_path / "odd")
    write_json(path / "config.json", read_config(Path(nano("qwen").directory)))
    with pytest.raises(BadWeights, match=r"odd: config\.json and weights do not make a 'qwen2' model .{0,340}$"):
        mlxlm.load_lazily(path)


def test_a_quantized_copy_is_read_with_the_facts_it_was_written_with(nano, tmp_path):
    result = Quantization(bits=8, group_size=32)
    mlxlm.write_quantized(Path(nano("qwen").directory), tmp_path, result)
    assert read_config(tmp_path)["quantization"] == asdict(result)
    built = mlxlm.build(read_config(tmp_path))
    read = mlxlm.load_lazily(tmp_path)
    shapes = [{name: array.shape for name, array in tree_flatten(model.parameters())} for model in (built, read)]
    assert shapes[0] == shapes[1]
