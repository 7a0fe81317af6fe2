"""Order of a session's turns: one turn for each process of each case.

The machine drifts while a session runs. Cases that take turns share the drift; cases that are measured
one after the other each get a drift of their own. So with several processes for each case, every round
measures every case once, in an order that is drawn anew for each round from one seed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.inputs.plans import Case, Suite
from harness.results.turn_id import TurnId

SEED = 42  # chosen; the resulting order is stored with the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One process of a case; *number* counts from 1."""

    case: Case
    number: int

    @property
    def id(self) -> str:
        """Name of the turn in a run's order."""
        return str(TurnId(self.case.id, self.number))


def one_by_one(cases: Sequence[Case], repeats: int) -> list[Turn]:
    """List all turns of the first case, then those of the second, and so on."""
    return [Turn(case=case, number=number) for case in cases for number in range(1, repeats + 1)]


def in_rounds(cases: Sequence[Case], repeats: int, seed: int = SEED) -> list[Turn]:
    """List the turns round by round, shuffled within each round.

    In the first round the training cases come first, because the others use the adapters they leave. A single
    round is not shuffled: there is nothing to interleave, and cases end in the order they were asked for.
    """
    if repeats == 1:
        return one_by_one(cases, repeats)
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    turns = []
    for number in range(1, repeats + 1):
        shuffled = list(cases)
        generator.shuffle(shuffled)
        if number == 1:
            shuffled.sort(key=lambda case: case.suite is not Suite.TRAINING)
        turns += [Turn(case=case, number=number) for case in shuffled]
    return turns
