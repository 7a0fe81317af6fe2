from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from harness.errors import BadWeights
from harness.inputs.model_dir import read_config
from harness.worker import gguf, mlxlm


@pytest.fixture(scope="module")
def converted(tiny_gguf, tmp_path_factory):
    directory = tmp_path_factory.mktemp("converted")
    gguf.convert(tiny_gguf.path, tiny_gguf.chat, directory)
    return directory


def test_every_tensor_comes_back_under_its_published_name_and_in_its_published_order(tiny_gguf, converted):
    weights = mx.load(str(converted / "model.safetensors"))
    assert weights.keys() == tiny_gguf.published.keys()
    for name, values in weights.items():
        assert values.dtype == mx.float32, name
        np.testing.assert_array_equal(np.array(values), tiny_gguf.published[name], err_msg=name)


def test_the_config_is_that_of_the_file(tiny_gguf, converted):
    assert read_config(converted) == {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "intermediate_size": 24,
        "vocab_size": len(tiny_gguf.tokens),
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }


def test_mlx_lm_loads_what_was_converted(tiny_gguf, converted):
    loaded = mlxlm.load(converted, None)
    assert loaded.model_type == "llama"
    assert loaded.model(mx.array([[2, 3, 4]])).shape == (1, 3, len(tiny_gguf.tokens))
    assert mlxlm.total_parameters(loaded.model) == sum(item.size for item in tiny_gguf.published.values())


def test_the_tokenizer_is_that_of_the_file(tiny_gguf, converted):
    tokenizer = mlxlm.load(converted, None).tokenizer
    ids = tokenizer.encode("hello 12", add_special_tokens=False)
    assert [tiny_gguf.tokens[i] for i in ids] == ["hell", "o", "Ġ", "1", "2"]
    assert tokenizer.encode("<|im_end|><|note|>", add_special_tokens=False) == [1, 2]
    assert tokenizer.eos_token_ids == {1}
    talk = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(talk, tokenize=False) == "Hi<|im_end|>"


def test_an_output_matrix_of_its_own_is_kept_apart(tiny_gguf, tmp_path):
    arrays, metadata = mx.load(str(tiny_gguf.path), return_metadata=True)
    output = mx.ones((len(tiny_gguf.tokens), 16)) * 3
    mx.save_gguf(str(tmp_path / "untied.gguf"), {**arrays, "output.weight": output}, metadata)
    gguf.convert(tmp_path / "untied.gguf", tiny_gguf.chat, tmp_path)
    assert read_config(tmp_path)["tie_word_embeddings"] is False
    weights = mx.load(str(tmp_path / "model.safetensors"))
    assert mx.array_equal(weights["lm_head.weight"], output).item()


@pytest.mark.parametrize(("heads", "size", "width"), [(1, 4, 3), (3, 8, 2), (9, 64, 5)])
def test_the_row_order_of_llama_cpp_is_undone(heads, size, width):
    """In each head llama.cpp puts row i of the first half before row i of the second: 0, n/2, 1, n/2 + 1, ..."""
    published = np.arange(heads * size * width, dtype=np.float32).reshape(heads * size, width)
    stored = np.empty_like(published)
    for head in range(heads):
        for row in range(size // 2):
            for half in range(2):
                stored[head * size + 2 * row + half] = published[head * size + half * (size // 2) + row]
    undone = gguf._rows_as_published(mx.array(stored), heads)
    np.testing.assert_array_equal(np.array(undone), published)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_become_what_their_scales_and_offsets_say(bits):
    """Values that lie on the grid: with 4 bits -1.5 + 0.25 n for n = 0 to 15, each once in either half of a group."""
    grid = np.tile(np.arange(2**4, dtype=np.float32) * 0.25 - 1.5, 8).reshape(2, 64)
    grid[:, 31] = grid[:, 63] = -1.5 + 0.25 * (2**bits - 1)  # the highest step there is
    packed, scales, offsets = mx.quantize(mx.array(grid), group_size=32, bits=bits)
    arrays = {"w.weight": packed, "w.scales": scales.astype(mx.float16), "w.biases": offsets.astype(mx.float16)}
    dense = gguf._dense(arrays, "w")
    assert dense.dtype == mx.float32
    np.testing.assert_allclose(np.array(dense), grid, atol=1e-5)


def test_half_precision_becomes_single_precision():
    dense = gguf._dense({"w.weight": mx.array([[0.5, -2.0]], dtype=mx.float16)}, "w")
    assert dense.dtype == mx.float32
    assert dense.tolist() == [[0.5, -2.0]]


def test_another_architecture_is_refused_by_name(tiny_gguf, tmp_path):
    path = tmp_path / "odd.gguf"
    mx.save_gguf(str(path), {"token_embd.weight": mx.ones((2, 2))}, {"general.architecture": "falcon"})
    with pytest.raises(BadWeights, match=r"^odd\.gguf: architecture 'falcon'; only 'llama'"):
        gguf.convert(path, tiny_gguf.chat, tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["odd.gguf"]


@pytest.mark.parametrize("name", ["blk.0.attn_q_norm.weight", "blk.0.ffn_gate.0.weight", "v.blk.0.attn_q.weight"])
def test_a_tensor_without_a_place_is_refused_by_name(tiny_gguf, tmp_path, name):
    arrays, metadata = mx.load(str(tiny_gguf.path), return_metadata=True)
    path = tmp_path / "odd.gguf"
    mx.save_gguf(str(path), {**arrays, name: mx.ones((2, 2))}, metadata)
    with pytest.raises(BadWeights, match=rf"^odd\.gguf: no place for the tensor '{name}'"):
        gguf.convert(path, tiny_gguf.chat, tmp_path)
    assert not Path(tmp_path / "model.safetensors").exists()
