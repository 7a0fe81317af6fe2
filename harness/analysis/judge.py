"""Decide whether B differs from A, and by how much. Reports and the gate both ask this one module.

docs/decisions/0004-one-judge.md and 0019-the-gates-rule.md give the reasons for these estimators and this rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from harness.analysis.stats.changes import FEWEST_PAIRS, Change, change_of_independent, change_of_pairs
from harness.analysis.stats.estimates import Interval, process_values
from harness.results.records import Better, Key, Kind, Metric

Samples = Sequence[Sequence[float]]  # a metric's readings: one inner sequence per process

MIN_PROCESSES = 5
# The smallest change that matters, relative. Speed below 3 % and memory below 1 % is within what
# machines do by themselves; source: docs/decisions/0004-one-judge.md.
TOLERANCE = {Kind.TIMING: 0.03, Kind.MEMORY: 0.01, Kind.LOSS: 0.01, Kind.QUALITY: 0.03, Kind.EXACT: 0.0}


# Sources of weights that are not the model's own. Such weights never compare with real ones, and their quality is
# never reported.
STAND_INS = frozenset({"nano", "random"})
STAND_IN = "stand-in weights"
STAND_IN_NOTE = f": {STAND_IN} ("  # part of the note that a worker writes about such weights


class Design(Enum):
    """Relation between the processes of the two sides: measured in alternating pairs, or in two independent runs."""

    PAIRED = "paired"
    INDEPENDENT = "independent"


class Verdict(Enum):
    """Verdict on B against A. Only the first three were decided by numbers."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "not judged"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Verdict with the ratio B / A that it rests on, or None where no ratio can be given.

    *reason* explains a verdict without a ratio; it is "" where the ratio is the reason (`ratio_text` writes it).
    *worse* is the change of the cost (above 1 is worse) with its p-values; None where there is no interval.
    """

    verdict: Verdict
    ratio: Interval | None
    reason: str
    worse: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Thresholds that a verdict is decided with.

    *tolerance* is the smallest relative change that matters. *margin* is the relative change that the machine alone
    may cause between two sessions. *looks* is the number of interim analyses of the same growing samples; they share
    the significance level.
    """

    tolerance: float
    margin: float = 0.0
    looks: int = 1


def level(processes: int, looks: int = 1) -> float:
    """One-tailed significance level: 0.1 / n, at least 0.5 %; several looks share the 0.5 %.

    More processes thus detect smaller changes and also lower the chance of a false alarm.
    """
    return _LEVEL_OF_MANY / looks if looks > 1 else max(_LEVEL_OF_MANY, _LEVEL_BY_NUMBER / processes)


_LEVEL_OF_MANY, _LEVEL_BY_NUMBER = 0.005, 0.1


def fewest_needed(design: Design) -> int:
    """Return the number of processes a side that an interval needs."""
    return FEWEST_PAIRS if design is Design.PAIRED else MIN_PROCESSES


def judge(
    baseline: Metric,
    candidate: Metric,
    *,
    label: str | None = None,
    design: Design = Design.INDEPENDENT,
    demand: Demand | None = None,
) -> Judgement:
    """Judge *candidate* against *baseline*: one metric of two comparable cases.

    B is equivalent if the 95 % interval of the ratio lies within the tolerance. B is better or worse if the change is
    significant (`level`) and the interval does not exclude a change as large as the tolerance. Otherwise the verdict
    is inconclusive.
    """
    a, b = baseline.parts().get(label), candidate.parts().get(label)
    if baseline.better is Better.NONE:
        return _without_ratio(Verdict.NOT_JUDGED, "neither more nor less of it is better")
    if a is None or b is None:
        missing = f"{label} was not measured on both sides" if label else "not measured"
        return _without_ratio(Verdict.NOT_JUDGED, baseline.reason or candidate.reason or missing)
    if baseline.kind is Kind.EXACT:
        return _judge_exact(process_values(a), process_values(b), baseline.better)
    if reason := _why_no_interval(a, b, design):
        return _without_ratio(Verdict.NOT_JUDGED, reason)
    demand = demand or Demand(tolerance=TOLERANCE[baseline.kind])
    baseline_values, candidate_values = process_values(a), process_values(b)
    match design:
        case Design.PAIRED:
            change = change_of_pairs(candidate_values, baseline_values, looks=demand.looks)
        case Design.INDEPENDENT:
            change = change_of_independent(candidate_values, baseline_values, margin=demand.margin)
    return _judge_change(change, baseline.better, demand, min(len(a), len(b)))


def _why_no_interval(a: Samples, b: Samples, design: Design) -> str | None:
    """Explain why these samples give no ratio with an interval; None if they do."""
    fewest, paired = min(len(a), len(b)), design is Design.PAIRED
    if fewest < (needed := fewest_needed(design)):
        return f"n={fewest}; a verdict needs {needed} {'pairs' if paired else 'processes a case'}"
    if paired and len(a) != len(b):
        return f"{len(a)} and {len(b)} processes make no pairs"
    if min(*process_values(a), *process_values(b)) <= 0:
        return "a reading is not above 0, so there is no ratio"
    return None


