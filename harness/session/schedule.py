"""Who is measured when: every case's processes, in the order they run. Pure.

The machine drifts while a session runs. Cases that take turns share the drift; cases that are measured
one after the other each get their own. So with several processes a case, every round measures every
case once, in an order drawn anew from a seed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.inputs.plans import Case

SEED = 42  # chosen; the order that came of it is stored with the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One process of a case; *number* counts from 1."""

    case: Case
    number: int

    @property
    def id(self) -> str:
        """How a run's order names it."""
        return f"{self.case.id}#{self.number}"


def one_by_one(cases: Sequence[Case], repeats: int) -> list[Turn]:
    """List all turns of the first case, then those of the second, and so on."""
    return [Turn(case=case, number=number) for case in cases for number in range(1, repeats + 1)]


def in_rounds(cases: Sequence[Case], repeats: int, seed: int = SEED) -> list[Turn]:
    """List the turns round by round, shuffled within each round.

    In the first round training comes first, since the others use what it leaves. A single round is not
    shuffled: there is nothing to interleave, and cases end in the order they were asked for.
    """
    if repeats == 1:
        return one_by_one(cases, repeats)
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    turns = []
    for number in range(1, repeats + 1):
        its = list(cases)
        generator.shuffle(its)
        if number == 1:
            its.sort(key=lambda case: case.suite != "training")
        turns += [Turn(case=case, number=number) for case in its]
    return turns


def within_pairs(pairs: int, seed: int, case: str) -> list[str]:
    """For each pair of *case*, AB or BA: which side is measured first. Of two pairs that follow, it is each side once.

    Which of them comes first is drawn, so that no rhythm of the machine meets one side more than the other.
    """
    generator = random.Random(f"{seed}/{case}")  # noqa: S311 - an order, not a secret
    blocks = [generator.sample(("AB", "BA"), 2) for _ in range((pairs + 1) // 2)]
    return [order for block in blocks for order in block][:pairs]
