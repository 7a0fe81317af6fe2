"""The one place that decides whether B differs from A, and by how much. Report and gate both ask here.

See docs/decisions/0004-one-judge.md and 0019-the-gates-rule.md for why it is these estimators and this rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from harness.analysis.stats.changes import FEWEST_PAIRS, Change, change_of_independent, change_of_pairs
from harness.analysis.stats.estimates import Interval, process_values
from harness.results.records import Better, Key, Kind, Metric

Samples = Sequence[Sequence[float]]  # a metric's readings: one inner sequence a process

MIN_PROCESSES = 5
# The smallest change that matters, relative. Speed below 3 % and memory below 1 % is within what
# machines do by themselves; source: docs/decisions/0004-one-judge.md.
TOLERANCE = {Kind.TIMING: 0.03, Kind.MEMORY: 0.01, Kind.LOSS: 0.01, Kind.QUALITY: 0.03, Kind.EXACT: 0.0}


# Weights that are not the model's own: they never compare with real ones, and nothing is said of their quality.
STAND_INS = frozenset({"nano", "random"})
STAND_IN = "stand-in weights"


class Verdict(Enum):
    """What can be said of B against A. Only the first three were decided by numbers."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "not judged"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, the ratio B / A it rests on (None where there is none), and the reason in words.

    *worse* is the change as one of cost, above 1 is worse, with the chances of it; None where there is no interval.
    """

    verdict: Verdict
    ratio: Interval | None
    reason: str
    worse: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a verdict has to hold against: *tolerance* is the smallest change that matters, relative.

    *margin* is what the machine alone may have changed between two sessions, relative. *looks* is how often the same
    samples are judged as they grow: each time only its share of the chance to err may be spent.
    """

    tolerance: float
    margin: float = 0.0
    looks: int = 1


def level(processes: int, looks: int = 1) -> float:
    """The chance, of one tail, that a change may have of being none and still be called one.

    0.1 / n, from 20 on 0.5 %: more processes see smaller changes *and* leave less to chance. Looks share the 0.5 %.
    """
    return _LEVEL_OF_MANY / looks if looks > 1 else max(_LEVEL_OF_MANY, _LEVEL_BY_NUMBER / processes)


_LEVEL_OF_MANY, _LEVEL_BY_NUMBER = 0.005, 0.1


def fewest_needed(*, paired: bool) -> int:
    """How many processes each side takes, for there to be an interval."""
    return FEWEST_PAIRS if paired else MIN_PROCESSES


def judge(
    baseline: Metric,
    candidate: Metric,
    *,
    label: str | None = None,
    paired: bool = False,
    demand: Demand | None = None,
) -> Judgement:
    """Judge *candidate* against *baseline*, both of one metric and of comparable cases.

    B is equivalent if the 95 % interval of the ratio lies within the tolerance; better or worse if a change is beyond
    chance (`level`) and the interval does not exclude that it is as large as the tolerance; inconclusive otherwise.
    """
    a, b = baseline.parts().get(label), candidate.parts().get(label)
    if baseline.better is Better.NONE:
        return _without_numbers(Verdict.NOT_JUDGED, "neither more nor less of it is better")
    if a is None or b is None:
        missing = f"{label} was not measured on both sides" if label else "not measured"
        return _without_numbers(Verdict.NOT_JUDGED, baseline.reason or candidate.reason or missing)
    if baseline.kind is Kind.EXACT:
        return _exact(process_values(a), process_values(b), baseline.better)
    if reason := _unfit(a, b, paired=paired):
        return _without_numbers(Verdict.NOT_JUDGED, reason)
    its = demand or Demand(tolerance=TOLERANCE[baseline.kind])
    before, after = process_values(a), process_values(b)
    if paired:
        change = change_of_pairs(after, before, looks=its.looks)
    else:
        change = change_of_independent(after, before, margin=its.margin)
    return _place(change, baseline.better, its, min(len(a), len(b)))


def _unfit(a: Samples, b: Samples, *, paired: bool) -> str | None:
    """Say why these samples give no ratio with an interval; None if they do."""
    fewest = min(len(a), len(b))
    if fewest < (needed := fewest_needed(paired=paired)):
        return f"n={fewest}; a verdict needs {needed} {'pairs' if paired else 'processes a case'}"
    if paired and len(a) != len(b):
        return f"{len(a)} and {len(b)} processes make no pairs"
    if min(*process_values(a), *process_values(b)) <= 0:
        return "a reading is not above 0, so there is no ratio"
    return None