def _judge_change(change: Change | None, better: Better, demand: Demand, processes: int) -> Judgement:
    """Decide the verdict from a change: compare it with no change and with the tolerance."""
    assert change is not None, "there are enough processes for an interval"
    cost = _inverted(change) if better is Better.HIGHER else change  # a higher reading is a lower cost
    matters, significance = 1 + demand.tolerance, level(processes, demand.looks)
    smallest_point = (1 + demand.margin) * matters if demand.margin else 1.0
    if 1 / matters < cost.ratio.low and cost.ratio.high < matters:
        verdict = Verdict.EQUIVALENT
    elif cost.rise <= significance and cost.ratio.high >= matters and cost.ratio.point >= smallest_point:
        verdict = Verdict.WORSE
    elif cost.fall <= significance and cost.ratio.low <= 1 / matters and cost.ratio.point <= 1 / smallest_point:
        verdict = Verdict.BETTER
    else:
        verdict = Verdict.INCONCLUSIVE
    return Judgement(verdict=verdict, ratio=change.ratio, reason="", worse=cost)


def ratio_text(ratio: Interval) -> str:
    """Write a ratio with its interval."""
    return f"ratio {ratio.point:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _inverted(change: Change) -> Change:
    """Return the change of the reciprocal: the cost of a metric of which more is better."""
    ratio = change.ratio
    return Change(
        ratio=Interval(
            low=1 / ratio.high,
            point=1 / ratio.point,
            high=1 / ratio.low,
            confidence=ratio.confidence,
            method=ratio.method,
        ),
        rise=change.fall,
        fall=change.rise,
        error=change.error,
        freedom=change.freedom,
    )


def _judge_exact(a: Sequence[float], b: Sequence[float], better: Better) -> Judgement:
    """Judge an exact quantity, which has neither noise nor tolerance."""
    if len(set(a)) > 1 or len(set(b)) > 1:
        return _without_ratio(Verdict.INCONCLUSIVE, "an exact quantity that varies between processes")
    if a[0] == b[0]:
        return _without_ratio(Verdict.EQUIVALENT, "equal")
    higher = b[0] > a[0]
    verdict = Verdict.BETTER if higher == (better is Better.HIGHER) else Verdict.WORSE
    return _without_ratio(verdict, "counted exactly")


def _without_ratio(verdict: Verdict, reason: str) -> Judgement:
    return Judgement(verdict=verdict, ratio=None, reason=reason)


_SHARED_PARTS = ("device", "dtype", "quantization", "dataset", "settings")
DERIVED_FIELDS = {"quantization.bits_per_weight"}  # follows from the quantization of a model and from its sizes


def obstacles(a: Key | None, b: Key | None, metric: Metric, *, by_token: bool = False) -> list[str]:
    """Name what keeps two cases from being compared in *metric*; [] if nothing does.

    *by_token* says that the metric is a figure per token (or per a number of tokens) although its unit does not.

    Model and adapter may differ: they are what is compared. Stand-in weights compare only with themselves, and in
    losses and quality not even with those. Random weights of full size have the speed and memory of their models, so
    in speed and memory they compare with each other.
    """
    if a is None or b is None:
        return ["the case did not get far enough to be identified"]
    differing = (name for part in _SHARED_PARTS for name in _differing(part, getattr(a, part), getattr(b, part)))
    names = [name for name in differing if name not in DERIVED_FIELDS]
    sources = {a.weights.source, b.weights.source}
    of_the_model_itself = metric.kind in {Kind.LOSS, Kind.QUALITY} or a.weights.sha256 != b.weights.sha256
    full_size = sources == {"random"} and metric.kind not in {Kind.LOSS, Kind.QUALITY}
    if sources & STAND_INS and of_the_model_itself and not full_size:
        names.insert(0, STAND_IN)
    counts_tokens = by_token or "token" in metric.unit or metric.unit == "1"
    if counts_tokens and a.tokenizer != b.tokenizer:
        names.append("tokenizer")
    return names


def why_not(names: Sequence[str]) -> str:
    """Write the obstacles between two cases as one phrase."""
    differing = [name for name in names if name != STAND_IN]
    words = [f"{STAND_IN} compare with nothing here"] if STAND_IN in names else []
    return "; ".join([*words, *([f"differing: {', '.join(differing)}"] if differing else [])])


