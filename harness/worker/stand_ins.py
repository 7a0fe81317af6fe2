"""Stand-ins: a model's own architecture and chat template with random weights, shrunk or at full size.

They let every step of the harness run where no weights are available. A shrunk stand-in says nothing about the
model it replaces, and every report says so. A full-size stand-in has the model's speed, memory and parameter
counts; its losses and texts mean nothing.
"""

import hashlib
from pathlib import Path
from typing import Any

import mlx.core as mx

from harness.errors import BadWeights
from harness.inputs.datasets import learnable_texts
from harness.inputs.model_dir import DRAWN, write_json
from harness.inputs.plans import Chat, ModelConfig, Quantization
from harness.inputs.prompts import read_chat_template
from harness.results import codec
from harness.worker import bpe, mlxlm

_VERSION = 2  # raise it when a change below changes the stand-ins
_VOCABULARY = 1024
_SEED = 0


def identity(model: ModelConfig) -> str:
    """Return the name of the shrunk stand-in of *model*; equal names mean equal bytes."""
    return f"{model.slug}-nano-{_digest(model, model.nano)}"


def full_identity(model: ModelConfig, quantization: Quantization | None) -> str:
    """Return the name of the full-size stand-in of *model*."""
    return f"{model.slug}-random-{_digest(model, quantization)}"


def build(model: ModelConfig, directory: Path) -> None:
    """Write the shrunk stand-in of *model* into *directory*.

    Raises:
        BadWeights: if the registry holds no shrunk sizes for the model.
    """
    if model.nano is None:
        raise _unknown(model)
    config = _without_weights(model, directory, {**model.config, **model.nano}, vocabulary=None)
    weights = dict(mlxlm.draw_weights(mlxlm.parameter_shapes(config), _SEED))
    mx.save_safetensors(str(directory / "model.safetensors"), weights, metadata={"format": "mlx"})


def build_full(model: ModelConfig, quantization: Quantization | None, directory: Path) -> None:
    """Write the full-size stand-in into *directory*; its weights are drawn and quantized when it is loaded.

    It has the shrunk stand-in's tokenizer, whose tokens are the first ones of the vocabulary.

    Raises:
        BadWeights: if the registry does not hold the model.
    """
    config = dict(model.config)
    if quantization is not None:
        config["quantization"] = codec.plain(quantization)
    config = _without_weights(model, directory, config, vocabulary=config.get("vocab_size"))
    mlxlm.build(config)  # refuses groups that do not fit
    write_json(directory / DRAWN, {"seed": _SEED, "version": _VERSION})


def _without_weights(
    model: ModelConfig, directory: Path, config: dict[str, Any], vocabulary: int | None
) -> dict[str, Any]:
    """Write config and tokenizer and return the config. *vocabulary*: its size, if not the tokenizer's."""
    if not config or model.chat is None:
        raise _unknown(model)
    chat = model.chat
    tokenizer = bpe.learn(learnable_texts(), _VOCABULARY, chat.special, chat.bos)
    closing = [tokenizer.token_to_id(token) for token in (chat.eos, *chat.also_eos)]
    config |= {
        "vocab_size": vocabulary or tokenizer.get_vocab_size(),
        "eos_token_id": closing if chat.also_eos else closing[0],
    }
    config |= {"bos_token_id": tokenizer.token_to_id(chat.bos)} if chat.bos else {}
    write_json(directory / "config.json", config)
    longest = config.get("max_position_embeddings") or config["n_positions"]
    bpe.save(tokenizer, chat, _template(chat), longest, directory)
    return config


def _digest(model: ModelConfig, variant: object) -> str:
    digest = hashlib.sha256(f"{_VERSION} {model.config} {variant} {model.chat}".encode())
    for text in (*learnable_texts(), _template(model.chat)):
        digest.update(text.encode())
    return digest.hexdigest()[:12]


def _template(chat: Chat | None) -> str:
    return read_chat_template(chat.family) if chat else ""


def _unknown(model: ModelConfig) -> BadWeights:
    return BadWeights(f"{model.name}: no stand-in is known for it; the registry's models have one")
