"""Comparison of two environments on this machine: two sessions in turns, two stored runs, one verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.stats.changes import FEWEST_PAIRS
from harness.errors import BadConfig, HarnessError
from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult
from harness.machine.clock import utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.comparison_entry import ComparisonEntry
from harness.results.merge import merge_samples
from harness.results.records import Bundle
from harness.results.turn_id import TurnId
from harness.session.ab.arms import PreparedArm
from harness.session.ab.pairs import INTERRUPTED, PairPlan, PairProgress, measure
from harness.session.ab.side import SideLost, SideSession
from harness.session.run_head import stamp

_SET_HERE = (
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
_ENDING_EARLY = ("--exitfirst", "--maxfail", "--stepwise", "--sw")
_LETTERS = frozenset("lqsvx")  # one-letter options of pytest that can be joined behind one dash

Gate = Callable[[Bundle, Bundle, int], GateResult]  # baseline, candidate, planned number of looks


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOutcome:
    """Outcome of a comparison. *result* is None if it was interrupted before anything was measured."""

    result: GateResult | None
    directories: tuple[Path, Path]
    pairs: Mapping[str, int]
    ended: str

    @property
    def interrupted(self) -> bool:
        """True if the user interrupted the comparison."""
        return self.ended == INTERRUPTED


def plan(pairs: int | None, budget_s: float | None, seed: int) -> PairPlan:
    """Return the limits that were asked for; by default as many pairs as a verdict usually needs.

    Raises:
        BadConfig: if nothing could be measured within them.
    """
    problems = []
    if pairs is not None and pairs < 1:
        problems.append(f"--pairs {pairs}; give a whole number of 1 or more")
    if budget_s is not None and not 0 < budget_s < math.inf:
        problems.append(f"--budget {budget_s}; give a number of seconds above 0")
    if problems:
        raise BadConfig("ab", problems)
    return PairPlan(pairs=pairs or interim_analyses.MOST_PAIRS, budget_s=budget_s, seed=seed)


def check(arguments: Sequence[str]) -> None:
    """Reject pytest arguments that `ab` sets itself or that would end one side early.

    Raises:
        BadConfig: naming all of them.
    """
    problems = [] if arguments else ["nothing is to be measured; say what behind --, as in -- suites/inference"]
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _SET_HERE:
            problems.append(f"{argument!r} is set by the comparison itself; leave it out")
        elif name in _ENDING_EARLY or (argument[:1] == "-" and "x" in argument and set(argument[1:]) <= _LETTERS):
            problems.append(f"{argument!r} would end one side before the other; leave it out")
    if problems:
        raise BadConfig("arguments for pytest", problems)


def compare(
    arms: tuple[PreparedArm, PreparedArm],
    arguments: Sequence[str],
    plan: PairPlan,
    *,
    results_dir: Path,
    gate: Gate,
    say: Callable[[str], None],
) -> ComparisonOutcome:
    """Measure both *arms* in turns, store two runs that name each other, and judge B against A.

    Raises:
        HarnessError: if a side cannot be measured, or dies; the pairs measured until then are stored.
    """
    check(arguments)
    if plan.pairs < FEWEST_PAIRS:
        say(f"warning: {plan.pairs} of {FEWEST_PAIRS} pairs that a verdict on speed takes; this shows that all works")
    begun = stamp(utc_now())
    directories = (results_dir.absolute() / f"{begun}-a", results_dir.absolute() / f"{begun}-b")
    progress = PairProgress()
    sides: list[SideSession] = []
    try:
        turns = []
        for name, arm, directory in zip("AB", arms, directories, strict=True):
            say(f"preparing {name}: {arm.text}")
            sides.append(SideSession.start(name, arm, arguments, directory=directory, repeats=plan.pairs, say=say))
            turns.append(sides[-1].ready())
        _check_turns(turns)
        _measure(progress, plan, (sides[0], sides[1]), turns[0], gate, say)
        for side in sides:
            side.stop(progress.pairs)
        for side in sides:
            side.wait()
    except KeyboardInterrupt:
        progress.ended = INTERRUPTED
        _break_off(sides, progress)
    except HarnessError:
        _break_off(sides, progress)
        raise
    finally:
        for side in sides:
            side.close(keep=progress.measured)
    outcome = ComparisonOutcome(result=None, directories=directories, pairs=progress.pairs, ended=progress.ended)
    if not progress.measured:
        return outcome
    for side, other in zip(sides, reversed(directories), strict=True):
        _store_entry(side, other.name, _entry(side, plan, progress))
    a, b = map(store.read_run, directories)
    return replace(outcome, result=gate(a, b, len(plan.looks)))


def _measure(
    progress: PairProgress,
    plan: PairPlan,
    sides: tuple[SideSession, SideSession],
    turns: Sequence[str],
    gate: Gate,
    say: Callable[[str], None],
) -> None:
    """Have the sides take turns; at each look the gate judges the samples stored so far."""

    def look(pairs: Mapping[str, int]) -> GateResult:
        a, b = (_read_so_far(side.directory, pairs) for side in sides)
        return gate(a, replace(b, run=replace(b.run, paired_with=a.run.id)), len(plan.looks))

    measure(progress, plan, sides, turns, look=look, say=say)


def _check_turns(turns: Sequence[Sequence[str]]) -> None:
    """Reject two sides that would not measure the same cases."""
    a, b = map(set, turns)
    if a != b:
        odd = sorted({TurnId.parse(turn).case for turn in a ^ b})
        raise HarnessError(
            f"the sides have different cases: {', '.join(odd)} {'is' if len(odd) == 1 else 'are'} not in both; "
            "name a test, or models and adapters, that both know"
        )


def _break_off(sides: Sequence[SideSession], progress: PairProgress) -> None:
    """End the sessions that still run; each stores its part of the measured pairs."""
    for side in sides:
        side.stop(progress.pairs)
    for side in sides:
        with suppress(SideLost):  # a side that was not ready yet, or whose loss is the reason for this
            side.wait()


def _read_so_far(directory: Path, pairs: Mapping[str, int]) -> Bundle:
    """Read what one side has measured in the first *pairs* pairs of each case."""
    head = store.read_head(directory)
    records = []
    for case, count in pairs.items():
        processes = store.read_processes(directory, case)[:count]
        merged = merge_samples(case, [process.sample for process in processes], started_at=head.run.started_at)
        records.append(replace(merged, identity=processes[0].identity if processes else {}))
    return Bundle(schema=head.schema, run=head.run, environment=head.environment, records=tuple(records))


def _entry(side: SideSession, plan: PairPlan, progress: PairProgress) -> ComparisonEntry:
    """Describe the comparison for the run of one side."""
    return ComparisonEntry(
        side=side.name,
        arm=without_home(side.arm.text),
        facts=side.arm.facts,
        seed=plan.seed,
        most_pairs=plan.pairs,
        budget_s=plan.budget_s,
        pairs=progress.pairs,
        orders=progress.orders,
        looks=plan.looks,
        looked=progress.looked,
        ended=progress.ended,
    )


def _store_entry(side: SideSession, other: str, entry: ComparisonEntry) -> None:
    """Store in the run of *side* the entry, and *other*, the run it was measured in turns with."""
    head = store.read_head(side.directory)
    run = replace(head.run, paired_with=other, options=head.run.options | entry.to_options())
    store.write_run(side.directory, run, head.environment, head.earlier_environments)
