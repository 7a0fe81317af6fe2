from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner.utils import linear_to_lora_layers

from harness.worker import mlxlm
from harness.worker.mlxlm import adapter_check
from harness.worker.mlxlm.adapter_check import check_tensors, doubt_about_fresh, doubt_about_trained, effect, logits

TOKENS = range(3, 15)
KEYS = ["self_attn.q_proj", "mlp.up_proj"]


def adapted(model, *, rank=4, keys=KEYS, layers=2, dora=False):
    """A model with a fresh adapter, put there by mlx-lm itself."""
    model.freeze()
    linear_to_lora_layers(
        model, layers, {"rank": rank, "scale": 20.0, "dropout": 0.0, "keys": list(keys)}, use_dora=dora
    )
    return model


def saved(model, file):
    mx.save_safetensors(str(file), dict(tree_flatten(model.trainable_parameters())))
    return file


def trained(model, by=0.02):
    model.update(tree_map(lambda value: value + by, model.trainable_parameters()))
    return model


@pytest.fixture
def fresh(load_nano):
    return lambda name="tinyllama": load_nano(name).model


@pytest.mark.parametrize("dora", [False, True])
def test_an_adapter_s_own_file_fits(fresh, tmp_path, dora):
    file = saved(adapted(fresh(), dora=dora), tmp_path / "a.safetensors")
    leaves = {name.rpartition(".")[2] for name in mx.load(str(file))}
    assert leaves == ({"lora_a", "lora_b", "m"} if dora else {"lora_a", "lora_b"})
    assert check_tensors(adapted(fresh(), dora=dora), file) == []


def test_fully_trained_blocks_fit_their_own_file(fresh, tmp_path):
    model = fresh()
    model.freeze()
    model.layers[-1].unfreeze()
    file = saved(model, tmp_path / "a.safetensors")
    assert check_tensors(model, file) == []
    model.layers[-2].unfreeze()
    problems = check_tensors(model, file)
    assert len(problems) == 9  # seven matrices and two norms
    assert all("is missing" in problem for problem in problems)


def test_keys_that_match_nothing_attach_nothing(fresh, tmp_path):
    """mlx-lm takes such keys without a word, saves an empty file, and loads it again."""
    model = adapted(fresh(), keys=["auto"])
    assert check_tensors(model, saved(model, tmp_path / "a.safetensors")) == [
        "the model has no trainable parameter: nothing is attached to it"
    ]


def test_full_path_keys_put_an_adapter_where_none_was_asked_for(fresh, tmp_path):
    """mlx-lm's keys count from the block; a path from the model's top adapts that one matrix."""
    path = "model.layers.0.self_attn.q_proj"
    file = saved(adapted(fresh(), keys=[path]), tmp_path / "a.safetensors")
    problems = check_tensors(adapted(fresh(), keys=["self_attn.q_proj"], layers=1), file)
    assert [item.split(" ")[0].rpartition(".")[0] for item in problems if "is unexpected" in item] == [path, path]
    assert sum("is missing" in problem for problem in problems) == 2


def test_another_rank_is_named_with_both_shapes(fresh, tmp_path):
    file = saved(adapted(fresh(), rank=8, keys=KEYS[:1], layers=1), tmp_path / "a.safetensors")
    a, b = check_tensors(adapted(fresh(), rank=4, keys=KEYS[:1], layers=1), file)
    assert a.endswith("self_attn.q_proj.lora_a has shape (128, 8); the model has it with (128, 4)")
    assert b.endswith("self_attn.q_proj.lora_b has shape (8, 256); the model has it with (4, 256)")


def test_an_adapter_of_another_model_is_told_by_every_tensor(fresh, tmp_path):
    """GPT-2's 4 adapted matrices and the other's 4: 16 tensors on one side alone."""
    file = saved(adapted(fresh("gpt2"), keys=["attn.c_attn", "mlp.c_fc"]), tmp_path / "a.safetensors")
    problems = check_tensors(adapted(fresh()), file)
    assert len(problems) == 16


def test_ten_problems_are_all_named(tmp_path):
    mx.save_safetensors(str(tmp_path / "a.safetensors"), {f"t{i}": mx.zeros(1) for i in range(10)})
    problems = check_tensors(nn.Linear(2, 2, bias=False), tmp_path / "a.safetensors")
    assert len(problems) == 11  # and the weight is missing
    model = SimpleNamespace(trainable_parameters=lambda: {"t0": mx.zeros(1)})
    assert len(check_tensors(model, tmp_path / "a.safetensors")) == 9


def test_an_effect_is_the_largest_difference_either_way():
    assert effect(mx.array([1.0, 5.0, 2.0]), mx.array([1.5, 2.0, 4.0])) == 3.0


def test_logits_are_asked_for_without_dropout(fresh):
    model = trained(adapted(fresh()))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module._p_1 = 0.5
    model.train()
    first = logits(model, TOKENS)
    assert first.shape[0] == len(TOKENS)
    assert effect(first, logits(model, TOKENS)) == 0.0


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_a_fresh_adapter_is_not_doubted_and_one_that_moved_is(fresh, bits, dora, dtype):
    model = fresh()
    model.set_dtype(dtype)
    if bits:
        nn.quantize(model, group_size=32, bits=bits)
    base = logits(model, TOKENS)
    adapted(model, dora=dora)
    assert doubt_about_fresh(base, model, TOKENS) is None
    assert doubt_about_trained(base, model, TOKENS).startswith("the adapter changes nothing")
    trained(model)
    assert doubt_about_fresh(base, model, TOKENS).startswith("the adapter is untrained and moves the logits")
    assert doubt_about_trained(base, model, TOKENS) is None


class Says(nn.Module):
    """A model of two logits, of which one is moved."""

    def __init__(self, by):
        super().__init__()
        self._by = by

    def __call__(self, tokens):
        return mx.array([[[-4.0, self._by]]])


@pytest.mark.parametrize(("by", "doubted"), [(4.5e-7, True), (5e-7, False)])
def test_what_moves_less_than_the_largest_logit_is_rounded_by_is_doubted(by, doubted):
    """Float32 tells 4 from 4 + 2^-21, which is 4.8e-7, and from nothing nearer."""
    base = logits(Says(0.0), [1])
    assert adapter_check.rounding(base) == 2**-21
    assert (doubt_about_trained(base, Says(by), [1]) is not None) is doubted


def test_dora_whose_lengths_alone_were_trained_is_attached(fresh):
    model = fresh()
    base = logits(model, TOKENS)
    adapted(model, dora=True)
    result = model.layers[-1].self_attn.q_proj
    result.m = result.m * 1.05
    assert doubt_about_trained(base, model, TOKENS) is None


def test_full_training_is_compared_with_the_model_before_it(fresh):
    model = fresh()
    base = logits(model, TOKENS)
    assert doubt_about_trained(base, model, TOKENS) is not None
    model.freeze()
    model.layers[-1].unfreeze()
    assert doubt_about_trained(base, trained(model), TOKENS) is None


def test_the_door_has_these(fresh):
    assert mlxlm.check_tensors is check_tensors
    assert (mlxlm.doubt_about_fresh, mlxlm.doubt_about_trained) == (doubt_about_fresh, doubt_about_trained)
