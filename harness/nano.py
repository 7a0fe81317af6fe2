"""Stand-ins: a model's own architecture and chat template, shrunk, with random weights.

For trying the whole line in seconds where no weights can be had. A stand-in's speed, memory, losses
and texts say nothing about the model it stands for, and every report says so.
"""

import hashlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from harness import bpe, mlxlm
from harness.errors import BadWeights
from harness.modeldir import write_json
from harness.plans import ModelConfig
from harness.texts import learnable_texts, read_chat_template

_VERSION = 1  # raise it when a change below changes the stand-ins
_VOCABULARY = 1024
_SEED = 0
_WEIGHT_SD = 0.02  # as GPT-2 starts its matrices; nothing depends on it


def identity(model: ModelConfig) -> str:
    """Name the stand-in of *model*: the same name, the same bytes."""
    digest = hashlib.sha256(f"{_VERSION} {model.config} {model.nano} {model.chat}".encode())
    for text in (*learnable_texts(), _chat(model)):
        digest.update(text.encode())
    return f"{model.slug}-nano-{digest.hexdigest()[:12]}"


def build(model: ModelConfig, directory: Path) -> None:
    """Write the stand-in of *model* into *directory*.

    Raises:
        BadWeights: if the registry holds no shrunk sizes for the model.
    """
    if model.nano is None or model.chat is None:
        raise BadWeights(f"{model.name}: no stand-in is known for it; the registry's models have one")
    tokenizer = bpe.learn(learnable_texts(), _VOCABULARY, model.chat.special, model.chat.bos)
    config = {
        **model.config,
        **model.nano,
        "vocab_size": tokenizer.get_vocab_size(),
        "eos_token_id": tokenizer.token_to_id(model.chat.eos),
    }
    config |= {"bos_token_id": tokenizer.token_to_id(model.chat.bos)} if model.chat.bos else {}
    write_json(directory / "config.json", config)
    longest = config.get("max_position_embeddings") or config["n_positions"]
    bpe.save(tokenizer, model.chat, _chat(model), longest, directory)
    weights = _random_weights(mlxlm.parameter_shapes(config))
    mx.save_safetensors(str(directory / "model.safetensors"), weights, metadata={"format": "mlx"})


def _random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Matrices from a normal distribution, norms at one, biases at zero: the same on every machine."""
    generator = np.random.default_rng(_SEED)
    weights = {}
    for name, shape in sorted(shapes.items()):
        if len(shape) > 1:
            values = generator.standard_normal(shape, dtype=np.float32) * np.float32(_WEIGHT_SD)
        else:
            values = np.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=np.float32)
        weights[name] = mx.array(values)
    return weights


def _chat(model: ModelConfig) -> str:
    return read_chat_template(model.chat.family) if model.chat else ""
