"""Agreement of two models' predictions for the same tokens, and the check whether merging lost an adapter."""

from collections.abc import Mapping
from dataclasses import dataclass

# Share of the adapter's own divergence that a merged model may have. For small changes, divergence grows with the
# square of the change: KL(p || p + d) = d F d / 2 + O(d^3), F being Fisher's information. A quarter of the
# divergence is half of the way back to the base. Source: Kullback (1959), Information Theory and Statistics, 2.6.
LOSSY_SHARE = 0.25
# A divergence below this is rounding: logits around 20 in float32 are rounded by 2e-6.
ROUNDING_NAT_PER_TOKEN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of two models summed over the same tokens: their divergence, and how often their top tokens match."""

    tokens: int
    kl_nat: float  # KL(reference || other)
    same_top: int

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            tokens=self.tokens + other.tokens,
            kl_nat=self.kl_nat + other.kl_nat,
            same_top=self.same_top + other.same_top,
        )

    @property
    def kl_nat_per_token(self) -> float:
        """Mean divergence per token, clipped at 0 because a sum of rounded terms may fall below."""
        return max(0.0, self.kl_nat / self.tokens)

    @property
    def top1_share(self) -> float:
        """Share of the tokens for which both models rank the same next token first."""
        return self.same_top / self.tokens


def is_lossy(fused: Agreement, bare: Agreement) -> bool:
    """Tell whether merging lost the adapter. Reference of both: the unmerged adapted model, over the same tokens."""
    limit = max(LOSSY_SHARE * bare.kl_nat_per_token, ROUNDING_NAT_PER_TOKEN)
    return fused.kl_nat_per_token > limit


def lossy_notes(fused: Mapping[str, Agreement], bare: Agreement) -> tuple[str, ...]:
    """Return one line for each merged variant that lost the adapter."""
    return tuple(
        f"fuse_lossy: fused {variant}, the model is {merged.kl_nat_per_token:.2g} nat/token away from the adapter on "
        f"its base, and the base without it {bare.kl_nat_per_token:.2g}; more than {LOSSY_SHARE:.0%} of that is "
        "allowed to no fused model. Serve the adapter unfused or another variant"
        for variant, merged in fused.items()
        if is_lossy(merged, bare)
    )
