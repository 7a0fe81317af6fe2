from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.policy import Requirement
from harness.gate.prompt_answers import judge_answers
from harness.gate.verdicts import GateVerdict, Role
from harness.results.records import Kind
from tests.support.samples import key, measured, output, record, weights

TERMS = Requirement(tolerance=0.03, floor=0.0, kind=Kind.QUALITY, role=Role.WATCHED)
REGRESSION, IMPROVED, PASS = GateVerdict.REGRESSION, GateVerdict.IMPROVED, GateVerdict.PASS
INCONCLUSIVE, MISSING = GateVerdict.INCONCLUSIVE, GateVerdict.MISSING
LONG = "one two three four five six seven eight"


def of(outputs, metrics, *, processes=2, case_key=None):
    readings = {name: measured(name, *[value] * processes) for name, value in metrics.items()}
    return record("evaluation/tiny/base", key=case_key or key(), outputs=tuple(outputs), metrics=readings)


def answered(stopped, *, text="hi", **others):
    """A case whose answers end by themselves where *stopped* says so."""
    outputs = [
        output(prompt_id=f"p{number}", text=f"{text} {entry}", finish_reason="stop" if entry else "length")
        for number, entry in enumerate(stopped)
    ]
    return of(outputs, {"eos_rate": sum(stopped) / len(stopped)}, **others)


def leaking(leaks):
    texts = ["<|im_end|>" if value else "fine" for value in leaks]
    outputs = [output(prompt_id=f"p{number}", text=text) for number, text in enumerate(texts)]
    return of(outputs, {"leak_rate": sum(leaks) / len(leaks)})


def copying(shares):
    outputs = [output(prompt_id=f"p{number}", text=f"{LONG} {share}") for number, share in enumerate(shares)]
    return of(outputs, {"copied_share": tuple(shares)})


def judged(a, b, name="eos_rate", terms=TERMS):
    return judge_answers(a, b, name, terms)


def turned(total, lost, won):
    """Two sides of *total* prompts: so many that no longer end, and so many that now do."""
    rest = total - lost - won
    return answered([1] * lost + [0] * won + [1] * rest), answered([0] * lost + [1] * won + [1] * rest)


def test_the_same_texts_pass_at_once():
    decision = judged(answered([1, 0, 1]), answered([1, 0, 1]))
    assert (decision.verdict, decision.reason) == (PASS, "the same texts for all 3 prompts")


def test_the_same_texts_with_another_end_are_not_the_same():
    a = of([output(finish_reason="stop")], {"eos_rate": 1.0})
    b = of([output(finish_reason="length")], {"eos_rate": 0.0})
    assert judged(a, b).verdict is INCONCLUSIVE


def test_the_order_of_the_answers_does_not_matter():
    a = answered([1, 0, 1])
    assert judged(a, replace(a, outputs=a.outputs[::-1])).verdict is PASS


@pytest.mark.parametrize(
    ("total", "lost", "won", "expected"),
    [
        (100, 8, 0, REGRESSION),  # 2 / 2**8 = 0.008
        (100, 7, 0, INCONCLUSIVE),  # 2 / 2**7 = 0.016
        (100, 0, 8, IMPROVED),
        (100, 0, 7, PASS),  # those that got better leave room
        (100, 0, 2, INCONCLUSIVE),  # 0.036 from 0 of 100, less 0.002 from 2 of 100
        (100, 10, 10, INCONCLUSIVE),
        (8, 8, 0, REGRESSION),
        (5, 5, 0, INCONCLUSIVE),
        (200, 0, 2, PASS),  # 0.018 from 0 of 200
        (3000, 20, 0, PASS),  # real, and 0.7 points
    ],
)
def test_flags_that_turned_decide(total, lost, won, expected):
    assert judged(*turned(total, lost, won)).verdict is expected


def test_a_leak_is_for_the_worse():
    clean, leaks = [0] * 20, [1] * 10 + [0] * 10
    assert judged(leaking(clean), leaking(leaks), "leak_rate").verdict is REGRESSION
    assert judged(leaking(leaks), leaking(clean), "leak_rate").verdict is IMPROVED


