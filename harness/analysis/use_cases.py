"""Which case a use case of the policy should take, or why none can be named. Pure.

Limits come first (`evidence`), then one metric decides between what keeps to them, and that by `judge.rank` alone.
Stand-in weights are never recommended: they say nothing of the model they stand for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from itertools import combinations
from statistics import median

from harness.analysis.judge import STAND_INS, TOLERANCE, Contender, Verdict, obstacles, rank
from harness.analysis.labels import over_labels
from harness.analysis.limits import Entry, Evidence, looked_up, measuring, weigh
from harness.analysis.report_policy import Policy, Rank, UseCase
from harness.analysis.stats.estimates import process_values
from harness.results.metrics import BY_TOKEN, NO_WORK
from harness.results.records import Better
from harness.units import format_value


class UseCaseOutcome(Enum):
    """Of one use case."""

    CASE = "a case"
    TIE = "a tie"
    NONE_FEASIBLE = "none feasible"
    INSUFFICIENT = "insufficient evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer to one use case. *cases* holds one name, those of a tie, or none.

    *flips* says what would have to be otherwise for another answer, *left_out* which entries were not considered.
    """

    use_case: UseCase
    outcome: UseCaseOutcome
    reason: str
    cases: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    flips: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def recommend(policy: Policy, field: Sequence[Entry]) -> tuple[Recommendation, ...]:
    """Answer every use case of the policy, from the entries of one run."""
    return tuple(_answer(use_case, field) for use_case in policy.use_cases)


def _answer(use_case: UseCase, field: Sequence[Entry]) -> Recommendation:
    left_out = {entry.name: f"stand-in weights ({source})" for entry in field if (source := _stand_in(entry))}
    evidence: list[Evidence] = []
    broken: dict[str, list[Evidence]] = {}
    undecided: dict[str, str] = {}
    within: list[Contender] = []
    for entry in (its for its in field if its.name not in left_out):
        weighed = [weigh(entry, limit, measuring(field, limit.metric, limit.suite)) for limit in use_case.limits]
        contender, missing = _contender(entry, use_case.rank, field)
        evidence += weighed
        unmeasured = next((its.reason for its in weighed if its.value is None), None) or missing
        unclear = next((f"{its.limit.metric}: {its.reason}" for its in weighed if its.met is None), None)
        if over := [its for its in weighed if its.met is False]:
            broken[entry.name] = over
        elif unmeasured or contender is None:
            left_out[entry.name] = unmeasured or "not measured"
        elif unclear:
            undecided[entry.name] = unclear
        else:
            within.append(contender)
    if undecided:
        reason = "; ".join(_grouped(undecided))
        answer = Recommendation(use_case=use_case, outcome=UseCaseOutcome.INSUFFICIENT, reason=reason)
    else:
        answer = _decide(use_case, within, broken, left_out)
    return replace(
        answer,
        evidence=tuple(evidence),
        flips=(*_by_limits(broken), *_by_rank(use_case.rank, within, answer.cases)),
        left_out=tuple(f"{name}: {why}" for name, why in left_out.items()),
    )


def _decide(
    use_case: UseCase, within: Sequence[Contender], broken: dict[str, list[Evidence]], left_out: dict[str, str]
) -> Recommendation:
    """The answer where every limit is decided, without its evidence."""
    answer = partial(Recommendation, use_case=use_case)
    if not within:
        reason = "every case that was measured breaks a limit" if broken else "; ".join(_grouped(left_out))
        outcome = UseCaseOutcome.NONE_FEASIBLE if broken else UseCaseOutcome.INSUFFICIENT
        return answer(outcome=outcome, reason=reason or "no case was measured")
    names = tuple(its.name for its in within)
    if len(within) == 1 and broken:
        return answer(
            outcome=UseCaseOutcome.CASE, reason="the only one of those measured within all limits", cases=names
        )
    its, *apart = rank(within)
    if apart or len(names) == 1:
        blocked = [what for a, b in combinations(within, 2) for what in _apart(a, b)]
        reason = f"not comparable: {', '.join(dict.fromkeys(blocked))}" if apart else its.reason
        return answer(outcome=UseCaseOutcome.INSUFFICIENT, reason=f"{reason} ({', '.join(names)})")
    if its.winner is not None:
        return answer(outcome=UseCaseOutcome.CASE, reason=its.reason, cases=(its.winner,))
    if {one.verdict for one in its.others.values()} <= {Verdict.BETTER, Verdict.EQUIVALENT}:
        return answer(outcome=UseCaseOutcome.TIE, reason="equivalent", cases=its.level)
    return answer(outcome=UseCaseOutcome.INSUFFICIENT, reason=f"{its.verdict.value}: {its.reason}")


