import math
from types import SimpleNamespace

import mlx.core as mx
import mlx_lm.tuner.utils
import mlx_lm.utils
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from harness.worker.mlxlm import swap
from harness.worker.mlxlm.adapter_check import effect, logits
from harness.worker.mlxlm.fuse import _dequantize_module, _fuse, agreement, fuse_agreements, fuse_variants, fused
from harness.worker.mlxlm.swap import OnDemand, bare
from harness.worker.prediction_agreement import is_lossy

TOKENS = list(range(3, 15))
ROWS = [TOKENS, [7, 8], list(range(20, 5, -1))]  # of unequal length, so that they are padded
# In whichever of its places this mlx-lm has it.
DEQUANTIZE = getattr(mlx_lm.utils, "dequantize_model", None) or mlx_lm.tuner.utils.dequantize
KEYS = ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"]


def tuned(load_nano, *, bits=None, dora=False, name="tinyllama", keys=KEYS, delta=0.01):
    """A stand-in with a trained adapter on its last two blocks."""
    model = load_nano(name).model
    if bits:
        nn.quantize(model, group_size=32, bits=bits)
    model.freeze()
    parameters = {"rank": 4, "scale": 20.0, "dropout": 0.0, "keys": keys}
    mx.random.seed(3)
    linear_to_lora_layers(model, 2, parameters, use_dora=dora)
    for parameter, value in tree_flatten(model.trainable_parameters()):
        if parameter.endswith("lora_b"):
            model.update(tree_unflatten([(parameter, delta * mx.random.normal(value.shape))]), strict=False)
    mx.eval(model.parameters())
    model.eval()
    return model


def fused_by_mlx_lm(model, *, dequantize):
    """As mlx_lm.fuse does it."""
    layers = [(n, m.fuse(dequantize)) for n, m in model.named_modules() if hasattr(m, "fuse")]
    model.update_modules(tree_unflatten(layers))
    return DEQUANTIZE(model) if dequantize else model


def test_a_divergence_worked_by_hand():
    """Of p = (1/2, 1/2) and q = (1/4, 3/4): ln(2) / 2 + ln(2/3) / 2. Of a token both are sure of alike: 0."""
    p, q = mx.array([[0.0, 0.0], [5.0, 1.0]]), mx.log(mx.array([[0.25, 0.75], [0.5, 0.5]]))
    q[1] = mx.array([105.0, 101.0])  # the same odds: a constant on top of all logits changes nothing
    result = agreement(p, q)
    assert result.tokens == 2
    assert result.kl_nat == pytest.approx(math.log(2) / 2 + math.log(2 / 3) / 2, rel=1e-5)
    assert result.same_top == 1  # of the even first one the first is taken, and q takes the second


def test_a_divergence_is_that_of_numpy_in_double_precision():
    draw = np.random.default_rng(5)
    p, q = draw.normal(0, 4, (2, 30, 500)).astype(np.float32)
    q[:20] = p[:20] + draw.normal(0, 0.1, (20, 500)).astype(np.float32)

    def log_softmax(value):
        value = value.astype(np.float64)
        return value - np.log(np.exp(value).sum(axis=-1, keepdims=True))

    log_p, log_q = log_softmax(p), log_softmax(q)
    result = agreement(mx.array(p), mx.array(q))
    assert result.kl_nat == pytest.approx((np.exp(log_p) * (log_p - log_q)).sum(), rel=1e-5)
    assert result.same_top == (p.argmax(-1) == q.argmax(-1)).sum()


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize(("bits", "variant"), [(None, "plain"), (4, "quantised"), (4, "dequantised"), (8, "quantised")])
def test_a_merged_model_says_what_mlx_lm_s_own_says(load_nano, bits, variant, dora):
    model = tuned(load_nano, bits=bits, dora=dora)
    before = logits(model, TOKENS)
    with fused(model, variant):
        merged = logits(model, TOKENS)
        assert not any("lora_a" in module for module in model.modules())
    assert effect(before, logits(model, TOKENS)) == 0.0  # and the model is as it was
    own = logits(fused_by_mlx_lm(model, dequantize=variant == "dequantised"), TOKENS)
    assert effect(own, merged) == 0.0
    assert effect(before, merged) > 0.0


def test_nothing_is_quantized_in_the_dequantized_model(load_nano):
    model = tuned(load_nano, bits=4)
    with fused(model, "dequantised"):
        assert not any("scales" in module for module in model.modules())
    with fused(model, "quantised"):
        assert any("scales" in item for item in model.modules())


def test_the_model_is_as_it_was_after_a_failure(load_nano):
    model = tuned(load_nano)
    before = [id(item) for item in model.modules()]
    with pytest.raises(KeyboardInterrupt), fused(model, "plain"):
        raise KeyboardInterrupt
    assert [id(module) for module in model.modules()] == before


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize(("name", "keys"), [("qwen", KEYS), ("gpt2", ["attn.c_attn"])])
def test_the_bare_model_is_the_base(load_nano, name, keys, dora):
    base = logits(load_nano(name).model, TOKENS)
    model = tuned(load_nano, name=name, keys=keys, dora=dora)
    with bare(model):
        assert effect(base, logits(model, TOKENS)) < 1e-6
    assert effect(base, logits(model, TOKENS)) > 1e-3


