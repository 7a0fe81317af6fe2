from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models import gemma3_text, gpt2, llama, qwen2, qwen3

from harness.errors import BadWeights
from harness.inputs.config_files import known, read_model
from harness.inputs.model_dir import read_config
from harness.worker import stand_ins

MODELS = tuple(known("models"))
CHATS = {
    "smollm2": "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n",
    "tinyllama": "<|user|>\nHi</s>\n<|assistant|>\nHo</s>\n",
    "qwen": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n",
    "gpt2": "User: Hi\nAnswer: Ho<|endoftext|>",
    "qwen3-0.6b": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n",
    "llama-1b": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHo<|eot_id|>",
    "gemma-1b": "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>\n",
}
CHATS |= {"gemma-270m": CHATS["gemma-1b"], "qwen-0.5b": CHATS["qwen"], "smollm2-360m": CHATS["smollm2"]}


@pytest.mark.parametrize("name", MODELS)
def test_a_stand_in_built_twice_has_the_same_bytes(tmp_path, name):
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        stand_ins.build(read_model(name), directory)
    files = sorted(path.name for path in first.iterdir())
    assert files == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("smollm2", llama.Model),
        ("tinyllama", llama.Model),
        ("llama-1b", llama.Model),
        ("qwen", qwen2.Model),
        ("qwen3-0.6b", qwen3.Model),
        ("gemma-270m", gemma3_text.Model),
        ("gpt2", gpt2.Model),
    ],
)
def test_mlx_lm_loads_a_stand_in_as_the_architecture_it_stands_for(load_nano, name, architecture):
    loaded = load_nano(name)
    assert type(loaded.model) is architecture
    logits = loaded.model(mx.array([[1, 2, 3]]))
    assert logits.shape == (1, 3, 1024)
    assert mx.isfinite(logits).all().item()


@pytest.mark.parametrize("name", MODELS)
def test_a_stand_in_has_four_blocks_and_as_many_embeddings_as_tokens(nano, load_nano, name):
    loaded = load_nano(name)
    config = read_config(Path(nano(name).directory))
    assert len(loaded.model.layers) == 4
    assert config["vocab_size"] == len(loaded.tokenizer.get_vocab()) == 1024


@pytest.mark.parametrize("name", MODELS)
def test_a_stand_in_speaks_with_the_chat_template_of_its_family(load_nano, name):
    tokenizer = load_nano(name).tokenizer
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    assert tokenizer.apply_chat_template(talk, tokenize=False) == CHATS[name]
    question = tokenizer.apply_chat_template(talk[:1], tokenize=False, add_generation_prompt=True)
    assert question == CHATS[name].split("Ho")[0].rstrip(" ")


def test_what_gemma_is_told_as_a_system_opens_the_first_turn_of_the_user(load_nano):
    turns = [("system", "Be brief"), ("user", "Hi"), ("assistant", "Ho"), ("user", "Hm")]
    text = load_nano("gemma-1b").tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns], tokenize=False, add_generation_prompt=True
    )
    assert text == (
        "<bos><start_of_turn>user\nBe brief\n\nHi<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>\n"
        "<start_of_turn>user\nHm<end_of_turn>\n<start_of_turn>model\n"
    )


@pytest.mark.parametrize(("name", "end"), [("smollm2", 2), ("tinyllama", 2), ("qwen", 2), ("gpt2", 0)])
def test_the_end_of_a_turn_is_the_same_token_for_the_config_and_the_tokenizer(nano, load_nano, name, end):
    """Counted in the `special` list of the model's file, which comes first in the vocabulary."""
    assert read_config(Path(nano(name).directory))["eos_token_id"] == end
    assert load_nano(name).tokenizer.eos_token_ids == {end}


@pytest.mark.parametrize(("name", "ends"), [("llama-1b", {1, 4, 5}), ("gemma-270m", {1, 5})])
def test_a_model_with_several_ends_stops_at_each(nano, load_nano, name, ends):
    """Of Llama 3.2 the end of a text, of a message and of a turn; of Gemma the end of a text and of a turn."""
    assert set(read_config(Path(nano(name).directory))["eos_token_id"]) == ends
    assert load_nano(name).tokenizer.eos_token_ids == ends
    assert load_nano(name).tokenizer.eos_token_id == max(ends)  # the one that closes a turn


def test_a_stand_in_s_weights_are_small_random_matrices_norms_at_one_and_biases_at_zero(nano):
    weights = mx.load(str(Path(nano("qwen").directory) / "model.safetensors"))
    matrices = [np.array(values) for values in weights.values() if values.ndim > 1]
    pooled = np.concatenate([matrix.ravel() for matrix in matrices])
    assert abs(pooled.mean()) < 1e-4  # 800 000 values: its standard error is 2e-5
    assert pooled.std() == pytest.approx(0.02, rel=0.01)
    assert len({matrix.ravel()[0] for matrix in matrices}) == len(matrices)
    assert set(np.array(weights["model.layers.0.input_layernorm.weight"])) == {1.0}
    assert set(np.array(weights["model.layers.0.self_attn.q_proj.bias"])) == {0.0}


def test_the_name_of_a_stand_in_changes_with_whatever_it_is_made_of():
    model = read_model("gpt2")
    changed = [
        replace(model, nano={**model.nano, "n_layer": 5}),
        replace(model, config={**model.config, "layer_norm_epsilon": 1e-6}),
        replace(model, chat=replace(model.chat, family="qwen")),
        replace(model, chat=replace(model.chat, special=("<|endoftext|>", "<|new|>"))),
    ]
    names = {stand_ins.identity(item) for item in (model, *changed)}
    assert len(names) == 5
    assert all(name.startswith("gpt2-nano-") for name in names)
    assert stand_ins.identity(replace(model)) in names


def test_the_name_of_a_stand_in_changes_with_the_texts_it_learns_from(monkeypatch):
    before = stand_ins.identity(read_model("gpt2"))
    monkeypatch.setattr(stand_ins, "learnable_texts", lambda: iter(["something else"]))
    assert stand_ins.identity(read_model("gpt2")) != before


def test_the_name_of_a_stand_in_changes_with_its_chat_template(monkeypatch):
    before = stand_ins.identity(read_model("gpt2"))
    monkeypatch.setattr(stand_ins, "read_chat_template", lambda family: "something else")
    assert stand_ins.identity(read_model("gpt2")) != before


def test_a_model_without_shrunk_sizes_is_refused_by_name(tmp_path):
    with pytest.raises(BadWeights, match=r"^hf:someone/model: no stand-in is known"):
        stand_ins.build(read_model("hf:someone/model"), tmp_path)
    assert list(tmp_path.iterdir()) == []