def _grouped(reasons: dict[str, str]) -> list[str]:
    """Each reason once, with the names it is about."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"{reason} ({', '.join(its)})" for reason, its in names.items()]


def _apart(a: Contender, b: Contender) -> list[str]:
    return obstacles(a.key, b.key, a.metric, by_token=a.by_token)


def _stand_in(entry: Entry) -> str | None:
    """Which weights stand in for the model's own; None where none do."""
    sources = {record.key.weights.source for record in entry.records.values() if record.key}
    return next(iter(sorted(sources & STAND_INS)), None)


def _contender(entry: Entry, by: Rank, field: Sequence[Entry]) -> tuple[Contender | None, str | None]:
    """The entry as the judge takes it, in the metric that ranks; or why it cannot be ranked."""
    suites = measuring(field, by.metric, by.suite)
    if len(suites) > 1:
        return None, f"{by.metric} was measured in {' and '.join(suites)}; the policy's rank has to name a suite"
    metrics, missing = looked_up(entry, by.metric, suites)
    if missing:
        return None, missing
    ((suite, metric),) = metrics.items()
    if by.label is not None and by.label not in metric.parts():
        return None, f"{by.metric} was not measured of label {by.label!r}"
    if by.label is None and metric.labels is not None:
        labels = _labels(field, by.metric, suite)
        if missing := ", ".join(label for label in labels if label not in metric.labels):
            return None, f"{by.metric} was not measured of {missing}"
        mean = over_labels(metric, labels)
        if mean is None:
            return None, f"a reading of {by.metric} is 0, so its labels have no geometric mean"
        metric = mean
    elif by.label is not None:
        metric = replace(metric, samples=metric.parts()[by.label], labels=None)
    return Contender(name=entry.name, key=entry.records[suite].key, metric=metric, by_token=by.metric in BY_TOKEN), None


def _labels(field: Sequence[Entry], metric: str, suite: str) -> tuple[str, ...]:
    """Every label of the work that some entry's metric has."""
    found = (entry.records[suite].metrics.get(metric) for entry in field if suite in entry.records)
    labels = dict.fromkeys(label for its in found if its and its.labels for label in its.labels)
    return tuple(label for label in labels if label not in NO_WORK)


def _by_limits(broken: dict[str, list[Evidence]]) -> list[str]:
    """What excludes each, as what would have to be otherwise."""
    found = []
    for name, evidence in broken.items():
        parts = []
        for its in evidence:
            of = " ".join(filter(None, (its.limit.metric, its.label, f"({its.limit.statistic})")))
            unit = its.unit or ""
            bounds = (("at most", its.limit.at_most), ("at least", its.limit.at_least))
            wanted = " and ".join(f"{word} {format_value(bound, unit)}" for word, bound in bounds if bound is not None)
            parts.append(f"{of} were {wanted}; it is {format_value(its.value, unit)}")
        found.append(f"{name} is within the limits if its {', and if its '.join(parts)}")
    return found


def _by_rank(by: Rank, within: Sequence[Contender], chosen: Sequence[str]) -> list[str]:
    """How far the metric of each that was not chosen, or not alone, would have to come."""
    if not chosen:
        return []
    found = []
    for its in within:
        others = [_middle(one) for one in within if one is not its]
        if (its.name,) == tuple(chosen) or not others:
            continue
        tolerance, lower = 1 + TOLERANCE[its.metric.kind], its.metric.better is Better.LOWER
        needed = min(others) / tolerance if lower else max(others) * tolerance
        word, unit = "at most" if lower else "at least", its.metric.unit
        values = f"{word} {format_value(needed, unit)}; it is {format_value(_middle(its), unit)}"
        found.append(f"{its.name} leads if its {by.metric} were {values}")
    return found


def _middle(contender: Contender) -> float:
    """The median of the processes; what was compared has samples."""
    return median(process_values(contender.metric.samples or ()))
