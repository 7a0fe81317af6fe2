"""Checks that an adapter is really attached to a model: by its tensors, and by its effect on the logits.

Older mlx-lm silently skips the tensors of a file that do not fit (mlx-lm issue 1725).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from harness.worker.mlxlm.swap import adapter_modules, bare

# DoRA multiplies each output by |row| / |row with the delta|, in float32. For a fresh adapter this ratio was exactly 1
# on every CPU model tried. A backend that rounds the two lengths differently makes it 1 plus a rounding error, which
# grew 160-fold on its way to the logits of SmolLM2-135M. Relative to the largest logit.
_DORA_NOISE = 1024 * 2**-23


def check_tensors(model: Any, file: Path) -> list[str]:
    """Return the problems of an adapter *file* for *model*, tensor by tensor.

    The model holds a fresh adapter, and everything else is frozen. It may be built lazily: nothing is evaluated.
    """
    tensors: dict[str, Any] = mx.load(str(file))  # type: ignore[assignment]
    stored = {name: tuple(array.shape) for name, array in tensors.items()}
    expected = {name: tuple(array.shape) for name, array in tree_flatten(model.trainable_parameters())}
    if not expected:
        return ["the model has no trainable parameter: nothing is attached to it"]
    problems = []
    for name in sorted(stored.keys() | expected.keys()):
        if name not in stored:
            problems.append(f"{name} is missing; the model has it with shape {expected[name]}")
        elif name not in expected:
            problems.append(f"{name} is unexpected; the adapted model has no such parameter")
        elif stored[name] != expected[name]:
            problems.append(f"{name} has shape {stored[name]}; the model has it with {expected[name]}")
    return problems


def logits(model: Any, tokens: Sequence[int]) -> Any:
    """Return the evaluated logits `(tokens, vocabulary)` and leave *model* in evaluation mode."""
    model.eval()
    token_logits = model(mx.array([list(tokens)]))[0]
    mx.eval(token_logits)
    return token_logits


def effect(base: Any, tuned: Any) -> float:
    """Return the largest difference between two models' logits."""
    return _largest(tuned.astype(mx.float32) - base.astype(mx.float32))


def rounding(base: Any) -> float:
    """Return the rounding error of the largest logit: one unit in the last place of its type, at most."""
    return _largest(base) * float(mx.finfo(base.dtype).eps)


def doubt_about_fresh(base: Any, model: Any, tokens: Sequence[int]) -> str | None:
    """Return a doubt if an untrained adapter changes the logits. *base*: the logits before it was attached."""
    change, noise = _effect_and_noise(base, model, tokens)
    if change <= noise:
        return None
    return f"the adapter is untrained and moves the logits by {change:.2g}: the base is no longer itself"


def doubt_about_trained(base: Any, model: Any, tokens: Sequence[int]) -> str | None:
    """Return a doubt if a trained adapter changes no logit. *base*: the logits before it was attached.

    Two runs of one model give identical logits, so a change larger than one rounding step is enough.
    """
    change, noise = _effect_and_noise(base, model, tokens)
    limit = max(noise, rounding(base))
    if change > limit:
        return None
    return f"the adapter changes nothing: no logit moves by more than {change:.2g}, and up to {limit:.2g} is rounding"


def _effect_and_noise(base: Any, model: Any, tokens: Sequence[int]) -> tuple[float, float]:
    """Return the adapter's effect and the largest effect that an adapter without influence may have.

    A LoRA adapter then adds zeros, and the logits are equal. DoRA computes the base differently, so the base is
    computed here in the same way.
    """
    tuned = logits(model, tokens)
    if not any("m" in module for module in adapter_modules(model).values()):
        return effect(base, tuned), 0.0
    with bare(model):
        base = logits(model, tokens)
    return effect(base, tuned), _largest(base) * _DORA_NOISE


def _largest(logits: Any) -> float:
    largest: float = mx.abs(logits).max().item()  # type: ignore[assignment]
    return largest
