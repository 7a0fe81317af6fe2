"""Loss of accuracy from merging the case's adapter into its base, measured without keeping a merged model."""

from collections.abc import Sequence

from harness.results.records import Readings
from harness.worker import mlxlm
from harness.worker.prediction_agreement import lossy_notes
from harness.worker.workloads.context import Context

_BATCH = 4  # rows at a time; nothing but memory depends on it
_METRICS = ("adapter_kl_nat_per_token", "fused_kl_nat_per_token", "fused_top1_agreement")


def measure(
    context: Context, loaded: mlxlm.Loaded, rows: Sequence[Sequence[int]]
) -> tuple[dict[str, Readings], tuple[str, ...]]:
    """Compare the merged models and the bare base with the adapted model over *rows*; return readings and notes."""
    if not mlxlm.fuse_variants(loaded.model):
        trained = "all weights were trained: there is nothing to fuse"
        reason = "no adapter: there is nothing to fuse" if context.job.adapter_dir is None else trained
        return dict.fromkeys(_METRICS, Readings(values=(), reason=reason)), ()
    with context.memory.phase("fuse"):
        fused, bare = mlxlm.fuse_agreements(loaded.model, rows, _BATCH)
    variants = tuple(fused)
    values = (
        Readings(values=(bare.kl_nat_per_token,)),
        Readings(values=tuple(agreement.kl_nat_per_token for agreement in fused.values()), labels=variants),
        Readings(values=tuple(agreement.top1_share for agreement in fused.values()), labels=variants),
    )
    return dict(zip(_METRICS, values, strict=True)), lossy_notes(fused, bare)
