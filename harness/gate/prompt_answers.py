"""Judge qualities of answers prompt by prompt: the answer in one run against the answer in the other.

Values are computed again from the stored texts, by the functions that made the readings, and must equal the readings.
Tolerances of shares are absolute: 0.03 is 3 points.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from harness.analysis.judge import STAND_INS
from harness.analysis.leaked_markers import leaked_markers
from harness.analysis.stats.proportions import difference_bound, sign_test, upper_bound
from harness.analysis.text_overlap import RUN_WORDS, normalized
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
    "eos_rate": lambda output: output.finish_reason == "stop",
    "leak_rate": lambda output: bool(leaked_markers(output.text)),
}
_WORDS, _COPIED = "response_words", "copied_share"


def judge_answers(a: Record, b: Record, name: str, required: Requirement) -> Decided | None:
    """Judge the quality *name* of candidate *b* against baseline *a*.

    None where the quality is not a property of single answers.
    """
    before, after = a.metrics.get(name), b.metrics.get(name)
    if name not in {*_YES_OR_NO, _WORDS, _COPIED}:
        return None
    if (unfit := _unfit(a, b, before, after)) or before is None or after is None:
        return unfit
    old, new = ({output.prompt_id: output for output in record.outputs} for record in (a, b))
    was, now = _values(name, before, a.outputs), _values(name, after, b.outputs)
    if was is None or now is None:
        return _inconclusive("the stored answers are not those the readings were taken of, or differ between processes")
    changed = [prompt for prompt in old if old[prompt].text != new[prompt].text]
    if not changed and was == now:
        return Decided(verdict=GateVerdict.PASS, reason=f"the same texts for all {len(old)} prompts")
    texts = f"{len(changed)} of {len(old)} texts changed"
    if (stand_in := a.key is not None and a.key.weights.source in STAND_INS) or before.better is Better.NONE:
        why = "of stand-in weights they say nothing of quality" if stand_in else "neither more nor less of it is better"
        return _inconclusive(f"{texts}; {why}")
    sign = 1 if before.better is Better.LOWER else -1
    worse = [sign * (now[prompt] - was[prompt]) for prompt in was if prompt in now]
    return _judge_prompts(worse, max(required.tolerance, required.floor), texts)


def _unfit(a: Record, b: Record, before: Metric | None, after: Metric | None) -> Decided | None:
    """Return the verdict on answers that cannot be compared; None if they can."""
    if not measured_alike(a.key, b.key):
        return Decided(verdict=GateVerdict.NOT_COMPARABLE, reason="the cases were not measured alike")
    if before is None or after is None or before.samples is None or after.samples is None:
        return Decided(verdict=GateVerdict.MISSING, reason="not measured on both sides")
    old, new = ([(output.prompt_id, output.prompt) for output in record.outputs] for record in (a, b))
    if len(set(old)) < len(old) or len(set(new)) < len(new):
        return _inconclusive("a prompt was answered more than once, so answers make no pairs")
    if alone := sorted({prompt for prompt, _ in set(old) ^ set(new)}):
        listed = ", ".join(alone[:_SHOWN]) + (f" and {further} more" if (further := len(alone) - _SHOWN) > 0 else "")
        return Decided(verdict=GateVerdict.MISSING, reason=f"answered on one side alone: {listed}")
    if not old:
        return Decided(verdict=GateVerdict.MISSING, reason="no answers are stored")
    return None


def _values(name: str, metric: Metric, outputs: Sequence[Output]) -> Mapping[str, float] | None:
    """Compute the value of each prompt's answer; None where a process's readings differ from these values."""
    stored, *others = metric.samples or ((),)
    unknown = name == "eos_rate" and any(output.finish_reason == "unknown" for output in outputs)
    if unknown or any(readings != stored for readings in others):
        return None
    if name in _YES_OR_NO:
        values = {output.prompt_id: float(_YES_OR_NO[name](output)) for output in outputs}
        return values if len(stored) == 1 and math.isclose(stored[0], mean(values.values())) else None
    if name == _WORDS:
        values = {output.prompt_id: float(len(output.text.split())) for output in outputs}
        return values if tuple(values.values()) == stored else None
    long = [output.prompt_id for output in outputs if len(normalized(output.text).split()) >= RUN_WORDS]
    return dict(zip(long, stored, strict=True)) if len(long) == len(stored) else None


def _judge_prompts(worse: Sequence[float], matters: float, texts: str) -> Decided:
    """Judge by the prompts whose value changed by more than *matters* in either direction; above 0 is worse."""
    total, lost, won = len(worse), sum(change > matters for change in worse), sum(change < -matters for change in worse)
    if not total:
        return _inconclusive(f"{texts}; no prompt has a reading on both sides")
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
    """Write what would have decided: a number of changes in one direction, or of unchanged prompts."""
    fewer = min(lost, won)
    one_way = next(
        count for count in range(max(_ONE_WAY, fewer), 2 * fewer + 3 * _ONE_WAY) if sign_test(count, fewer) <= _LEVEL
    )
    unchanged = math.ceil(math.log(_MISS / 2) / math.log1p(-matters))
    return f"it takes {one_way} changes of one direction, or {unchanged} prompts of which none changes"


def _bounds(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def _inconclusive(reason: str) -> Decided:
    return Decided(verdict=GateVerdict.INCONCLUSIVE, reason=reason)