def test_changed_texts_whose_flags_stay_pass_from_so_many_prompts_on_as_it_says():
    """1 - 0.025 ** (1 / n) is below 0.03 from n = 122 on: ln 0.025 / ln 0.97 = 121.1."""
    few = judged(answered([1] * 121), answered([1] * 121, text="ho"))
    assert few.verdict is INCONCLUSIVE
    assert few.reason.endswith("it takes 8 changes of one direction, or 122 prompts of which none changes")
    assert judged(answered([1] * 122), answered([1] * 122, text="ho")).verdict is PASS


def test_the_reason_has_the_counts_and_the_effect_in_points():
    decision = judged(*turned(100, 10, 1))
    assert decision.reason.startswith(
        "11 of 100 texts changed; 10 of 100 prompts got worse and 1 better: 9.0 points worse, "
    )


def test_it_says_how_many_changes_it_takes_against_those_the_other_way():
    """10 against 1 come up with a chance of 2 * 12 / 2048 = 0.0117, 11 against 1 with 2 * 13 / 4096 = 0.0063."""
    assert "it takes 11 changes of one direction" in judged(*turned(100, 1, 1)).reason


def test_the_smallest_change_it_could_have_seen():
    """Of 8 prompts all have to turn: 0.9 ** (1 / 8); of 5 no change can be seen."""
    assert judged(*turned(8, 1, 0)).detectable == pytest.approx(0.9 ** (1 / 8))
    assert judged(*turned(5, 1, 0)).detectable is None


def test_a_floor_above_the_tolerance_is_what_matters():
    assert judged(*turned(200, 0, 0), terms=TERMS).verdict is PASS
    assert judged(*turned(100, 9, 0), terms=replace(TERMS, floor=0.5)).verdict is PASS


def test_a_floor_of_all_points_there_are_lets_everything_pass():
    assert judged(*turned(10, 10, 0), terms=replace(TERMS, floor=1.0)).verdict is PASS


def test_answers_that_have_a_share_on_different_sides_make_no_pair():
    a = of([output(prompt_id="p", text=LONG), output(prompt_id="q", text="x")], {"copied_share": (0.5,)})
    b = of([output(prompt_id="p", text="x"), output(prompt_id="q", text=LONG)], {"copied_share": (0.5,)})
    assert judged(a, b, "copied_share").reason == "2 of 2 texts changed; no prompt has a reading on both sides"


def test_changed_texts_of_stand_ins_are_never_judged():
    stand_in_key = key(weights=weights(source="nano"))
    same = answered([1, 1], case_key=stand_in_key)
    assert judged(same, same).verdict is PASS
    found = judged(answered([1] * 20, case_key=stand_in_key), answered([0] * 20, case_key=stand_in_key))
    assert found.verdict is INCONCLUSIVE
    assert found.reason == "20 of 20 texts changed; of stand-in weights they say nothing of quality"


def test_words_are_of_no_direction():
    a, b = (of([output(text=text)], {"response_words": (words,)}) for text, words in (("a b", 2.0), ("a b c", 3.0)))
    assert judged(a, a, "response_words").verdict is PASS
    assert judged(a, b, "response_words").reason == "1 of 1 texts changed; neither more nor less of it is better"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([0.1] * 10, [0.5] * 10, REGRESSION),
        ([0.5] * 10, [0.1] * 10, IMPROVED),
        ([0.1] * 10, [0.12] * 10, INCONCLUSIVE),  # within the tolerance, of too few prompts
        ([0.1] * 122, [0.12] * 122, PASS),
        ([0.1] * 122, [0.14] * 122, REGRESSION),
        ([0.14] * 122, [0.1] * 122, IMPROVED),
        ([0.1] * 7, [0.5] * 7, INCONCLUSIVE),
        ([0.1, 0.2] * 5, [0.2, 0.1] * 5, INCONCLUSIVE),
        ([0.0] * 100, [1.0] * 5 + [0.0] * 95, INCONCLUSIVE),
    ],
)
def test_shares_are_judged_by_the_prompts_that_changed_by_more_than_the_tolerance(old, new, expected):
    assert judged(copying(old), copying(new), "copied_share").verdict is expected


