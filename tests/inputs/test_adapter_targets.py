import pytest

from harness.errors import BadConfig
from harness.inputs.adapter_targets import PRESETS, resolve
from harness.inputs.plans import AdapterConfig

LLAMA = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (16, 64),
    "self_attn.v_proj": (16, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (128, 64),
    "mlp.up_proj": (128, 64),
    "mlp.down_proj": (64, 128),
}
GPT2 = {"attn.c_attn": (192, 64), "attn.c_proj": (64, 64), "mlp.c_fc": (256, 64), "mlp.c_proj": (64, 256)}
PHI3 = {"self_attn.qkv_proj": (192, 64), "self_attn.o_proj": (64, 64), "mlp.gate_up_proj": (256, 64)}


def config(keys, rank=8):
    return AdapterConfig(name="mine", rank=rank, scale=20.0, layers=None, keys=keys)


@pytest.mark.parametrize(
    ("preset", "matrices", "meant"),
    [
        ("qv", LLAMA, "self_attn.q_proj self_attn.v_proj"),
        ("qv", GPT2, "attn.c_attn"),
        ("qv", PHI3, "self_attn.qkv_proj"),
        ("attention", LLAMA, "self_attn.k_proj self_attn.o_proj self_attn.q_proj self_attn.v_proj"),
        ("attention", GPT2, "attn.c_attn attn.c_proj"),
        ("mlp", LLAMA, "mlp.down_proj mlp.gate_proj mlp.up_proj"),
        ("mlp", GPT2, "mlp.c_fc mlp.c_proj"),
        ("all", GPT2, "attn.c_attn attn.c_proj mlp.c_fc mlp.c_proj"),
    ],
)
def test_a_preset_means_the_matrices_of_each_architecture(preset, matrices, meant):
    assert resolve(config(preset), "some", matrices) == tuple(meant.split())


@pytest.mark.parametrize("matrices", [LLAMA, GPT2, PHI3])
def test_attention_and_mlp_make_up_all(matrices):
    parts = [set(resolve(config(preset), "some", matrices)) for preset in ("attention", "mlp")]
    assert parts[0] | parts[1] == set(resolve(config("all"), "some", matrices)) == set(matrices)
    assert not parts[0] & parts[1]
    assert set(PRESETS) == {"qv", "attention", "mlp", "all"}


def test_a_list_means_what_it_names_each_once():
    keys = {"default": ("self_attn.v_proj", "self_attn.q_proj", "self_attn.v_proj")}
    assert resolve(config(keys), "llama", LLAMA) == ("self_attn.v_proj", "self_attn.q_proj")


def test_a_model_type_has_its_own_list_or_the_default():
    keys = {"default": ("self_attn.q_proj",), "gpt2": ("attn.c_attn",)}
    assert resolve(config(keys), "gpt2", GPT2) == ("attn.c_attn",)
    assert resolve(config(keys), "llama", LLAMA) == ("self_attn.q_proj",)


def refusal(*args):
    with pytest.raises(BadConfig) as refused:
        resolve(*args)
    return str(refused.value)


def test_a_model_type_without_a_list_is_refused_and_told_what_to_add():
    assert refusal(config({"gpt2": ("attn.c_attn",)}), "llama", LLAMA) == (
        "adapter mine: 1 problem\n  no keys for 'llama'; add 'llama' or 'default' under [keys], or name a preset"
    )


def test_every_key_that_matches_nothing_is_named_with_what_there_is():
    known = "known: attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj"
    keys = {"default": ("model.h.3.attn.c_attn", "auto", "mlp.c_cf")}
    assert refusal(config(keys), "gpt2", GPT2).splitlines() == [
        "adapter mine: 3 problems",
        f"  key 'auto' matches no matrix of a 'gpt2' block; {known}",
        f"  key 'mlp.c_cf' matches no matrix of a 'gpt2' block; {known}. Did you mean 'mlp.c_fc'?",
        f"  key 'model.h.3.attn.c_attn' matches no matrix of a 'gpt2' block; {known}. Did you mean 'attn.c_attn'?",
    ]


def test_a_preset_that_matches_nothing_is_refused():
    assert refusal(config("mlp"), "odd", {"self_attn.q_proj": (4, 4)}).splitlines()[1] == (
        "  preset 'mlp' matches no matrix of a 'odd' block; known: self_attn.q_proj"
    )


def test_a_rank_may_be_as_large_as_the_smaller_side_and_no_larger():
    assert resolve(config("qv", rank=16), "llama", LLAMA)
    assert refusal(config("qv", rank=17), "llama", LLAMA) == (
        "adapter mine: 1 problem\n  rank 17 is above the smaller side of self_attn.v_proj (16 x 64); give 16 or less"
    )


def test_a_gate_of_a_feed_forward_layer_is_no_query():
    assert resolve(config("qv"), "odd", {"mlp.query": (16, 16), "attn.query": (16, 16)}) == ("attn.query",)
