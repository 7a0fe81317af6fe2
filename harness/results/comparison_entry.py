"""Entry of a run that is a side of an A/B comparison: how the two sides were measured in turns.

It is stored among the run's options, under a key of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

_KEY = "ab"
# Types under which a stored field is read; a field of another type counts as absent.
_STORED_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "side": str,
    "arm": str,
    "facts": dict,
    "seed": int,
    "most_pairs": int,
    "budget_s": (int, float),
    "pairs": dict,
    "orders": dict,
    "looks": (list, tuple),
    "looked": (list, tuple),
    "ended": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonEntry:
    """One side of a comparison. None, or an empty value, stands for a field that an older run does not have."""

    side: str | None = None  # A or B
    arm: str | None = None  # the environment as typed
    facts: Mapping[str, Any] = field(default_factory=dict)  # about that environment
    seed: int | None = None  # of the order within pairs
    most_pairs: int | None = None  # planned for each case
    budget_s: float | None = None  # after which no pair begins; None: no limit
    pairs: Mapping[str, int] = field(default_factory=dict)  # measured, by case
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)  # AB or BA for each pair that began, by case
    looks: Sequence[int] = ()  # pairs after which a verdict was planned
    looked: Sequence[int] = ()  # pairs after which there was one
    ended: str | None = None  # why no further pair was measured

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self | None:
        """Read the entry among the options of a run; None if the run is no side of a comparison."""
        if _KEY not in options:
            return None
        stored = options[_KEY] if isinstance(options[_KEY], dict) else {}
        return cls(**{name: stored[name] for name, kind in _STORED_TYPES.items() if isinstance(stored.get(name), kind)})

    def to_options(self) -> dict[str, Any]:
        """Return the options that store this entry."""
        return {
            _KEY: {
                "side": self.side,
                "arm": self.arm,
                "facts": dict(self.facts),
                "seed": self.seed,
                "most_pairs": self.most_pairs,
                "budget_s": self.budget_s,
                "pairs": dict(self.pairs),
                "orders": {case: list(orders) for case, orders in self.orders.items()},
                "looks": list(self.looks),
                "looked": list(self.looked),
                "ended": self.ended,
            }
        }


def without_comparison(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* without the entry of a comparison."""
    return {name: value for name, value in options.items() if name != _KEY}
