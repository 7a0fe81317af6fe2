"""Measure two sides pair by pair, in the order of `pair_order`, count the pairs, and stop once the verdict is clear.

The samples themselves are read and judged by the caller, through the callback `look`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult, GateVerdict
from harness.machine.clock import monotonic_s
from harness.results.turn_id import TurnId
from harness.session.ab.pair_order import pair_orders

INTERRUPTED = "interrupted"


class PairSide(Protocol):
    """One of the two sides that take turns."""

    @property
    def name(self) -> str:
        """Either A or B."""

    def take(self, turn_id: str) -> str | None:
        """Measure one process, CASE#NUMBER; return why its case ended, or None if it continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """Upper limits of a comparison: *pairs* of each case; none begins after *budget_s* seconds (None: no limit)."""

    pairs: int
    budget_s: float | None
    seed: int

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of pairs after which a verdict is asked for."""
        return interim_analyses.schedule(self.pairs)


@dataclass(slots=True, kw_only=True)
class PairProgress:
    """Progress of a comparison so far, by case."""

    pairs: dict[str, int] = field(default_factory=dict)  # whose two members were both measured
    orders: dict[str, list[str]] = field(default_factory=dict)  # AB or BA, for every pair that began
    lost: dict[str, str] = field(default_factory=dict)  # why a case ended early
    looked: list[int] = field(default_factory=list)  # numbers of pairs after which a verdict was asked for
    ended: str = INTERRUPTED  # the reason; this one remains if no other is set first

    @property
    def measured(self) -> bool:
        """True if a pair was measured or a case ended early: there is something to store."""
        return any(self.pairs.values()) or bool(self.lost)

    @property
    def open(self) -> dict[str, int]:
        """Measured pairs of the cases that continue."""
        return {case: pairs for case, pairs in self.pairs.items() if case not in self.lost}


def measure(
    progress: PairProgress,
    plan: PairPlan,
    sides: tuple[PairSide, PairSide],
    turns: Sequence[str],
    *,
    look: Callable[[Mapping[str, int]], GateResult],
    say: Callable[[str], None],
    now_s: Callable[[], float] = monotonic_s,
) -> None:
    """Have both sides take *turns* (each CASE#NUMBER, round by round); keep *progress* up to date.

    *look* judges the given numbers of pairs by case.

    Raises:
        HarnessError: if a side cannot continue.
    """
    start_s = now_s()
    turn_ids = [TurnId.parse(turn) for turn in turns]
    cases = dict.fromkeys(turn.case for turn in turn_ids)
    progress.pairs = dict.fromkeys(cases, 0)
    progress.orders = {case: [] for case in cases}
    orders = {case: pair_orders(plan.pairs, plan.seed, case) for case in cases}
    for number in range(1, plan.pairs + 1):
        for turn in turn_ids:
            case = turn.case
            if turn.number != number:
                continue
            if case in progress.lost:
                continue
            if plan.budget_s is not None and now_s() - start_s >= plan.budget_s:
                progress.ended = f"the budget of {plan.budget_s:g} s is spent"
                return
            progress.orders[case].append(orders[case][number - 1])
            durations = _measure_pair(progress, sides, turn, now_s)
            say(f"pair {number} of {plan.pairs}  {case}  {durations}")
        if not progress.open:
            progress.ended = "no case is left"
            return
        if number in plan.looks:
            result = look(progress.open)
            progress.looked.append(number)
            say(f"look after pair {number}: {_look_summary(result)}")
            if interim_analyses.may_stop(result) and number < plan.pairs:
                progress.ended = "the verdict is clear"
                return
    progress.ended = f"all {plan.pairs} pairs are measured"


def _measure_pair(
    progress: PairProgress, sides: tuple[PairSide, PairSide], turn: TurnId, now_s: Callable[[], float]
) -> str:
    """Have both sides take *turn*, the second only if the first did not lose the case; return their durations."""
    case = turn.case
    by_name = {side.name: side for side in sides}
    durations = []
    for name in progress.orders[case][-1]:
        start_s = now_s()
        lost = by_name[name].take(str(turn))
        durations.append(f"{name} {now_s() - start_s:.1f} s")
        if lost is not None:
            progress.lost[case] = f"{name}: {lost}"
            return f"{', '.join(durations)}  {lost}"
    progress.pairs[case] += 1
    return ", ".join(durations)


def _look_summary(result: GateResult) -> str:
    undecided = sum(row.verdict is GateVerdict.INCONCLUSIVE for row in result.rows)
    return f"{result.verdict.value}, {undecided} of {len(result.rows)} metrics undecided"
