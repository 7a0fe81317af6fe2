"""The one place that decides whether B differs from A, and by how much. Report and gate both ask here.

See docs/decisions/0004-one-judge.md for why it is these estimators and this rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.records import Better, Key, Kind, Metric
from harness.stats import Interval, process_values, ratio_of_independent, ratio_of_pairs

Samples = Sequence[Sequence[float]]  # a metric's readings: one inner sequence a process

MIN_PROCESSES = 5
# The smallest change that matters, relative. Speed below 3 % and memory below 1 % is within what
# machines do by themselves; source: docs/decisions/0004-one-judge.md.
TOLERANCE = {Kind.TIMING: 0.03, Kind.MEMORY: 0.01, Kind.LOSS: 0.01, Kind.QUALITY: 0.03, Kind.EXACT: 0.0}


# Weights that are not the model's own: they never compare with real ones, and nothing is said of their quality.
STAND_INS = frozenset({"nano", "random"})


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
    """A verdict, the ratio B / A it rests on (None where there is none), and the reason in words."""

    verdict: Verdict
    ratio: Interval | None
    reason: str


def judge(baseline: Metric, candidate: Metric, *, label: str | None = None, paired: bool = False) -> Judgement:
    """Judge *candidate* against *baseline*, both of one metric and of comparable cases.

    B is better or worse if the 95 % interval of the ratio excludes 1 and the estimate is beyond the
    tolerance; equivalent if the interval lies within it; inconclusive otherwise.
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
    estimate = ratio_of_pairs if paired else ratio_of_independent
    return _place(estimate(process_values(b), process_values(a)), baseline.better, TOLERANCE[baseline.kind])


def _unfit(a: Samples, b: Samples, *, paired: bool) -> str | None:
    """Say why these samples give no ratio with an interval; None if they do."""
    fewest = min(len(a), len(b))
    if fewest < MIN_PROCESSES:
        return f"n={fewest}; a verdict needs {MIN_PROCESSES} processes a case"
    if paired and len(a) != len(b):
        return f"{len(a)} and {len(b)} processes make no pairs"
    if min(*process_values(a), *process_values(b)) <= 0:
        return "a reading is 0, so there is no ratio"
    return None


def _place(ratio: Interval | None, better: Better, tolerance: float) -> Judgement:
    """Place the interval of B / A against 1 and the band around it."""
    if ratio is None:
        return _without_numbers(Verdict.NOT_JUDGED, "too few pairs for a 95 % interval")
    low, point, high = ratio.low, ratio.point, ratio.high
    if better is Better.HIGHER:  # a higher reading is a lower cost
        low, point, high = 1 / high, 1 / point, 1 / low
    if low > 1 and point >= 1 + tolerance:
        verdict = Verdict.WORSE
    elif high < 1 and point <= 1 / (1 + tolerance):
        verdict = Verdict.BETTER
    elif 1 / (1 + tolerance) <= low and high <= 1 + tolerance:
        verdict = Verdict.EQUIVALENT
    else:
        verdict = Verdict.INCONCLUSIVE
    return Judgement(
        verdict=verdict, ratio=ratio, reason=f"ratio {ratio.point:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
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


def obstacles(a: Key | None, b: Key | None, metric: Metric) -> list[str]:
    """Name what keeps two cases from being compared in *metric*; [] if nothing does.

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
        found.insert(0, "stand-in weights")
    counts_tokens = "token" in metric.unit or metric.unit == "1"
    if counts_tokens and a.tokenizer != b.tokenizer:
        found.append("tokenizer")
    return found


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


def winner(contenders: Sequence[Contender], *, label: str | None = None) -> tuple[str | None, str]:
    """Name the contender that is better than every other, or None; and say why.

    Raises:
        ValueError: if there is nothing to compare, or two are called the same.
    """
    if len({its.name for its in contenders}) != len(contenders) or len(contenders) < 2:  # noqa: PLR2004 - two sides
        raise ValueError("a winner needs two contenders or more, of different names")
    pairs = [(a, b) for i, a in enumerate(contenders) for b in contenders[i + 1 :]]
    blocked = list(dict.fromkeys(what for a, b in pairs for what in obstacles(a.key, b.key, a.metric)))
    if blocked:
        return None, f"{Verdict.NOT_COMPARABLE.value}: {', '.join(blocked)}"
    judgements = {
        (a.name, b.name): judge(b.metric, a.metric, label=label) for a in contenders for b in contenders if a is not b
    }
    for contender in contenders:
        mine = {other: its for (name, other), its in judgements.items() if name == contender.name}
        if all(its.verdict is Verdict.BETTER for its in mine.values()):
            several = len(mine) > 1
            return contender.name, "; ".join(
                f"{its.reason} to {other}" if several else its.reason for other, its in mine.items()
            )
    verdicts = {its.verdict for its in judgements.values()}
    if verdicts == {Verdict.EQUIVALENT}:
        return None, "equivalent"
    undecided = next((its for its in judgements.values() if its.verdict is Verdict.NOT_JUDGED), None)
    if undecided is not None:
        return None, f"{undecided.verdict.value}: {undecided.reason}"
    return None, Verdict.INCONCLUSIVE.value
