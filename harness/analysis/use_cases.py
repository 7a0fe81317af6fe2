"""Recommendations: the case that each use case of the policy should take, or the reason why none can be named.

Limits come first (`limits`); then `judge.rank` compares the cases within them by one metric. Stand-in weights are
never recommended: they say nothing about the model that they stand for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import combinations
from statistics import median

from harness.analysis.judge import STAND_INS, TOLERANCE, Contender, Verdict, obstacles, rank
from harness.analysis.labels import over_labels
from harness.analysis.limits import Entry, Evidence, check_limit, find_metric, suites_measuring
from harness.analysis.report_policy import Policy, Rank, UseCase
from harness.analysis.stats.estimates import process_values
from harness.results.metrics import BY_TOKEN, NO_WORK
from harness.results.records import Better
from harness.units import format_value


class UseCaseOutcome(StrEnum):
    """Outcome of one use case."""

    CASE = "a case"
    TIE = "a tie"
    NONE_FEASIBLE = "none feasible"
    INSUFFICIENT = "insufficient evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer to one use case. *cases* has one name, the names of a tie, or none.

    *flips* are changes that would lead to another answer; *left_out* are entries that were not considered, with why.
    """

    use_case: UseCase
    outcome: UseCaseOutcome
    reason: str
    cases: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    flips: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def recommend(policy: Policy, entries: Sequence[Entry]) -> tuple[Recommendation, ...]:
    """Answer every use case of the policy, from the entries of one run."""
    return tuple(_answer(use_case, entries) for use_case in policy.use_cases)


def _answer(use_case: UseCase, entries: Sequence[Entry]) -> Recommendation:
    left_out = {entry.name: f"stand-in weights ({source})" for entry in entries if (source := _stand_in(entry))}
    evidence: list[Evidence] = []
    broken: dict[str, list[Evidence]] = {}
    undecided: dict[str, str] = {}
    within: list[Contender] = []
    for entry in [entry for entry in entries if entry.name not in left_out]:
        checks = [
            check_limit(entry, limit, suites_measuring(limit.metric, entries, limit.suite)) for limit in use_case.limits
        ]
        contender, missing = _contender(entry, use_case.rank, entries)
        evidence += checks
        unmeasured = next((check.reason for check in checks if check.value is None), None) or missing
        unclear = next((f"{check.limit.metric}: {check.reason}" for check in checks if check.met is None), None)
        if failed := [check for check in checks if check.met is False]:
            broken[entry.name] = failed
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
        flips=(*_flips_by_limits(broken), *_flips_by_rank(use_case.rank, within, answer.cases)),
        left_out=tuple(f"{name}: {reason}" for name, reason in left_out.items()),
    )


def _decide(
    use_case: UseCase, within: Sequence[Contender], broken: dict[str, list[Evidence]], left_out: dict[str, str]
) -> Recommendation:
    """Answer a use case whose limits are all decided; the evidence is added by the caller."""
    answer = partial(Recommendation, use_case=use_case)
    if not within:
        reason = "every case that was measured breaks a limit" if broken else "; ".join(_grouped(left_out))
        outcome = UseCaseOutcome.NONE_FEASIBLE if broken else UseCaseOutcome.INSUFFICIENT
        return answer(outcome=outcome, reason=reason or "no case was measured")
    names = tuple(contender.name for contender in within)
    if len(within) == 1 and broken:
        return answer(
            outcome=UseCaseOutcome.CASE, reason="the only one of those measured within all limits", cases=names
        )
    ranking, *other_rankings = rank(within)
    if other_rankings or len(names) == 1:
        blocked = [obstacle for a, b in combinations(within, 2) for obstacle in _obstacles_between(a, b)]
        reason = f"not comparable: {', '.join(dict.fromkeys(blocked))}" if other_rankings else ranking.reason
        return answer(outcome=UseCaseOutcome.INSUFFICIENT, reason=f"{reason} ({', '.join(names)})")
    if ranking.winner is not None:
        return answer(outcome=UseCaseOutcome.CASE, reason=ranking.reason, cases=(ranking.winner,))
    if {judgement.verdict for judgement in ranking.others.values()} <= {Verdict.BETTER, Verdict.EQUIVALENT}:
        return answer(outcome=UseCaseOutcome.TIE, reason="equivalent", cases=ranking.level)
    return answer(outcome=UseCaseOutcome.INSUFFICIENT, reason=f"{ranking.verdict.value}: {ranking.reason}")


