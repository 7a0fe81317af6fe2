"""Benjamini-Hochberg correction: which changes to believe where many metrics are judged at once.

Of a hundred unchanged metrics, one looks changed at a level of 1 %. The rule keeps the share of such false discoveries
among all reported changes below the level.

Source: Benjamini and Hochberg (1995), Controlling the false discovery rate, JRSS B 57, 289-300.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

_GROSS = 3  # times the tolerance: an interval wholly beyond it needs no support from other metrics
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """One-tailed p-value (*chance*) of a change, and the *level* that it must not exceed if judged alone."""

    chance: float
    level: float
    gross: bool = False


def believed(chances: Mapping[Name, Chance]) -> set[Name]:
    """Return the names of the significant changes after correction."""
    ordered = sorted(chances.items(), key=lambda item: item[1].chance / item[1].level)
    among = len(ordered)
    last = max(
        (rank for rank, (_, test) in enumerate(ordered, start=1) if test.chance <= test.level * rank / among), default=0
    )
    return {name for name, _ in ordered[:last]} | {
        name for name, test in ordered if test.gross and test.chance <= test.level
    }


def is_gross(near: float, tolerance: float, margin: float) -> bool:
    """Tell whether *near*, the end of a cost ratio's interval nearer to 1, is far beyond the tolerance.

    Such a change needs no correction. With five processes a side none could pass it: no order of them is rare enough.
    """
    return max(near, 1 / near) > (1 + margin) * (1 + _GROSS * tolerance)