def _place(change: Change | None, better: Better, demand: Demand, processes: int) -> Judgement:
    """Place the change against none and against the tolerance."""
    assert change is not None, "there are enough processes for an interval"
    cost = _turned(change) if better is Better.HIGHER else change  # a higher reading is a lower cost
    matters, least = 1 + demand.tolerance, level(processes, demand.looks)
    apart = (1 + demand.margin) * matters if demand.margin else 1.0
    if 1 / matters < cost.ratio.low and cost.ratio.high < matters:
        verdict = Verdict.EQUIVALENT
    elif cost.rise <= least and cost.ratio.high >= matters and cost.ratio.point >= apart:
        verdict = Verdict.WORSE
    elif cost.fall <= least and cost.ratio.low <= 1 / matters and cost.ratio.point <= 1 / apart:
        verdict = Verdict.BETTER
    else:
        verdict = Verdict.INCONCLUSIVE
    ratio = change.ratio
    words = f"ratio {ratio.point:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    return Judgement(verdict=verdict, ratio=ratio, reason=words, worse=cost)


def _turned(change: Change) -> Change:
    its = change.ratio
    return Change(
        ratio=Interval(
            low=1 / its.high, point=1 / its.point, high=1 / its.low, confidence=its.confidence, method=its.method
        ),
        rise=change.fall,
        fall=change.rise,
        error=change.error,
        freedom=change.freedom,
    )


def _exact(a: Sequence[float], b: Sequence[float], better: Better) -> Judgement:
    if len(set(a)) > 1 or len(set(b)) > 1:
        return _without_numbers(Verdict.INCONCLUSIVE, "an exact quantity that varies between processes")
    if a[0] == b[0]:
        return _without_numbers(Verdict.EQUIVALENT, "equal")
    higher = b[0] > a[0]
    verdict = Verdict.BETTER if higher == (better is Better.HIGHER) else Verdict.WORSE
    return _without_numbers(verdict, "counted exactly")


def _without_numbers(verdict: Verdict, reason: str) -> Judgement:
    return Judgement(verdict=verdict, ratio=None, reason=reason)


_ANY = ("device", "dtype", "quantization", "dataset", "settings")
_FOLLOWS = {"quantization.bits_per_weight"}  # from how a model is quantised and from its sizes


def obstacles(a: Key | None, b: Key | None, metric: Metric, *, by_token: bool = False) -> list[str]:
    """Name what keeps two cases from being compared in *metric*; [] if nothing does.

    *by_token* marks what is of a token, or of so many, though its unit does not say so.

    Model and adapter may differ: they are what is compared. Weights that stand in for others compare
    with nothing but themselves, and in losses and quality not even with those; random ones of full size
    have the speed and memory of their models, and compare in these with each other.
    """
    if a is None or b is None:
        return ["the case did not get far enough to be identified"]
    differing = (name for part in _ANY for name in _differing(part, getattr(a, part), getattr(b, part)))
    found = [name for name in differing if name not in _FOLLOWS]
    sources = {a.weights.source, b.weights.source}
    of_the_model_itself = metric.kind in {Kind.LOSS, Kind.QUALITY} or a.weights.sha256 != b.weights.sha256
    full_size = sources == {"random"} and metric.kind not in {Kind.LOSS, Kind.QUALITY}
    if sources & STAND_INS and of_the_model_itself and not full_size:
        found.insert(0, STAND_IN)
    counts_tokens = by_token or "token" in metric.unit or metric.unit == "1"
    if counts_tokens and a.tokenizer != b.tokenizer:
        found.append("tokenizer")
    return found


def why_not(found: Sequence[str]) -> str:
    """Say in words what keeps two cases from being compared."""
    differing = [name for name in found if name != STAND_IN]
    words = [f"{STAND_IN} compare with nothing here"] if STAND_IN in found else []
    return "; ".join([*words, *([f"differing: {', '.join(differing)}"] if differing else [])])


