"""Qualities of answers, prompt by prompt: each prompt's answer of one run against its answer of the other. Pure.

What is read off an answer is read off the stored texts anew, by the functions that made the readings, and has to be
what the readings say. Tolerances of shares are absolute: 0.03 is 3 points.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from harness.analysis.judge import STAND_INS
from harness.analysis.preflight import leaked_markers
from harness.analysis.stats.proportions import difference_bound, sign_test, upper_bound
from harness.analysis.text_overlap import RUN_WORDS, normalised
from harness.gate.policy import Requirement
from harness.gate.preconditions import measured_alike
from harness.gate.verdicts import Decided, GateVerdict
from harness.results.records import Better, Metric, Output, Record

_LEVEL = 0.01  # two tails: a change this uneven by chance is one in a hundred
_MISS = 0.05  # one tail, of the bound that has to be within the tolerance
_BLIND = 0.1  # chance that a change of the detectable size stays unseen
_ONE_WAY = math.ceil(1 - math.log2(_LEVEL))  # changes, all of one direction, that the test needs
_SHOWN = 3

_YES_OR_NO: dict[str, Callable[[Output], bool]] = {
    "eos_rate": lambda its: its.finish_reason == "stop",
    "leak_rate": lambda its: bool(leaked_markers(its.text)),
}
_WORDS, _COPIED = "response_words", "copied_share"


def judge_answers(a: Record, b: Record, name: str, required: Requirement) -> Decided | None:
    """Judge the quality *name* of candidate *b* against baseline *a*; None where it is not read off single answers."""
    before, after = a.metrics.get(name), b.metrics.get(name)
    if name not in {*_YES_OR_NO, _WORDS, _COPIED}:
        return None
    if (unfit := _unfit(a, b, before, after)) or before is None or after is None:
        return unfit
    old, new = ({its.prompt_id: its for its in record.outputs} for record in (a, b))
    was, now = _values(name, before, a.outputs), _values(name, after, b.outputs)
    if was is None or now is None:
        return _open("the stored answers are not those the readings were taken of, or differ between processes")
    changed = [prompt for prompt in old if old[prompt].text != new[prompt].text]
    if not changed and was == now:
        return Decided(verdict=GateVerdict.PASS, reason=f"the same texts for all {len(old)} prompts")
    texts = f"{len(changed)} of {len(old)} texts changed"
    if (stand_in := a.key is not None and a.key.weights.source in STAND_INS) or before.better is Better.NONE:
        why = "of stand-in weights they say nothing of quality" if stand_in else "neither more nor less of it is better"
        return _open(f"{texts}; {why}")
    sign = 1 if before.better is Better.LOWER else -1
    worse = [sign * (now[prompt] - was[prompt]) for prompt in was if prompt in now]
    return _turned(worse, max(required.tolerance, required.floor), texts)


def _unfit(a: Record, b: Record, before: Metric | None, after: Metric | None) -> Decided | None:
    """Why these answers say nothing; None if they do."""
    if not measured_alike(a.key, b.key):
        return Decided(verdict=GateVerdict.NOT_COMPARABLE, reason="the cases were not measured alike")
    if before is None or after is None or before.samples is None or after.samples is None:
        return Decided(verdict=GateVerdict.MISSING, reason="not measured on both sides")
    old, new = ([(its.prompt_id, its.prompt) for its in record.outputs] for record in (a, b))
    if len(set(old)) < len(old) or len(set(new)) < len(new):
        return _open("a prompt was answered more than once, so answers make no pairs")
    if alone := sorted({prompt for prompt, _ in set(old) ^ set(new)}):
        listed = ", ".join(alone[:_SHOWN]) + (f" and {more} more" if (more := len(alone) - _SHOWN) > 0 else "")
        return Decided(verdict=GateVerdict.MISSING, reason=f"answered on one side alone: {listed}")
    if not old:
        return Decided(verdict=GateVerdict.MISSING, reason="no answers are stored")
    return None


def _values(name: str, metric: Metric, outputs: Sequence[Output]) -> Mapping[str, float] | None:
    """What is read off each prompt's answer; None where that is not what every process read."""
    stored, *others = metric.samples or ((),)
    unknown = name == "eos_rate" and any(its.finish_reason == "unknown" for its in outputs)
    if unknown or any(its != stored for its in others):
        return None
    if name in _YES_OR_NO:
        values = {its.prompt_id: float(_YES_OR_NO[name](its)) for its in outputs}
        return values if len(stored) == 1 and math.isclose(stored[0], mean(values.values())) else None
    if name == _WORDS:
        values = {its.prompt_id: float(len(its.text.split())) for its in outputs}
        return values if tuple(values.values()) == stored else None
    long = [its.prompt_id for its in outputs if len(normalised(its.text).split()) >= RUN_WORDS]
    return dict(zip(long, stored, strict=True)) if len(long) == len(stored) else None


def _turned(worse: Sequence[float], matters: float, texts: str) -> Decided:
    """Judge by the prompts whose answers turned by more than what matters, either way; above 0 is for the worse."""
    total, lost, won = len(worse), sum(its > matters for its in worse), sum(its < -matters for its in worse)
    if not total:
        return _open(f"{texts}; no prompt has a reading on both sides")
    low, high = -difference_bound(won, lost, total, _MISS), difference_bound(lost, won, total, _MISS)
    uneven = sign_test(lost, won) <= _LEVEL
    if uneven and lost > won and high >= matters:
        verdict = GateVerdict.REGRESSION
    elif uneven and won > lost and -low >= matters:
        verdict = GateVerdict.IMPROVED
    else:
        verdict = GateVerdict.PASS if high < matters else GateVerdict.INCONCLUSIVE
    effect = f"{100 * abs(lost - won) / total:.1f} points {'worse' if lost > won else 'better'}"
    words = f"{texts}; {lost} of {total} prompts got worse and {won} better: {effect}, {_bounds(low, high)}"
    return Decided(
        verdict=verdict,
        reason=f"{words}; {_needed(matters, lost, won)}" if verdict is GateVerdict.INCONCLUSIVE else words,
        detectable=upper_bound(_ONE_WAY - 1, total, _BLIND) if total >= _ONE_WAY else None,
    )


def _needed(matters: float, lost: int, won: int) -> str:
    """What would have decided: so many changes one way against those the other, or so many prompts without one."""
    fewer = min(lost, won)
    one_way = next(
        count for count in range(max(_ONE_WAY, fewer), 2 * fewer + 3 * _ONE_WAY) if sign_test(count, fewer) <= _LEVEL
    )
    unchanged = math.ceil(math.log(_MISS / 2) / math.log1p(-matters))
    return f"it takes {one_way} changes of one direction, or {unchanged} prompts of which none changes"


def _bounds(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def _open(reason: str) -> Decided:
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=reason)
