import itertools
from dataclasses import dataclass, field

import pytest

from harness.analysis.judge import Design
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.session.ab.pairs import INTERRUPTED, PairPlan, PairProgress, measure
from harness.session.ab.side import SideLost


@dataclass
class Play(PairProgress):
    """A course with what was done, said and asked meanwhile."""

    diary: list = field(default_factory=list)
    messages: list = field(default_factory=list)
    asked: list = field(default_factory=list)


class Side:
    """Notes its turns in the diary of both; *ends* maps a turn to why its case is lost, or to what is raised."""

    def __init__(self, name, diary, **ends):
        self.name, self._diary, self._ends = name, diary, ends.get("ends", {})

    def take(self, turn):
        self._diary.append((self.name, turn))
        end = self._ends.get(turn)
        if isinstance(end, type):
            raise end
        return end


def verdict(verdict_value):
    row = GateRow(case="c", metric="m", verdict=verdict_value, reason="because")
    return GateResult(baseline="a", candidate="b", design=Design.PAIRED, rows=(row,))


def played(pairs, *cases, budget_s=None, verdicts=(), a=(), b=()):
    """What becomes of so many pairs of *cases*, with a look's verdicts (inconclusive, when there are no more)."""
    progress = Play()
    answers = itertools.chain(verdicts, itertools.repeat(GateVerdict.INCONCLUSIVE))

    def look(open_pairs):
        progress.asked.append(dict(open_pairs))
        return verdict(next(answers))

    measure(
        progress,
        PairPlan(pairs=pairs, budget_s=budget_s, seed=1),
        (Side("A", progress.diary, ends=dict(a)), Side("B", progress.diary, ends=dict(b))),
        [f"{case}#{number}" for number in range(1, pairs + 1) for case in cases],
        look=look,
        say=progress.messages.append,
        now_s=itertools.count().__next__,
    )
    return progress


def test_each_turn_is_taken_by_both_sides_before_the_next_one():
    progress = played(4, "x", "y")
    turns = [turn for _, turn in progress.diary]
    assert turns == [f"{case}#{n}" for n in (1, 2, 3, 4) for case in "xy" for _ in "AB"]
    names = [name for name, _ in progress.diary]
    assert all({a, b} == {"A", "B"} for a, b in zip(names[::2], names[1::2], strict=True))
    assert progress.pairs == {"x": 4, "y": 4}


def test_the_order_of_every_pair_is_what_was_done():
    progress = played(6, "x")
    done = ["".join(name for name, turn in progress.diary if turn == f"x#{n}") for n in range(1, 7)]
    assert progress.orders == {"x": done}
    assert set(done) == {"AB", "BA"}


def test_the_verdict_is_asked_for_after_whole_rounds_and_a_clear_one_ends_it():
    progress = played(20, "x", "y", verdicts=[GateVerdict.INCONCLUSIVE, GateVerdict.PASS])
    assert progress.asked == [{"x": 10, "y": 10}, {"x": 15, "y": 15}]
    assert progress.looked == [10, 15]
    assert progress.pairs == {"x": 15, "y": 15}
    assert progress.ended == "the verdict is clear"


def test_without_a_clear_verdict_all_pairs_are_measured():
    progress = played(12, "x")
    assert (progress.pairs, progress.ended, progress.looked) == ({"x": 12}, "all 12 pairs are measured", [10, 12])


def test_no_pair_begins_once_the_budget_is_spent_and_one_that_began_is_finished():
    # the clock: 0 at the start, then a reading before each pair and two around each process, so 5 a pair
    progress = played(20, "x", "y", budget_s=12)
    assert progress.pairs == {"x": 2, "y": 1}  # begun at 1, 6 and 11 s; the next one would be at 16
    assert progress.ended == "the budget of 12 s is spent"
    assert len(progress.diary) == 6


def test_a_case_that_one_side_loses_is_over_for_both_and_the_others_go_on():
    progress = played(4, "x", "y", b={"x#2": "oom: too large"})
    assert progress.lost == {"x": "B: oom: too large"}
    assert progress.pairs == {"x": 1, "y": 4}
    assert [turn for _, turn in progress.diary if turn.startswith("x")].count("x#3") == 0
    assert progress.asked == [{"y": 4}]


def test_the_second_side_does_not_measure_what_the_first_has_lost():
    progress = played(2, "x", a={"x#1": "failed: no"}, b={"x#1": "failed: no"})
    assert len(progress.diary) == 1
    assert progress.ended == "no case is left"
    assert progress.measured


def test_an_interruption_leaves_what_was_measured():
    progress = PairProgress()
    diary = []
    sides = (Side("A", diary), Side("B", diary, ends={"x#2": KeyboardInterrupt}))
    with pytest.raises(KeyboardInterrupt):
        measure(
            progress,
            PairPlan(pairs=3, budget_s=None, seed=1),
            sides,
            ["x#1", "x#2", "x#3"],
            look=lambda _: verdict(GateVerdict.INCONCLUSIVE),
            say=lambda _: None,
        )
    assert (progress.pairs, progress.ended, len(progress.orders["x"])) == ({"x": 1}, INTERRUPTED, 2)


def test_a_side_that_dies_ends_it_all():
    with pytest.raises(SideLost):
        played(3, "x", b={"x#2": SideLost})


def test_what_is_going_on_is_told_by_pair_case_and_side():
    progress = played(2, "x", verdicts=[GateVerdict.INCONCLUSIVE])
    first, second, look = progress.messages
    assert first.startswith("pair 1 of 2  x  ")
    assert {"A 1.0 s", "B 1.0 s"} == set(first.removeprefix("pair 1 of 2  x  ").split(", "))
    assert second.startswith("pair 2 of 2  x  ")
    assert look == "look after pair 2: inconclusive, 1 of 1 metrics undecided"


def test_of_nothing_there_is_nothing_to_store():
    assert not PairProgress().measured
