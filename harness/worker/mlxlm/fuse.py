"""Models with their adapter merged into the base, as mlx-lm merges it.

Each merged matrix is created when the model calls it and freed after the call. Base, adapter and merged model thus
exist together in little more memory than the adapted model takes.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import mlx_lm.tuner.utils
import mlx_lm.utils
from mlx import nn

from harness.worker.mlxlm.likelihood import padded
from harness.worker.mlxlm.parameter_counts import is_packed
from harness.worker.mlxlm.swap import OnDemand, adapter_modules, bare, base_of, swapped
from harness.worker.prediction_agreement import Agreement

PLAIN, QUANTIZED, DEQUANTIZED = "plain", "quantised", "dequantised"


def fuse_variants(model: Any) -> tuple[str, ...]:
    """Return the ways to merge the adapter of *model*; none without an adapter or after a full fine-tune."""
    adapters = adapter_modules(model).values()
    if not adapters:
        return ()
    return (QUANTIZED, DEQUANTIZED) if any(is_packed(base_of(adapter)) for adapter in adapters) else (PLAIN,)


@contextmanager
def fused(model: Any, variant: str) -> Iterator[None]:
    """Compute *model* with its adapter merged, within the context.

    PLAIN merges into unquantized matrices. QUANTIZED quantizes each merged matrix again as it was. DEQUANTIZED leaves
    no matrix quantized, not even those without an adapter.
    """
    adapters = adapter_modules(model)
    changed = {
        name: OnDemand(partial(_fuse, adapter, dequantize=variant == DEQUANTIZED)) for name, adapter in adapters.items()
    }
    if variant == DEQUANTIZED:
        wrapped = {id(base_of(adapter)) for adapter in adapters.values()}
        changed |= {
            name: OnDemand(partial(_dequantize_module, module))
            for name, module in model.named_modules()
            if is_packed(module) and id(module) not in wrapped
        }
    with swapped(model, changed):
        yield


def fuse_agreements(
    model: Any, rows: Sequence[Sequence[int]], batch_size: int
) -> tuple[dict[str, Agreement], Agreement]:
    """Return the agreement with the adapted model of each merged variant, and of the bare base.

    Predictions for every token of *rows* after a row's first are compared. Two batches of logits are in memory at once.
    """
    views = {variant: partial(fused, model, variant) for variant in fuse_variants(model)} | {"": partial(bare, model)}
    totals = dict.fromkeys(views, Agreement(tokens=0, kl_nat=0.0, same_top=0))
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        inputs = padded([row[:-1] for row in batch])
        reference = model(inputs)
        mx.eval(reference)
        for name, view in views.items():
            with view():
                other = model(inputs)
                mx.eval(other)
            for row, references, others in zip(batch, reference, other, strict=True):
                totals[name] += agreement(references[: len(row) - 1], others[: len(row) - 1])
            del other
    return {name: total for name, total in totals.items() if name}, totals[""]


def agreement(reference: Any, other: Any) -> Agreement:
    """Return the agreement of two models' logits for the same tokens, both `(tokens, vocabulary)`.

    Source of the divergence: Kullback and Leibler (1951), On Information and Sufficiency, section 2.
    """
    p, q = (_log_probabilities(logits) for logits in (reference, other))
    kl_nat = (mx.exp(p) * (p - q)).sum()
    same_top = (p.argmax(axis=-1) == q.argmax(axis=-1)).sum()
    return Agreement(tokens=p.shape[0], kl_nat=float(kl_nat.item()), same_top=int(same_top.item()))


def _log_probabilities(logits: Any) -> Any:
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _fuse(adapter: Any, *, dequantize: bool) -> Any:
    """Merge with mlx-lm's own layer; before 0.28.4 its argument was spelled with an underscore."""
    names = inspect.signature(adapter.fuse).parameters
    return adapter.fuse(**{"dequantize" if "dequantize" in names else "de_quantize": dequantize})


def _dequantize_module(module: Any) -> Any:
    """Dequantize one module with mlx-lm, whose function had another name and place before 0.28.4."""
    holder = nn.Module()
    holder.module = module
    function = getattr(mlx_lm.utils, "dequantize_model", None) or mlx_lm.tuner.utils.dequantize
    return function(holder).module
