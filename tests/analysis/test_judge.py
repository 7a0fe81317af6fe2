import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.judge import (
    Contender,
    Demand,
    Design,
    Judgement,
    Verdict,
    _judge_change,
    judge,
    level,
    obstacles,
    rank,
    ratio_text,
)
from harness.analysis.stats.changes import Change
from harness.analysis.stats.estimates import Interval
from harness.results.records import Better, Key, Kind, Metric, Weights

MIRROR = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
STEADY = [1.0] * 5
# No ratio of whole numbers below 100 lies on the edge of a tolerance.
processes = st.lists(st.integers(1, 97).map(float), min_size=5, max_size=7)
# Ratios of powers of two are exact, so that averages of them that cancel do so exactly.
pairs = st.lists(st.tuples(*[st.integers(-3, 3).map(lambda n: 2.0**n)] * 2), min_size=5, max_size=8)

KEY = Key(
    model="tiny",
    weights=Weights(source="hub", sha256="aa", bytes=1),
    tokenizer="tt",
    dtype="float32",
    quantization=None,
    adapter=None,
    dataset={"name": "aphorisms"},
    device="cpu: x",
    settings={"iters": 20},
)
NANO = replace(KEY, weights=Weights(source="nano", sha256="nn", bytes=1))


def metric(values, *, kind=Kind.TIMING, better=Better.LOWER, unit="s"):
    """A metric of one reading a process."""
    return Metric(unit=unit, better=better, kind=kind, samples=tuple((value,) for value in values))


def verdict(candidate, baseline=STEADY, *, design=Design.INDEPENDENT, **others):
    return judge(metric(baseline, **others), metric(candidate, **others), design=design).verdict


def contender(name, values, key=KEY, **others):
    return Contender(name=name, key=key, metric=metric(values, **others))


# --- the rule ---