def _grouped(reasons: dict[str, str]) -> list[str]:
    """Group names by reason: each reason once, followed by its names."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"{reason} ({', '.join(affected)})" for reason, affected in names.items()]


def _obstacles_between(a: Contender, b: Contender) -> list[str]:
    return obstacles(a.key, b.key, a.metric, by_token=a.by_token)


def _stand_in(entry: Entry) -> str | None:
    """Return the source of the weights if they stand in for the model's own; otherwise None."""
    sources = {record.key.weights.source for record in entry.records.values() if record.key}
    return next(iter(sorted(sources & STAND_INS)), None)


def _contender(entry: Entry, by: Rank, entries: Sequence[Entry]) -> tuple[Contender | None, str | None]:
    """Return the entry with the metric that ranks, for the judge; or the reason why it cannot be ranked."""
    suites = suites_measuring(by.metric, entries, by.suite)
    if len(suites) > 1:
        return None, f"{by.metric} was measured in {' and '.join(suites)}; the policy's rank has to name a suite"
    metrics, missing = find_metric(entry, by.metric, suites)
    if missing:
        return None, missing
    ((suite, metric),) = metrics.items()
    if by.label is not None and by.label not in metric.parts():
        return None, f"{by.metric} was not measured of label {by.label!r}"
    if by.label is None and metric.labels is not None:
        labels = _labels(entries, by.metric, suite)
        if missing := ", ".join(label for label in labels if label not in metric.labels):
            return None, f"{by.metric} was not measured of {missing}"
        mean = over_labels(metric, labels)
        if mean is None:
            return None, f"a reading of {by.metric} is 0, so its labels have no geometric mean"
        metric = mean
    elif by.label is not None:
        metric = replace(metric, samples=metric.parts()[by.label], labels=None)
    return Contender(name=entry.name, key=entry.records[suite].key, metric=metric, by_token=by.metric in BY_TOKEN), None


def _labels(entries: Sequence[Entry], metric: str, suite: str) -> tuple[str, ...]:
    """Return the labels of *metric* over all entries, without those that are no work."""
    metrics = (entry.records[suite].metrics.get(metric) for entry in entries if suite in entry.records)
    labels = dict.fromkeys(label for measured in metrics if measured and measured.labels for label in measured.labels)
    return tuple(label for label in labels if label not in NO_WORK)


def _flips_by_limits(broken: dict[str, list[Evidence]]) -> list[str]:
    """Return, for each excluded case, the values that would bring it within the limits."""
    flips = []
    for name, evidence in broken.items():
        parts = []
        for failed in evidence:
            limit, unit = failed.limit, failed.unit or ""
            figure = " ".join(filter(None, (limit.metric, failed.label, f"({limit.statistic})")))
            bounds = (("at most", limit.at_most), ("at least", limit.at_least))
            needed = " and ".join(f"{word} {format_value(bound, unit)}" for word, bound in bounds if bound is not None)
            parts.append(f"{figure} were {needed}; it is {format_value(failed.value, unit)}")
        flips.append(f"{name} is within the limits if its {', and if its '.join(parts)}")
    return flips


def _flips_by_rank(by: Rank, within: Sequence[Contender], chosen: Sequence[str]) -> list[str]:
    """Return, for each case that was not chosen alone, the value of the metric at which it would lead."""
    if not chosen:
        return []
    flips = []
    for contender in within:
        others = [_middle(other) for other in within if other is not contender]
        if (contender.name,) == tuple(chosen) or not others:
            continue
        metric = contender.metric
        tolerance, lower = 1 + TOLERANCE[metric.kind], metric.better is Better.LOWER
        needed = min(others) / tolerance if lower else max(others) * tolerance
        word, unit = "at most" if lower else "at least", metric.unit
        values = f"{word} {format_value(needed, unit)}; it is {format_value(_middle(contender), unit)}"
        flips.append(f"{contender.name} leads if its {by.metric} were {values}")
    return flips


def _middle(contender: Contender) -> float:
    """Return the median of the processes. A contender always has samples."""
    return median(process_values(contender.metric.samples or ()))