def test_an_answer_too_short_for_a_share_has_none():
    texts = [LONG, "short", f"{LONG} nine"]
    outputs = [output(prompt_id=f"p{number}", text=text) for number, text in enumerate(texts)]
    a = of(outputs, {"copied_share": (0.5, 0.25)})
    assert judged(a, a, "copied_share").verdict is PASS
    wrong = of(outputs, {"copied_share": (0.5, 0.25, 0.1)})
    assert judged(wrong, wrong, "copied_share").verdict is INCONCLUSIVE


@pytest.mark.parametrize("name", ["adapter_kl_nat_per_token", "fused_top1_agreement", "rating", "test_loss"])
def test_what_is_not_read_off_single_answers_is_left_to_others(name):
    assert judged(answered([1]), answered([1]), name) is None


def test_prompts_on_one_side_alone_are_missing():
    decision = judged(answered([1] * 6), answered([1]))
    assert (decision.verdict, decision.reason) == (MISSING, "answered on one side alone: p1, p2, p3 and 2 more")
    assert judged(answered([1]), answered([1, 1])).reason == "answered on one side alone: p1"


def test_another_prompt_under_the_same_id_is_missing():
    a = answered([1])
    b = replace(a, outputs=(replace(a.outputs[0], prompt="Say ho."),))
    assert judged(a, b).verdict is MISSING


def test_no_answers_and_no_readings_are_missing():
    a = answered([1])
    bare = replace(a, outputs=())
    assert judged(bare, bare).reason == "no answers are stored"
    unread = replace(a, metrics={"eos_rate": measured("eos_rate", reason="none")})
    for nothing in (replace(a, metrics={}), unread):
        assert judged(a, nothing).verdict is judged(nothing, a).verdict is MISSING


def test_a_prompt_answered_twice_is_not_judged():
    a = answered([1])
    twice = replace(a, outputs=a.outputs * 2)
    assert judged(twice, twice).verdict is judged(a, twice).verdict is INCONCLUSIVE


def test_answers_that_are_not_those_of_the_readings_never_pass():
    a = answered([1, 1])
    for readings in ((0.5, 0.5), (1.0, 0.5)):
        other = replace(a, metrics={"eos_rate": measured("eos_rate", *readings)})
        assert judged(a, other).verdict is judged(other, a).verdict is judged(other, other).verdict is INCONCLUSIVE
    words = of([output(text="a b")], {"response_words": (3.0,)})
    assert judged(words, words, "response_words").verdict is INCONCLUSIVE


def test_an_end_that_is_not_known_is_not_judged():
    change = of([output(finish_reason="unknown")], {"eos_rate": 0.0})
    assert judged(change, change).verdict is INCONCLUSIVE


@pytest.mark.parametrize("other", [key(device="cpu: One"), key(settings={"output_tokens": 9})])
def test_cases_that_were_not_measured_alike_are_never_judged(other):
    assert judged(answered([1]), answered([1], case_key=other)).verdict is GateVerdict.NOT_COMPARABLE
    assert judged(answered([1]), replace(answered([1]), key=None)).verdict is GateVerdict.NOT_COMPARABLE


flags = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)
shares = st.lists(st.tuples(*[st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])] * 2), min_size=1, max_size=12)
MIRROR = {REGRESSION: IMPROVED, IMPROVED: REGRESSION}


@given(flags)
def test_of_few_prompts_nothing_passes_but_the_same_texts_and_better_ones(pairs):
    old, new = zip(*pairs, strict=True)
    found = judged(answered(old), answered(new)).verdict
    assert found is not PASS or old == new or sum(new) > sum(old)
    if found in MIRROR:
        assert judged(answered(new), answered(old)).verdict is MIRROR[found]


@given(shares)
def test_shares_pass_only_if_no_more_got_worse_than_better_and_mirror(pairs):
    old, new = zip(*pairs, strict=True)
    found, back = (
        judged(copying(one), copying(other), "copied_share").verdict for one, other in ((old, new), (new, old))
    )
    if found is PASS and old != new:
        assert sum(value > was for was, value in pairs) < sum(value < was for was, value in pairs)
    if found in MIRROR:
        assert back is MIRROR[found]