def _differing(name: str, a: object, b: object) -> list[str]:
    """Name what differs: the part, or each of its fields where both sides have fields."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [f"{name}.{field}" for field in sorted(a.keys() | b.keys()) if a.get(field) != b.get(field)]
    return [name] if a != b else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A case in a comparison of several cases."""

    name: str
    key: Key | None
    metric: Metric
    by_token: bool = False  # as `obstacles` has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Verdict on contenders that compare with each other, or on one that compares with no other.

    *best* has the best median; *winner* is better than every other. *level* holds the best and those equivalent to it
    if the best is better than all the others, and is () otherwise. *others* holds the judgement of the best against
    each of the others.
    """

    members: tuple[str, ...]
    verdict: Verdict
    reason: str
    best: str | None = None
    winner: str | None = None
    level: tuple[str, ...] = ()
    others: dict[str, Judgement] = field(default_factory=dict)


Memo = dict[tuple[str, str, bool, bool], list[str]]  # two names, by token, loss or quality -> obstacles


def rank(contenders: Sequence[Contender], *, label: str | None = None, memo: Memo | None = None) -> tuple[Ranking, ...]:
    """Judge the contenders within each group of comparable ones; groups are in the order of their first members.

    A contender that does not compare even with its like forms a ranking of its own, after the groups. *memo* keeps
    the obstacles between two names for other metrics of the same cases.

    Raises:
        ValueError: if two contenders have the same name.
    """
    if len({contender.name for contender in contenders}) != len(contenders):
        raise ValueError("contenders need names of their own")
    memo = {} if memo is None else memo
    groups: list[list[Contender]] = []
    singles: list[Contender] = []  # compare with no other case at all, such as the quality of stand-in weights
    for contender in contenders:
        if _obstacles_between(contender, contender, memo):
            singles.append(contender)
            continue
        comparable = (group for group in groups if not _obstacles_between(group[0], contender, memo))
        group = next(comparable, None)
        groups.append([contender]) if group is None else group.append(contender)
    firsts = [*(group[0] for group in groups), *singles[:1]]
    rankings = [
        _rank_single(group[0], firsts[:_MOST_REASONS], memo) if len(group) == 1 else _rank_group(group, label)
        for group in groups
    ]
    return (*rankings, *(_rank_single(single, [*firsts[:_MOST_REASONS], single], memo) for single in singles))


_MOST_REASONS = 20  # others that a single contender is set against: more of them add no new reason


def _obstacles_between(a: Contender, b: Contender, memo: Memo) -> list[str]:
    metric = a.metric
    by_token = a.by_token or "token" in metric.unit or metric.unit == "1"
    pair = (a.name, b.name, by_token, metric.kind in {Kind.LOSS, Kind.QUALITY})
    if pair not in memo:
        memo[pair] = obstacles(a.key, b.key, metric, by_token=by_token)
    return memo[pair]


def _rank_single(contender: Contender, others: Sequence[Contender], memo: Memo) -> Ranking:
    names = list(dict.fromkeys(name for other in others for name in _obstacles_between(contender, other, memo)))
    reason = why_not(names) if names else "there is nothing to compare it with"
    return Ranking(members=(contender.name,), verdict=Verdict.NOT_COMPARABLE, reason=reason)


def _rank_group(group: Sequence[Contender], label: str | None) -> Ranking:
    members = tuple(contender.name for contender in group)
    sign = -1 if group[0].metric.better is Better.HIGHER else 1
    medians = {contender.name: median(process_values(contender.metric.parts()[label])) for contender in group}
    best = min(group, key=lambda contender: sign * medians[contender.name])
    others = {
        contender.name: judge(contender.metric, best.metric, label=label)
        for contender in group
        if contender is not best
    }
    verdicts = {judgement.verdict for judgement in others.values()}
    settled = verdicts <= {Verdict.BETTER, Verdict.EQUIVALENT}
    equivalent = [name for name, judgement in others.items() if judgement.verdict is Verdict.EQUIVALENT]
    if verdicts == {Verdict.BETTER}:
        reasons = {
            name: ratio_text(judgement.ratio) if judgement.ratio else judgement.reason
            for name, judgement in others.items()
        }
        words = (f"{reason} to {name}" if len(others) > 1 else reason for name, reason in reasons.items())
        verdict, reason, winner = Verdict.BETTER, "; ".join(words), best.name
    elif verdicts == {Verdict.EQUIVALENT}:
        verdict, reason, winner = Verdict.EQUIVALENT, "within the tolerance", None
    elif Verdict.NOT_JUDGED in verdicts:
        reason = next(judgement.reason for judgement in others.values() if judgement.verdict is Verdict.NOT_JUDGED)
        verdict, winner = Verdict.NOT_JUDGED, None
    else:
        undecided = (name for name, judgement in others.items() if judgement.verdict is not Verdict.BETTER)
        verdict, reason, winner = Verdict.INCONCLUSIVE, f"{best.name} against {', '.join(undecided)}", None
    return Ranking(
        members=members,
        verdict=verdict,
        reason=reason,
        best=best.name,
        winner=winner,
        level=(best.name, *equivalent) if settled else (),
        others=others,
    )
