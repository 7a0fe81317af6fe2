"""Converter from a GGUF file of a Llama model to a float32 directory in the layout of mlx-lm.

It covers only what the registry's embedded weights need: architecture `llama` and byte-level BPE. Tensors are
dequantized as MLX reads them; llama.cpp's row order of the query and key projections is undone.
Source: llama.cpp, convert_hf_to_gguf.py (LlamaModel.permute), and gguf-py's tensor names.
"""

import re
from pathlib import Path
from typing import Any

import mlx.core as mx

from harness.errors import BadWeights
from harness.inputs.model_dir import write_json
from harness.inputs.plans import Chat
from harness.worker import bpe

_GROUP_SIZE = 32  # Q4_1: 32 weights share a scale and an offset
_CONTROL_TOKEN = 3  # gguf: token_type of a special token
_NAME = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.weight")
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
}


def convert(path: Path, chat: Chat, directory: Path) -> None:
    """Write config, weights and tokenizer of the GGUF file *path* into *directory*.

    Raises:
        BadWeights: if the file has another architecture or an unknown tensor name.
    """
    arrays, metadata = _read(path)
    if metadata.get("general.architecture") != "llama":
        raise BadWeights(f"{path.name}: architecture {metadata.get('general.architecture')!r}; only 'llama' is read")
    config = _config(metadata, tied="output.weight" not in arrays)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for name in sorted(arrays):
        if not name.endswith(".weight"):
            continue
        block, part = _NAME.sub(r"\1", name), _NAME.sub(r"\2", name)
        if part not in _NAMES:
            raise BadWeights(f"{path.name}: no place for the tensor {name!r}")
        tensor = _dense(arrays, name.removesuffix(".weight"))
        if part in heads:
            tensor = _rows_as_published(tensor, heads[part])
        prefix = f"model.layers.{block}." if block else ""
        weights[f"{prefix}{_NAMES[part]}.weight"] = tensor
    write_json(directory / "config.json", config)
    mx.save_safetensors(str(directory / "model.safetensors"), weights, metadata={"format": "mlx"})
    vocabulary, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"].tolist()
    special = [token for token, kind in zip(vocabulary, types, strict=True) if kind == _CONTROL_TOKEN]
    tokenizer = bpe.rebuild(vocabulary, metadata["tokenizer.ggml.merges"], special)
    template, longest = metadata["tokenizer.chat_template"], config["max_position_embeddings"]
    bpe.save(tokenizer, chat, template, longest, directory)


def _read(path: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    loaded: Any = mx.load(str(path), format="gguf", return_metadata=True)
    arrays, metadata = loaded
    return arrays, metadata


def _config(metadata: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    def number(name: str) -> int:
        return int(metadata[f"llama.{name}"].item())

    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": number("embedding_length"),
        "num_hidden_layers": number("block_count"),
        "num_attention_heads": number("attention.head_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "head_dim": number("rope.dimension_count"),
        "intermediate_size": number("feed_forward_length"),
        "vocab_size": number("vocab_size"),
        "max_position_embeddings": number("context_length"),
        "rms_norm_eps": round(metadata["llama.attention.layer_norm_rms_epsilon"].item(), 9),
        "rope_theta": metadata["llama.rope.freq_base"].item(),
        "tie_word_embeddings": tied,
        "bos_token_id": int(metadata["tokenizer.ggml.bos_token_id"].item()),
        "eos_token_id": int(metadata["tokenizer.ggml.eos_token_id"].item()),
    }


def _dense(arrays: dict[str, mx.array], name: str) -> mx.array:
    weight = arrays[f"{name}.weight"]
    if f"{name}.scales" not in arrays:
        return weight.astype(mx.float32)
    scales, biases = (arrays[f"{name}.{part}"].astype(mx.float32) for part in ("scales", "biases"))
    bits = 32 * weight.shape[-1] // (scales.shape[-1] * _GROUP_SIZE)
    return mx.dequantize(weight, scales, biases, group_size=_GROUP_SIZE, bits=bits)


def _rows_as_published(tensor: mx.array, heads: int) -> mx.array:
    """Undo llama.cpp's interleaving of each head's two halves; the shape (heads * size, width) stays."""
    rows, width = tensor.shape
    return tensor.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)