def test_dora_s_base_is_multiplied_as_dora_does_it(load_nano):
    """With B = 0 the lengths' ratio is 1, and what is left is the product: dequantized, with the bias apart."""
    model = tuned(load_nano, bits=4, dora=True, delta=0.0)
    with bare(model):
        base = logits(model, TOKENS)
    assert effect(base, logits(model, TOKENS)) == 0.0


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bits", [None, 4, 8])
def test_a_product_like_dora_s_is_that_of_the_layer(bits, bias):
    layer = nn.Linear(64, 8, bias=bias)
    x = mx.random.normal((3, 64))
    layer = layer.to_quantized(group_size=32, bits=bits) if bits else layer
    assert effect(layer(x), swap._Product(layer)(x)) < 1e-5


def test_the_variants_are_those_of_the_base(load_nano):
    assert fuse_variants(load_nano("tinyllama").model) == ()
    assert fuse_variants(tuned(load_nano)) == ("plain",)
    assert fuse_variants(tuned(load_nano, bits=4)) == ("quantised", "dequantised")


def test_a_model_whose_adapted_matrices_are_float_is_fused_plainly(load_nano):
    """The head is quantized, and no adapter sits on it."""
    model = tuned(load_nano)
    nn.quantize(model, group_size=32, bits=8, class_predicate=lambda name, value: name == "lm_head")
    assert any("scales" in module for module in model.modules())
    assert fuse_variants(model) == ("plain",)


def test_a_small_delta_is_lost_in_four_bits_and_kept_in_float(load_nano):
    fused_4_bit, bare_4_bit = fuse_agreements(tuned(load_nano, bits=4, delta=0.0005), ROWS, 2)
    assert is_lossy(fused_4_bit["quantised"], bare_4_bit)
    assert not is_lossy(fused_4_bit["dequantised"], bare_4_bit)
    assert fused_4_bit["dequantised"].kl_nat_per_token < 1e-6
    fused_float, bare_float = fuse_agreements(tuned(load_nano, delta=0.01), ROWS, 2)
    assert fused_float["plain"].kl_nat_per_token < 1e-6
    assert fused_float["plain"].top1_share == 1.0
    assert bare_float.kl_nat_per_token > 1e-4


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_every_predicted_token_counts_once_whatever_the_batch(load_nano, batch_size):
    """Row by row, against mlx-lm's own merged model: 11 + 1 + 14 tokens, none of padding."""
    merged, base = fuse_agreements(tuned(load_nano, bits=4), ROWS, batch_size)
    assert list(merged) == ["quantised", "dequantised"]
    model, own = tuned(load_nano, bits=4), fused_by_mlx_lm(tuned(load_nano, bits=4), dequantize=False)
    expected = [agreement(logits(model, row[:-1]), logits(own, row[:-1])) for row in ROWS]
    assert merged["quantised"].tokens == base.tokens == 26
    assert merged["quantised"].kl_nat == pytest.approx(sum(item.kl_nat for item in expected), rel=1e-3)
    assert merged["quantised"].same_top == sum(element.same_top for element in expected)


def test_the_divergence_is_seen_from_the_adapter(load_nano):
    """It is not the same the other way round."""
    model = tuned(load_nano, delta=3.0)
    _, base = fuse_agreements(model, [TOKENS], 1)
    sides = logits(model, TOKENS[:-1]), logits(load_nano("tinyllama").model, TOKENS[:-1])
    there, back = agreement(*sides).kl_nat, agreement(*reversed(sides)).kl_nat
    assert abs(there / back - 1) > 1e-3
    assert base.kl_nat == pytest.approx(there, rel=1e-4)


def test_the_argument_is_spelled_as_the_layer_spells_it():
    class Old:
        def fuse(self, de_quantize=False):
            return "old", de_quantize

    class New:
        def fuse(self, dequantize=False):
            return "new", dequantize

    assert _fuse(Old(), dequantize=True) == ("old", True)
    assert _fuse(New(), dequantize=True) == ("new", True)


def test_an_older_mlx_lm_dequantizes_by_another_name(monkeypatch):
    linear = nn.QuantizedLinear(32, 8, bias=False, group_size=32, bits=4)
    new = _dequantize_module(linear)
    monkeypatch.delattr(mlx_lm.utils, "dequantize_model", raising=False)
    monkeypatch.setattr(mlx_lm.tuner.utils, "dequantize", DEQUANTIZE, raising=False)
    old = _dequantize_module(linear)
    assert type(new) is type(old) is nn.Linear
    assert effect(new.weight, old.weight) == 0.0


def test_a_module_on_demand_is_made_for_every_use():
    made = []

    def make():
        made.append(SimpleNamespace(as_linear=lambda x: x + 1))
        return made[-1]

    result = OnDemand(make)
    assert (result.as_linear(2), result.as_linear(3)) == (3, 4)
    assert len(made) == 2