def _differing(name: str, a: object, b: object) -> list[str]:
    """Name what differs: the fields, where both sides have fields."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [f"{name}.{field}" for field in sorted(a.keys() | b.keys()) if a.get(field) != b.get(field)]
    return [name] if a != b else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One case's side of a comparison of several."""

    name: str
    key: Key | None
    metric: Metric
    by_token: bool = False  # as `obstacles` has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What can be said of contenders that compare with each other, or of one alone that compares with none.

    *best* has the best median, *winner* is better than every other. *level* are the best and those equivalent to it,
    where the best is better than all the others; () where that is not so. *others* judges the best against each.
    """

    members: tuple[str, ...]
    verdict: Verdict
    reason: str
    best: str | None = None
    winner: str | None = None
    level: tuple[str, ...] = ()
    others: dict[str, Judgement] = field(default_factory=dict)


Memo = dict[tuple[str, str, bool, bool], list[str]]  # two contenders, and what their obstacles depend on -> these


def rank(contenders: Sequence[Contender], *, label: str | None = None, memo: Memo | None = None) -> tuple[Ranking, ...]:
    """Judge contenders within each group of those that compare, in the order of their first ones.

    What does not even compare with its like stands alone, after the groups. *memo* keeps what was found of two names
    for other metrics of the same cases.

    Raises:
        ValueError: if two are called the same.
    """
    if len({its.name for its in contenders}) != len(contenders):
        raise ValueError("contenders need names of their own")
    memo = {} if memo is None else memo
    groups: list[list[Contender]] = []
    alone: list[Contender] = []  # what does not even compare with its like: quality of weights that stand in
    for contender in contenders:
        if _apart(contender, contender, memo):
            alone.append(contender)
            continue
        like = (its for its in groups if not _apart(its[0], contender, memo))
        group = next(like, None)
        groups.append([contender]) if group is None else group.append(contender)
    first = [*(group[0] for group in groups), *alone[:1]]
    single = tuple(_alone(its, [*first[:_MOST_REASONS], its], memo) for its in alone)
    return (
        *(
            _alone(group[0], first[:_MOST_REASONS], memo) if len(group) == 1 else _ranking(group, label)
            for group in groups
        ),
        *single,
    )


_MOST_REASONS = 20  # others that one alone is set against: more say nothing new


def _apart(a: Contender, b: Contender, memo: Memo) -> list[str]:
    its = a.metric
    by_token = a.by_token or "token" in its.unit or its.unit == "1"
    pair = (a.name, b.name, by_token, its.kind in {Kind.LOSS, Kind.QUALITY})
    if pair not in memo:
        memo[pair] = obstacles(a.key, b.key, its, by_token=by_token)
    return memo[pair]


def _alone(contender: Contender, others: Sequence[Contender], memo: Memo) -> Ranking:
    found = list(dict.fromkeys(what for its in others for what in _apart(contender, its, memo)))
    reason = why_not(found) if found else "there is nothing to compare it with"
    return Ranking(members=(contender.name,), verdict=Verdict.NOT_COMPARABLE, reason=reason)


def _ranking(group: Sequence[Contender], label: str | None) -> Ranking:
    members = tuple(its.name for its in group)
    metric = group[0].metric
    sign = -1 if metric.better is Better.HIGHER else 1
    middles = {its.name: median(process_values(its.metric.parts()[label])) for its in group}
    best = min(group, key=lambda its: sign * middles[its.name])
    others = {its.name: judge(its.metric, best.metric, label=label) for its in group if its is not best}
    verdicts = {its.verdict for its in others.values()}
    settled = verdicts <= {Verdict.BETTER, Verdict.EQUIVALENT}
    level = (best.name, *(name for name, its in others.items() if its.verdict is Verdict.EQUIVALENT)) if settled else ()
    if verdicts == {Verdict.BETTER}:
        words = (f"{its.reason} to {name}" if len(others) > 1 else its.reason for name, its in others.items())
        verdict, reason, winner = Verdict.BETTER, "; ".join(words), best.name
    elif verdicts == {Verdict.EQUIVALENT}:
        verdict, reason, winner = Verdict.EQUIVALENT, "within the tolerance", None
    elif Verdict.NOT_JUDGED in verdicts:
        reason = next(its.reason for its in others.values() if its.verdict is Verdict.NOT_JUDGED)
        verdict, winner = Verdict.NOT_JUDGED, None
    else:
        open_ = (name for name, its in others.items() if its.verdict is not Verdict.BETTER)
        verdict, reason, winner = Verdict.INCONCLUSIVE, f"{best.name} against {', '.join(open_)}", None
    return Ranking(
        members=members, verdict=verdict, reason=reason, best=best.name, winner=winner, level=level, others=others
    )


def winner(contenders: Sequence[Contender], *, label: str | None = None) -> tuple[str | None, str]:
    """Name the contender that is better than every other, or None; and say why.

    Raises:
        ValueError: if there is nothing to compare, or two are called the same.
    """
    if len(contenders) < 2:  # noqa: PLR2004 - two sides
        raise ValueError("a winner needs two contenders or more")
    first, *rest = rank(contenders, label=label)
    if rest:
        pairs = [(a, b) for i, a in enumerate(contenders) for b in contenders[i + 1 :]]
        blocked = dict.fromkeys(what for a, b in pairs for what in _apart(a, b, {}))
        return None, f"{Verdict.NOT_COMPARABLE.value}: {', '.join(blocked)}"
    if first.winner is not None:
        return first.winner, first.reason
    if first.verdict is Verdict.NOT_JUDGED:
        return None, f"{first.verdict.value}: {first.reason}"
    return None, first.verdict.value