@pytest.mark.parametrize(
    ("low", "point", "high", "chance", "if_lower_is_better", "if_higher_is_better"),
    [
        (1.10, 1.15, 1.20, 0.005, Verdict.WORSE, Verdict.BETTER),
        (0.80, 0.85, 0.90, 0.005, Verdict.BETTER, Verdict.WORSE),
        (0.98, 1.00, 1.02, 0.5, Verdict.EQUIVALENT, Verdict.EQUIVALENT),
        (1.01, 1.015, 1.02, 0.001, Verdict.EQUIVALENT, Verdict.EQUIVALENT),  # a difference, and none that matters
        (1.01, 1.02, 1.06, 0.001, Verdict.WORSE, Verdict.BETTER),  # a difference; as large as what matters
        (0.94, 0.98, 0.99, 0.001, Verdict.BETTER, Verdict.WORSE),
        (1.01, 1.02, 1.06, 0.006, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),  # it may be chance
        (0.94, 0.98, 0.99, 0.006, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (0.50, 1.00, 2.00, 0.5, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (0.96, 1.00, 1.01, 0.5, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),  # may be too good to be the same
        (0.99, 1.00, 1.04, 0.5, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
def test_chance_and_the_interval_decide(low, point, high, chance, if_lower_is_better, if_higher_is_better):
    """Of twenty pairs 0.5 % are left to chance."""
    ratio = Interval(low=low, point=point, high=high, confidence=0.95, method="given")
    rise, fall = (chance, 1 - chance) if point >= 1 else (1 - chance, chance)
    change = Change(ratio=ratio, rise=rise, fall=fall, error=0.01, freedom=13)
    demand = Demand(tolerance=0.03)
    lower, higher = (_judge_change(change, better, demand, 20) for better in (Better.LOWER, Better.HIGHER))
    assert (lower.verdict, higher.verdict) == (if_lower_is_better, if_higher_is_better)
    assert lower.ratio == higher.ratio == ratio  # the ratio is B / A, whatever is better


@pytest.mark.parametrize(
    ("processes", "looks", "chance"),
    [(5, 1, 0.02), (10, 1, 0.01), (20, 1, 0.005), (99, 1, 0.005), (20, 4, 0.00125), (10, 4, 0.00125)],
)
def test_less_is_left_to_chance_the_more_processes_and_looks_there_are(processes, looks, chance):
    assert level(processes, looks) == pytest.approx(chance)


def test_of_another_day_a_change_counts_from_where_the_machine_and_the_tolerance_are_both_exceeded():
    """5 % of the machine and 3 % that matter: 8.15 %."""
    demand = Demand(tolerance=0.03, margin=0.05)
    for factor, expected in ((1.04, Verdict.INCONCLUSIVE), (1.08, Verdict.INCONCLUSIVE), (1.09, Verdict.WORSE)):
        assert judge(metric(STEADY), metric([factor] * 5), demand=demand).verdict is expected
        mirrored = {Verdict.WORSE: Verdict.BETTER}.get(expected, expected)
        assert judge(metric([factor] * 5), metric(STEADY), demand=demand).verdict is mirrored


def test_the_ratio_is_the_reason_and_has_its_own_text():
    """Against five steady processes the interval reaches from the lowest to the highest (see test_stats)."""
    judgement = judge(metric(STEADY), metric([1.125, 1.25, 1.5, 1.75, 2.0]))
    assert ratio_text(judgement.ratio) == "ratio 1.500 [1.125, 2.000]"
    assert judgement.reason == ""
    assert judgement.verdict is Verdict.WORSE
    assert judgement.ratio.point == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("kind", "tolerated", "too_much"),
    [
        (Kind.TIMING, 1.029, 1.031),
        (Kind.QUALITY, 1.029, 1.031),
        (Kind.MEMORY, 1.009, 1.011),
        (Kind.LOSS, 1.009, 1.011),
    ],
)
def test_each_kind_has_its_own_smallest_change_that_matters(kind, tolerated, too_much):
    assert verdict([tolerated] * 5, kind=kind) is Verdict.EQUIVALENT
    assert verdict([too_much] * 5, kind=kind) is Verdict.WORSE
    assert verdict([1 / tolerated] * 5, kind=kind) is Verdict.EQUIVALENT
    assert verdict([1 / too_much] * 5, kind=kind) is Verdict.BETTER


def test_a_process_is_judged_by_its_median():
    """One slow reading in each process is no slow process."""
    slow_once = Metric(unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=((1.0, 1.0, 9.0),) * 5)
    assert judge(metric(STEADY), slow_once).verdict is Verdict.EQUIVALENT


def test_pairing_sees_through_what_both_runs_share():
    baseline = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    candidate = [1.25 * value for value in baseline]
    assert verdict(candidate, baseline) is Verdict.INCONCLUSIVE
    assert verdict(candidate, baseline, design=Design.PAIRED) is Verdict.WORSE


def test_the_label_says_which_part_is_judged():
    def two(short, long):
        return Metric(
            unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=((short, long),) * 5, labels=("short", "long")
        )

    verdicts = [judge(two(1.0, 1.0), two(0.5, 2.0), label=label).verdict for label in ("short", "long", "other")]
    assert verdicts == [Verdict.BETTER, Verdict.WORSE, Verdict.NOT_JUDGED]


# --- where there is nothing to decide ---


def test_fewer_than_five_processes_get_no_verdict():
    judgement = judge(metric(STEADY), metric([2.0] * 4))
    assert judgement == Judgement(
        verdict=Verdict.NOT_JUDGED, ratio=None, reason="n=4; a verdict needs 5 processes a case"
    )
    assert verdict(STEADY, [2.0] * 4) is Verdict.NOT_JUDGED
    assert verdict([2.0] * 5) is Verdict.WORSE


def test_fewer_than_six_pairs_get_no_verdict():
    judgement = judge(metric([1.0] * 5), metric([2.0] * 5), design=Design.PAIRED)
    assert judgement == Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason="n=5; a verdict needs 6 pairs")
    assert verdict([1.0] * 6, [1.0] * 6, design=Design.PAIRED) is Verdict.EQUIVALENT


@pytest.mark.parametrize("odd", [0.0, -1.0])
def test_a_reading_without_a_ratio_is_not_judged(odd):
    for sides in [(STEADY, [*STEADY, odd]), ([*STEADY, odd], STEADY)]:
        assert verdict(*sides) is Verdict.NOT_JUDGED


def test_what_is_neither_good_nor_bad_is_not_judged():
    assert verdict([2.0] * 5, better=Better.NONE) is Verdict.NOT_JUDGED
    assert verdict([2.0] * 5, better=Better.NONE, kind=Kind.EXACT) is Verdict.NOT_JUDGED


def test_what_one_side_did_not_measure_is_not_judged_and_the_reason_is_its_own():
    missing = Metric(unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=None, reason="no meter on this system")
    for sides in [(missing, metric(STEADY)), (metric(STEADY), missing)]:
        judgement = judge(*sides)
        assert (judgement.verdict, judgement.reason) == (Verdict.NOT_JUDGED, "no meter on this system")


# --- exact quantities ---


@pytest.mark.parametrize(
    ("a", "b", "if_lower_is_better", "if_higher_is_better"),
    [
        ([4096.0], [4096.0], Verdict.EQUIVALENT, Verdict.EQUIVALENT),
        ([4096.0], [4097.0], Verdict.WORSE, Verdict.BETTER),
        ([4096.0, 4096.0], [4095.0], Verdict.BETTER, Verdict.WORSE),
        ([0.0], [1.0], Verdict.WORSE, Verdict.BETTER),
        ([1.0, 2.0], [1.0, 1.0], Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        ([1.0, 1.0], [1.0, 2.0], Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
def test_what_is_counted_needs_one_process_and_no_tolerance(a, b, if_lower_is_better, if_higher_is_better):
    assert verdict(b, a, kind=Kind.EXACT, better=Better.LOWER) is if_lower_is_better
    assert verdict(b, a, kind=Kind.EXACT, better=Better.HIGHER) is if_higher_is_better


# --- properties ---


@given(processes, processes, st.sampled_from([Better.LOWER, Better.HIGHER]))
@settings(deadline=None)
def test_swapping_the_sides_mirrors_the_verdict(a, b, better):
    forth, back = verdict(b, a, better=better), verdict(a, b, better=better)
    assert back is MIRROR.get(forth, forth)


@given(pairs, st.sampled_from([Better.LOWER, Better.HIGHER]))
@settings(deadline=None)
def test_swapping_the_sides_of_pairs_mirrors_the_verdict(readings, better):
    a, b = zip(*readings, strict=True)
    forth, back = (verdict(*sides, design=Design.PAIRED, better=better) for sides in [(b, a), (a, b)])
    assert back is MIRROR.get(forth, forth)


@given(processes, processes)
@settings(deadline=None)
def test_turning_better_round_mirrors_the_verdict(a, b):
    lower, higher = (verdict(b, a, better=better) for better in (Better.LOWER, Better.HIGHER))
    assert higher is MIRROR.get(lower, lower)


@given(processes, processes, st.sampled_from([1000.0, 2.0**20]))
@settings(deadline=None)
def test_a_change_of_unit_changes_no_verdict(a, b, factor):
    assert verdict([factor * x for x in b], [factor * x for x in a]) is verdict(b, a)


@given(processes, processes, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_processes_changes_no_verdict(a, b, random):
    assert verdict(random.sample(b, len(b)), random.sample(a, len(a))) is verdict(b, a)


@given(processes)
@settings(deadline=None)
def test_a_run_is_never_better_or_worse_than_itself(a):
    assert verdict(a, a) in {Verdict.EQUIVALENT, Verdict.INCONCLUSIVE}


# --- what may be compared ---


@pytest.mark.parametrize(
    ("difference", "named"),
    [
        ({"device": "gpu: y"}, "device"),
        ({"dtype": "bfloat16"}, "dtype"),
        ({"quantization": {"bits": 4}}, "quantization"),
        ({"dataset": {"name": "mlqa"}}, "dataset.name"),
        ({"settings": {"iters": 100}}, "settings.iters"),
    ],
)
def test_what_the_cases_must_share_is_named_where_they_do_not(difference, named):
    assert obstacles(KEY, replace(KEY, **difference), metric(STEADY)) == [named]
    assert obstacles(replace(KEY, **difference), KEY, metric(STEADY)) == [named]


def test_models_weights_and_adapters_are_what_is_compared():
    other = replace(KEY, model="big", adapter={"rank": 8}, weights=Weights(source="pypi", sha256="bb", bytes=2))
    assert obstacles(KEY, KEY, metric(STEADY)) == []
    assert obstacles(KEY, other, metric(STEADY)) == []


@pytest.mark.parametrize("source", ["nano", "random"])
def test_stand_in_weights_compare_with_nothing_but_their_kind(source):
    stand_in, other = (replace(KEY, weights=Weights(source=source, sha256=sha256, bytes=1)) for sha256 in ("nn", "mm"))
    assert obstacles(KEY, stand_in, metric(STEADY)) == ["stand-in weights"]
    assert obstacles(stand_in, KEY, metric(STEADY)) == ["stand-in weights"]
    of_two_models = [] if source == "random" else ["stand-in weights"]  # random ones have the speed of their models
    assert obstacles(stand_in, other, metric(STEADY)) == of_two_models
    assert obstacles(stand_in, other, metric(STEADY, kind=Kind.LOSS)) == ["stand-in weights"]
    assert obstacles(stand_in, replace(stand_in, adapter={"rank": 8}), metric(STEADY)) == []


def test_a_model_of_full_size_and_a_shrunk_one_do_not_compare():
    full = replace(KEY, weights=Weights(source="random", sha256="rr", bytes=0))
    assert obstacles(full, NANO, metric(STEADY)) == ["stand-in weights"]
    assert obstacles(NANO, full, metric(STEADY)) == ["stand-in weights"]


@pytest.mark.parametrize("kind", [Kind.LOSS, Kind.QUALITY])
def test_how_well_stand_in_weights_learn_is_nobodys_merit(kind):
    tuned = replace(NANO, adapter={"rank": 8})
    assert obstacles(NANO, tuned, metric(STEADY, kind=kind, unit="share")) == ["stand-in weights"]
    assert obstacles(KEY, KEY, metric(STEADY, kind=kind, unit="share")) == []


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("token/s", ["tokenizer"]),
        ("nat/token", ["tokenizer"]),
        ("1", ["tokenizer"]),  # perplexity is a token's
        ("s", []),
        ("byte", []),
        ("bit/byte", []),
    ],
)
def test_tokens_of_two_tokenizers_are_two_things(unit, expected):
    other = replace(KEY, tokenizer="uu")
    assert obstacles(KEY, other, metric(STEADY, unit=unit)) == expected


def test_a_case_that_was_never_identified_compares_with_nothing():
    for sides in [(None, KEY), (KEY, None), (None, None)]:
        assert obstacles(*sides, metric(STEADY)) == ["the case did not get far enough to be identified"]


def test_every_obstacle_is_named():
    other = replace(NANO, device="gpu: y", dtype="bfloat16", tokenizer="uu")
    names = obstacles(KEY, other, metric(STEADY, unit="token/s"))
    assert sorted(names) == ["device", "dtype", "stand-in weights", "tokenizer"]


# --- the winner of several ---


def test_the_winner_is_better_than_every_other():
    slow, middle, fast = (contender(name, [time_s] * 5) for name, time_s in [("s", 4.0), ("m", 2.0), ("f", 1.0)])
    (ranking,) = rank([slow, middle, fast])
    assert ranking.winner == "f"
    assert ranking.reason == "ratio 0.250 [0.250, 0.250] to s; ratio 0.500 [0.500, 0.500] to m"
    assert rank([fast, slow])[0].winner == "f"
    assert rank([fast, slow])[0].reason == "ratio 0.250 [0.250, 0.250]"


def test_the_winner_of_a_rate_is_the_highest():
    slow, fast = contender("slow", [1.0] * 5, better=Better.HIGHER), contender("fast", [2.0] * 5, better=Better.HIGHER)
    assert rank([slow, fast])[0].winner == "fast"


def test_two_that_are_equally_fast_have_no_winner_over_a_third():
    first, second, slow = contender("a", [1.0] * 5), contender("b", [1.0] * 5), contender("c", [2.0] * 5)
    (ranking,) = rank([first, second, slow])
    assert (ranking.winner, ranking.verdict) == (None, Verdict.INCONCLUSIVE)


def test_all_equivalent_is_said_so():
    (ranking,) = rank([contender("a", STEADY), contender("b", STEADY), contender("c", STEADY)])
    assert (ranking.winner, ranking.verdict) == (None, Verdict.EQUIVALENT)
    assert ranking.level == ("a", "b", "c")


def test_no_winner_without_enough_processes():
    (ranking,) = rank([contender("a", [1.0]), contender("b", [2.0])])
    assert (ranking.winner, ranking.verdict) == (None, Verdict.NOT_JUDGED)
    assert ranking.reason == "n=1; a verdict needs 5 processes a case"


def test_no_winner_among_what_is_not_comparable_and_each_obstacle_is_named_once():
    first, second = replace(KEY, device="gpu: y"), replace(KEY, device="gpu: z")
    rankings = rank([contender("a", [1.0] * 5), contender("b", [2.0] * 5, first), contender("c", [4.0] * 5, second)])
    assert [ranking.members for ranking in rankings] == [("a",), ("b",), ("c",)]
    for ranking in rankings:
        assert (ranking.winner, ranking.verdict) == (None, Verdict.NOT_COMPARABLE)
        assert ranking.reason == "differing: device"


def test_the_label_reaches_the_judge():
    def two(name, short, long):
        samples = ((short, long),) * 5
        labeled = Metric(unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=samples, labels=("short", "long"))
        return Contender(name=name, key=KEY, metric=labeled)

    both = [two("a", 1.0, 2.0), two("b", 2.0, 1.0)]
    assert [rank(both, label=label)[0].winner for label in ("short", "long")] == ["a", "b"]


@pytest.mark.parametrize("names", [(), ("a",)])
def test_a_winner_needs_someone_to_win_against(names):
    rankings = rank([contender(name, STEADY) for name in names])
    assert [(ranking.members, ranking.winner) for ranking in rankings] == [((name,), None) for name in names]


def test_how_many_bits_a_weight_takes_on_average_keeps_no_two_models_apart():
    """It follows from their sizes: 8 bits in groups of 64 are the same quantization of both."""
    eight = {"bits": 8, "group_size": 64, "mode": "affine"}
    first, second = (replace(KEY, quantization={**eight, "bits_per_weight": bits}) for bits in (9.02, 9.01))
    assert obstacles(first, second, metric(STEADY)) == []
    assert obstacles(first, replace(second, quantization={**eight, "group_size": 32}), metric(STEADY)) == [
        "quantization.group_size"
    ]


# --- several, some of which do not compare ---


def test_what_compares_is_judged_apart_from_what_does_not():
    """Two of one model and a stand-in in three: the two are judged, the third is said to stand alone."""
    fast, slow = contender("fast", [1.0] * 5), contender("slow", [2.0] * 5)
    stand_in = contender("stand-in", [0.5] * 5, NANO)
    pair, single = rank([slow, stand_in, fast])
    assert (pair.members, pair.winner, pair.verdict) == (("slow", "fast"), "fast", Verdict.BETTER)
    assert (single.members, single.winner, single.verdict) == (("stand-in",), None, Verdict.NOT_COMPARABLE)
    assert single.reason == "stand-in weights compare with nothing here"


def test_the_level_are_those_no_worse_than_the_best():
    first, second, slow = contender("a", [1.0] * 5), contender("b", [1.0] * 5), contender("c", [2.0] * 5)
    (ranking,) = rank([slow, first, second])
    assert (ranking.best, ranking.winner, ranking.level) == ("a", None, ("a", "b"))
    assert ranking.others["c"].verdict is Verdict.BETTER
    assert (ranking.verdict, ranking.reason) == (Verdict.INCONCLUSIVE, "a against b")


def test_one_alone_has_nothing_to_compare_with():
    (ranking,) = rank([contender("a", STEADY)])
    assert (ranking.verdict, ranking.reason) == (Verdict.NOT_COMPARABLE, "there is nothing to compare it with")


def test_contenders_of_one_name_are_refused():
    with pytest.raises(ValueError, match="names of their own"):
        rank([contender("a", STEADY), contender("a", STEADY)])


@pytest.mark.parametrize("processes", [5, 10])
def test_two_models_drawn_from_one_distribution_seldom_get_a_winner(processes):
    """400 times: 4 % noise, and one process in ten disturbed by 20 %. Fewer than 5 % name a winner."""
    draw = random.Random(processes)  # noqa: S311 - a simulation

    def drawn():
        return [draw.lognormvariate(0, 0.04) * (1.2 if draw.random() < 0.1 else 1) for _ in range(processes)]

    named = sum(rank([contender("a", drawn()), contender("b", drawn())])[0].winner is not None for _ in range(400))
    assert named < 0.05 * 400


def test_one_too_few_keeps_all_from_being_settled():
    """a beats b, and c has too few processes to say anything."""
    first, slow, few = contender("a", [1.0] * 5), contender("b", [2.0] * 5), contender("c", [3.0])
    (ranking,) = rank([first, slow, few])
    assert (ranking.verdict, ranking.winner) == (Verdict.NOT_JUDGED, None)
    assert ranking.reason == "n=1; a verdict needs 5 processes a case"


def test_the_best_of_what_is_undecided_is_level_with_nobody():
    wide = contender("b", [0.5, 1.0, 1.5, 2.0, 2.5])
    (ranking,) = rank([contender("a", [0.6, 1.1, 1.6, 2.1, 2.6]), wide])
    assert (ranking.verdict, ranking.best, ranking.level) == (Verdict.INCONCLUSIVE, "b", ())


def test_seconds_of_a_token_compare_within_one_tokenizer():
    other = replace(KEY, tokenizer="uu")
    contenders = [contender("a", [1.0] * 5), contender("b", [2.0] * 5, other)]
    assert len(rank(contenders)) == 1
    single = rank([replace(contender, by_token=True) for contender in contenders])
    assert [ranking.reason for ranking in single] == ["differing: tokenizer"] * 2
