"""A comparison of two environments on this machine: two sessions in turns, two stored runs, one verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.analysis.stats.changes import FEWEST_PAIRS
from harness.errors import BadConfig, HarnessError
from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult
from harness.machine.clock import utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.merge import merge_samples
from harness.results.records import Bundle
from harness.session.ab.arms import Arm
from harness.session.ab.pairs import INTERRUPTED, Course, Plan, measure
from harness.session.ab.side import Side, SideLost
from harness.session.run_head import stamp

_OURS = (
    "--repeats",
    "--run-id",
    "--results-dir",
    "--resume",
    "--gate",
    "--gate-policy",
    "--turnstile",
    "--collect-only",
    "--co",
)
_ENDING = ("--exitfirst", "--maxfail", "--stepwise", "--sw")
_LETTERS = frozenset("lqsvx")  # of pytest's, that can stand together behind one dash

Gate = Callable[[Bundle, Bundle, int], GateResult]  # baseline, candidate, how many looks there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a comparison came to. *result* is None if it was interrupted before anything was measured."""

    result: GateResult | None
    directories: tuple[Path, Path]
    pairs: Mapping[str, int]
    ended: str

    @property
    def interrupted(self) -> bool:
        """Whether somebody had it end."""
        return self.ended == INTERRUPTED


def plan(pairs: int | None, budget_s: float | None, seed: int) -> Plan:
    """How much is measured at most: as asked for, else what a verdict usually needs.

    Raises:
        BadConfig: if that is nothing.
    """
    problems = []
    if pairs is not None and pairs < 1:
        problems.append(f"--pairs {pairs}; give a whole number of 1 or more")
    if budget_s is not None and not 0 < budget_s < math.inf:
        problems.append(f"--budget {budget_s}; give a number of seconds above 0")
    if problems:
        raise BadConfig("ab", problems)
    return Plan(pairs=pairs or interim_analyses.MOST_PAIRS, budget_s=budget_s, seed=seed)


def check(arguments: Sequence[str]) -> None:
    """Refuse what pytest may not be told here.

    Raises:
        BadConfig: naming all of it.
    """
    problems = [] if arguments else ["nothing is to be measured; say what behind --, as in -- suites/inference"]
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _OURS:
            problems.append(f"{argument!r} is set by the comparison itself; leave it out")
        elif name in _ENDING or (argument[:1] == "-" and "x" in argument and set(argument[1:]) <= _LETTERS):
            problems.append(f"{argument!r} would end one side before the other; leave it out")
    if problems:
        raise BadConfig("arguments for pytest", problems)


def compare(
    arms: tuple[Arm, Arm],
    arguments: Sequence[str],
    plan: Plan,
    *,
    results_dir: Path,
    gate: Gate,
    say: Callable[[str], None],
) -> Outcome:
    """Measure both *arms* in turns, store two runs that name each other, and judge B against A.

    Raises:
        HarnessError: if a side cannot be measured, or dies; what both had measured until then is stored.
    """
    check(arguments)
    if plan.pairs < FEWEST_PAIRS:
        say(f"warning: {plan.pairs} of {FEWEST_PAIRS} pairs that a verdict on speed takes; this shows that all works")
    begun = stamp(utc_now())
    directories = (results_dir.absolute() / f"{begun}-a", results_dir.absolute() / f"{begun}-b")
    course = Course()
    sides: list[Side] = []
    try:
        turns = []
        for name, arm, directory in zip("AB", arms, directories, strict=True):
            say(f"preparing {name}: {arm.text}")
            sides.append(Side.start(name, arm, arguments, directory=directory, repeats=plan.pairs, say=say))
            turns.append(sides[-1].ready())
        _check_turns(turns)
        _measure(course, plan, (sides[0], sides[1]), turns[0], gate, say)
        for side in sides:
            side.stop(course.pairs)
        for side in sides:
            side.wait()
    except KeyboardInterrupt:
        course.ended = INTERRUPTED
        _break_off(sides, course)
    except HarnessError:
        _break_off(sides, course)
        raise
    finally:
        for side in sides:
            side.close(keep=course.measured)
    outcome = Outcome(result=None, directories=directories, pairs=course.pairs, ended=course.ended)
    if not course.measured:
        return outcome
    for side, other in zip(sides, reversed(directories), strict=True):
        _mark(side, other.name, _entry(side, plan, course))
    a, b = map(store.read_run, directories)
    return replace(outcome, result=gate(a, b, len(plan.looks)))


def _measure(
    course: Course, plan: Plan, sides: tuple[Side, Side], turns: Sequence[str], gate: Gate, say: Callable[[str], None]
) -> None:
    """Take turns; what is asked at a look is the gate, of what lies on disk by then."""

    def look(pairs: Mapping[str, int]) -> GateResult:
        a, b = (_so_far(side.directory, pairs) for side in sides)
        return gate(a, replace(b, run=replace(b.run, paired_with=a.run.id)), len(plan.looks))

    measure(course, plan, sides, turns, look=look, say=say)


def _check_turns(turns: Sequence[Sequence[str]]) -> None:
    """Refuse two sides that would not measure the same."""
    a, b = map(set, turns)
    if a != b:
        odd = sorted({turn.rpartition("#")[0] for turn in a ^ b})
        raise HarnessError(
            f"the sides have different cases: {', '.join(odd)} {'is' if len(odd) == 1 else 'are'} not in both; "
            "name a test, or models and adapters, that both know"
        )


def _break_off(sides: Sequence[Side], course: Course) -> None:
    """End what still runs, with what was measured stored."""
    for side in sides:
        side.stop(course.pairs)
    for side in sides:
        with suppress(SideLost):  # one that was not ready yet, or that is the reason why all end
            side.wait()


def _so_far(directory: Path, pairs: Mapping[str, int]) -> Bundle:
    """What one side has measured of so many pairs of each case."""
    head = store.read_head(directory)
    records = []
    for case, count in pairs.items():
        processes = store.read_processes(directory, case)[:count]
        merged = merge_samples(case, [its.sample for its in processes], started_at=head.run.started_at)
        records.append(replace(merged, identity=processes[0].identity if processes else {}))
    return Bundle(schema=head.schema, run=head.run, environment=head.environment, records=tuple(records))


def _entry(side: Side, plan: Plan, course: Course) -> dict[str, Any]:
    """What a run says of the comparison it is a side of."""
    return {
        "side": side.name,
        "arm": without_home(side.arm.text),
        "facts": dict(side.arm.facts),
        "seed": plan.seed,
        "most_pairs": plan.pairs,
        "budget_s": plan.budget_s,
        "pairs": course.pairs,
        "orders": course.orders,
        "looks": list(plan.looks),
        "looked": course.looked,
        "ended": course.ended,
    }


def _mark(side: Side, other: str, entry: Mapping[str, Any]) -> None:
    """Have a run name the one it was measured in turns with."""
    head = store.read_head(side.directory)
    run = replace(head.run, paired_with=other, options=head.run.options | {"ab": dict(entry)})
    store.write_run(side.directory, run, head.environment, head.earlier_environments)
