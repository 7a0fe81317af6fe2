"""Many metrics judged at once: how many of their changes may be believed. Pure.

Of a hundred metrics that did not change one looks changed at one in a hundred. Benjamini and Hochberg's rule leaves
the share of such ones among all that are called changed below the level.

Source: Benjamini and Hochberg (1995), Controlling the false discovery rate, JRSS B 57, 289-300.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

_GROSS = 3  # times the tolerance: an interval wholly beyond it needs no support from other metrics
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """How likely a change is where there is none, and the *level* it has to stay below if it is alone; one tail."""

    chance: float
    level: float
    gross: bool = False


def believed(chances: Mapping[Name, Chance]) -> set[Name]:
    """The names whose change may be believed, of all that were judged."""
    ordered = sorted(chances.items(), key=lambda its: its[1].chance / its[1].level)
    among = len(ordered)
    last = max(
        (place for place, (_, its) in enumerate(ordered, start=1) if its.chance <= its.level * place / among), default=0
    )
    return {name for name, _ in ordered[:last]} | {
        name for name, its in ordered if its.gross and its.chance <= its.level
    }


def is_gross(near: float, tolerance: float, margin: float) -> bool:
    """Whether the end of an interval that is nearer to no change is far beyond it; *near* is a ratio of costs.

    Five processes a side could never prove one change among many: no order of them is rare enough.
    """
    return max(near, 1 / near) > (1 + margin) * (1 + _GROSS * tolerance)
