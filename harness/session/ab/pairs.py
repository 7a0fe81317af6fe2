"""The order in which two sides are measured, pair by pair, and when it is enough.

Says whose turn it is and keeps count; what the sides measured is read and judged by whoever is asked at a look.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult, GateVerdict
from harness.machine.clock import monotonic_s
from harness.session import schedule

INTERRUPTED = "interrupted"


class Side(Protocol):
    """What takes turns."""

    @property
    def name(self) -> str:
        """A or B."""

    def take(self, turn: str) -> str | None:
        """Measure one process, CASE#NUMBER; give why its case takes no more turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured at most: *pairs* of each case, and none begins after *budget_s* seconds (None: no limit)."""

    pairs: int
    budget_s: float | None
    seed: int

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many pairs the verdict is asked for."""
        return interim_analyses.schedule(self.pairs)


@dataclass(slots=True, kw_only=True)
class Course:
    """What became of a plan so far, by case."""

    pairs: dict[str, int] = field(default_factory=dict)  # of which both members were measured
    orders: dict[str, list[str]] = field(default_factory=dict)  # of every pair that began: AB or BA
    lost: dict[str, str] = field(default_factory=dict)  # why a case takes no more turns
    looked: list[int] = field(default_factory=list)  # after how many pairs
    ended: str = INTERRUPTED  # why: so it stays if nothing else comes first

    @property
    def measured(self) -> bool:
        """Whether there is anything to store."""
        return any(self.pairs.values()) or bool(self.lost)

    @property
    def open(self) -> dict[str, int]:
        """The pairs of the cases that go on."""
        return {case: pairs for case, pairs in self.pairs.items() if case not in self.lost}


def measure(
    course: Course,
    plan: Plan,
    sides: tuple[Side, Side],
    turns: Sequence[str],
    *,
    look: Callable[[Mapping[str, int]], GateResult],
    say: Callable[[str], None],
    now_s: Callable[[], float] = monotonic_s,
) -> None:
    """Let the sides take *turns* (CASE#NUMBER, round by round) one after the other; note all of it in *course*.

    Raises:
        HarnessError: of a side that cannot go on.
    """
    start_s = now_s()
    cases = dict.fromkeys(turn.rpartition("#")[0] for turn in turns)
    course.pairs = dict.fromkeys(cases, 0)
    course.orders = {case: [] for case in cases}
    orders = {case: schedule.within_pairs(plan.pairs, plan.seed, case) for case in cases}
    rounds = [[turn for turn in turns if turn.endswith(f"#{number}")] for number in range(1, plan.pairs + 1)]
    for number, its in enumerate(rounds, start=1):
        for turn in its:
            case = turn.rpartition("#")[0]
            if case in course.lost:
                continue
            if plan.budget_s is not None and now_s() - start_s >= plan.budget_s:
                course.ended = f"the budget of {plan.budget_s:g} s is spent"
                return
            course.orders[case].append(orders[case][number - 1])
            words = _pair(course, sides, turn, now_s)
            say(f"pair {number} of {plan.pairs}  {case}  {words}")
        if not course.open:
            course.ended = "no case is left"
            return
        if number in plan.looks:
            result = look(course.open)
            course.looked.append(number)
            say(f"look after pair {number}: {_words(result)}")
            if interim_analyses.may_stop(result) and number < plan.pairs:
                course.ended = "the verdict is clear"
                return
    course.ended = f"all {plan.pairs} pairs are measured"


def _pair(course: Course, sides: tuple[Side, Side], turn: str, now_s: Callable[[], float]) -> str:
    """Let both sides take *turn*, unless the first one loses the case over it; say how long each took."""
    case = turn.rpartition("#")[0]
    by_name = {side.name: side for side in sides}
    said = []
    for name in course.orders[case][-1]:
        start_s = now_s()
        lost = by_name[name].take(turn)
        said.append(f"{name} {now_s() - start_s:.1f} s")
        if lost is not None:
            course.lost[case] = f"{name}: {lost}"
            return f"{', '.join(said)}  {lost}"
    course.pairs[case] += 1
    return ", ".join(said)


def _words(result: GateResult) -> str:
    undecided = sum(row.verdict is GateVerdict.INCONCLUSIVE for row in result.rows)
    return f"{result.verdict.value}, {undecided} of {len(result.rows)} metrics undecided"
