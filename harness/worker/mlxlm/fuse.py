"""Models with their adapter merged into the base, as mlx-lm merges it.

A merged matrix is made when the model calls it, and goes when the call is computed: base, adapter and merged
model are there at once, for little more memory than the adapted model takes.
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
from harness.worker.mlxlm.sizes import is_packed
from harness.worker.mlxlm.swap import OnDemand, adapter_modules, bare, base_of, swapped
from harness.worker.prediction_agreement import Agreement

PLAIN, QUANTISED, DEQUANTISED = "plain", "quantised", "dequantised"


def fuse_variants(model: Any) -> tuple[str, ...]:
    """The ways to merge what is attached to *model*; none where nothing is, or where all weights were trained."""
    adapters = adapter_modules(model).values()
    if not adapters:
        return ()
    return (QUANTISED, DEQUANTISED) if any(is_packed(base_of(its)) for its in adapters) else (PLAIN,)


@contextmanager
def fused(model: Any, variant: str) -> Iterator[None]:
    """Have *model* computed with its adapter merged, within the context.

    plain: into matrices that are not quantised. quantised: each matrix is quantised again as it was.
    dequantised: nothing is quantised any more, the matrices without an adapter included.
    """
    adapters = adapter_modules(model)
    changed = {name: OnDemand(partial(_fuse, its, dequantize=variant == DEQUANTISED)) for name, its in adapters.items()}
    if variant == DEQUANTISED:
        wrapped = {id(base_of(its)) for its in adapters.values()}
        changed |= {
            name: OnDemand(partial(_dequantise, its))
            for name, its in model.named_modules()
            if is_packed(its) and id(its) not in wrapped
        }
    with swapped(model, changed):
        yield


def fuse_agreements(
    model: Any, rows: Sequence[Sequence[int]], batch_size: int
) -> tuple[dict[str, Agreement], Agreement]:
    """How the merged models, by variant, and the bare base agree with the adapter on its base.

    Over what is predicted for every token of *rows* after its row's first. Two batches of logits are held at a time.
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
            for row, its, others in zip(batch, reference, other, strict=True):
                totals[name] += agreement(its[: len(row) - 1], others[: len(row) - 1])
            del other
    return {name: its for name, its in totals.items() if name}, totals[""]


def agreement(reference: Any, other: Any) -> Agreement:
    """How two models' logits of the same tokens agree. Both `(tokens, vocabulary)`.

    Source of the divergence: Kullback and Leibler (1951), On Information and Sufficiency, section 2.
    """
    p, q = (_log_probabilities(its) for its in (reference, other))
    kl_nat = (mx.exp(p) * (p - q)).sum()
    same_top = (p.argmax(axis=-1) == q.argmax(axis=-1)).sum()
    return Agreement(tokens=p.shape[0], kl_nat=float(kl_nat.item()), same_top=int(same_top.item()))


def _log_probabilities(logits: Any) -> Any:
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _fuse(adapter: Any, *, dequantize: bool) -> Any:
    """Let mlx-lm's own layer merge itself; before 0.28.4 the argument was spelled with an underscore."""
    names = inspect.signature(adapter.fuse).parameters
    return adapter.fuse(**{"dequantize" if "dequantize" in names else "de_quantize": dequantize})


def _dequantise(module: Any) -> Any:
    """Let mlx-lm dequantise one module. Before 0.28.4 its function had another name in another place."""
    holder = nn.Module()
    holder.its = module
    function = getattr(mlx_lm.utils, "dequantize_model", None) or mlx_lm.tuner.utils.dequantize
    return function(holder).its
