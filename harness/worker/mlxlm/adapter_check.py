"""Whether an adapter really sits in a model: by its tensors, and by what the model says with it.

Older mlx-lm loads whatever a file holds and leaves out what does not fit, without a word (its issue 1725).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from harness.worker.mlxlm.swap import adapter_modules, bare

# DoRA multiplies each output by |row| / |row with the delta|, in float32. A fresh one's came out as 1 exactly on every
# CPU model tried; a backend that rounds the two lengths apart makes it 1 and a rounding, which grew 160-fold on its
# way to the logits of SmolLM2-135M. Relative to the largest logit.
_DORA_NOISE = 1024 * 2**-23


def check_tensors(model: Any, file: Path) -> list[str]:
    """What is wrong with an adapter *file* for *model*, tensor by tensor.

    The model has a fresh adapter in it and all else frozen; it may be built lazily, nothing is evaluated.
    """
    tensors: dict[str, Any] = mx.load(str(file))  # type: ignore[assignment]
    found = {name: tuple(array.shape) for name, array in tensors.items()}
    wanted = {name: tuple(array.shape) for name, array in tree_flatten(model.trainable_parameters())}
    if not wanted:
        return ["the model has no trainable parameter: nothing is attached to it"]
    problems = []
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            problems.append(f"{name} is missing; the model has it with shape {wanted[name]}")
        elif name not in wanted:
            problems.append(f"{name} is unexpected; the adapted model has no such parameter")
        elif found[name] != wanted[name]:
            problems.append(f"{name} has shape {found[name]}; the model has it with {wanted[name]}")
    return problems


def logits(model: Any, tokens: Sequence[int]) -> Any:
    """What *model* says after each of *tokens*, evaluated, `(tokens, vocabulary)`. It is left in evaluation mode."""
    model.eval()
    said = model(mx.array([list(tokens)]))[0]
    mx.eval(said)
    return said


def effect(base: Any, tuned: Any) -> float:
    """The largest difference between two models' logits."""
    return _largest(tuned.astype(mx.float32) - base.astype(mx.float32))


def rounding(base: Any) -> float:
    """By how much the largest of these logits is uncertain: the distance to the next number of its type, at most."""
    return _largest(base) * float(mx.finfo(base.dtype).eps)


def doubt_about_fresh(base: Any, model: Any, tokens: Sequence[int]) -> str | None:
    """Why an adapter before its first update is none: it must change nothing. *base* are the logits before it."""
    moved, noise = _moved(base, model, tokens)
    if moved <= noise:
        return None
    return f"the adapter is untrained and moves the logits by {moved:.2g}: the base is no longer itself"


def doubt_about_trained(base: Any, model: Any, tokens: Sequence[int]) -> str | None:
    """Why a trained adapter is none: it must change more than rounding does. *base* are the logits before it.

    A model that is run twice has the same logits to the digit, so one step of rounding is enough to tell.
    """
    moved, noise = _moved(base, model, tokens)
    limit = max(noise, rounding(base))
    if moved > limit:
        return None
    return f"the adapter changes nothing: no logit moves by more than {moved:.2g}, and up to {limit:.2g} is rounding"


def _moved(base: Any, model: Any, tokens: Sequence[int]) -> tuple[float, float]:
    """The adapter's effect, and as much of it as an adapter that changes nothing may have.

    LoRA adds zeros then, and the logits are equal. DoRA computes the base in its own way; so it is computed here.
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
