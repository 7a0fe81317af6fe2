import pytest

from harness.analysis.limits import entries
from harness.analysis.report_policy import CardText, Limit, Policy, Rank, Rating, UseCase
from harness.analysis.use_cases import UseCaseOutcome, recommend
from harness.results.records import Status
from tests.support.samples import failed, key, measured, record, weights

FAST, MIDDLE, SLOW = [1.0, 1.01, 1.02, 1.03, 1.04], [2.0, 2.01, 2.02, 2.03, 2.04], [3.0, 3.01, 3.02, 3.03, 3.04]
SMALL, LARGE = [1.0] * 5, [9.0] * 5
LIMIT = Limit(metric="peak_active_bytes", statistic="highest", at_most=4.0)


def case(name, response=None, peak=None, its_key=None, **labels):
    metrics = {} if response is None else {"response_s": measured("response_s", *response, **labels)}
    if peak is not None:
        metrics["peak_active_bytes"] = measured("peak_active_bytes", *peak)
    return record(f"inference/{name}", metrics=metrics, key=its_key or key())


def answer(*records, rank=None, limits=()):
    use_case = UseCase(name="chat", rank=rank or Rank(metric="response_s"), limits=limits)
    rating = Rating(steps=(), otherwise="any")
    policy = Policy(name="p", sha256="s", rating=rating, use_cases=(use_case,), cards=CardText())
    (advice,) = recommend(policy, entries(records))
    return advice


def test_the_best_by_the_ranking_metric_is_named_with_what_the_others_would_need():
    advice = answer(case("a/base", MIDDLE), case("b/base", FAST), case("c/base", SLOW))
    assert (advice.outcome, advice.cases) == (UseCaseOutcome.CASE, ("b/base",))
    assert "ratio" in advice.reason
    # 3 % below the best of the others, whose median is 1.02 s: 0.9903 s
    assert advice.flips == (
        "a/base leads if its response_s were at most 990.3 ms; it is 2.020 s",
        "c/base leads if its response_s were at most 990.3 ms; it is 3.020 s",
    )


def test_a_metric_of_which_more_is_better_is_ranked_the_other_way():
    def rate(name, values):
        return record(f"inference/{name}", metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", *values)})

    advice = answer(rate("a/base", FAST), rate("b/base", SLOW), rank=Rank(metric="decode_tokens_per_s"))
    assert advice.cases == ("b/base",)
    assert advice.flips == ("a/base leads if its decode_tokens_per_s were at least 3.111 token/s; it is 1.020 token/s",)


def test_equivalent_leaders_are_a_tie_and_the_rest_is_not_in_it():
    equivalent = [1.0, 1.001, 1.002, 1.003, 1.004]
    advice = answer(
        case("a/base", equivalent), case("b/base", SLOW), case("c/base", [value + 0.001 for value in equivalent])
    )
    assert (advice.outcome, advice.cases, advice.reason) == (UseCaseOutcome.TIE, ("a/base", "c/base"), "equivalent")
    assert [flip.split()[0] for flip in advice.flips] == ["a/base", "b/base", "c/base"]


def test_what_the_judge_leaves_open_is_no_tie_and_no_winner():
    advice = answer(case("a/base", [1.0, 1.5, 2.0, 2.5, 3.0]), case("b/base", [1.1, 1.6, 2.1, 2.6, 2.9]))
    assert (advice.outcome, advice.cases, advice.flips) == (UseCaseOutcome.INSUFFICIENT, (), ())
    assert advice.reason.startswith("inconclusive: ")


def test_a_case_beyond_a_limit_is_out_however_well_it_ranks():
    advice = answer(
        case("a/base", FAST, LARGE), case("b/base", MIDDLE, SMALL), case("c/base", SLOW, SMALL), limits=(LIMIT,)
    )
    assert advice.cases == ("b/base",)
    assert (
        advice.flips[0] == "a/base is within the limits if its peak_active_bytes (highest) were at most 4 B; it is 9 B"
    )
    assert [(evidence.entry, evidence.met) for evidence in advice.evidence] == [
        ("a/base", False),
        ("b/base", True),
        ("c/base", True),
    ]


def test_the_only_case_within_the_limits_is_named_as_that():
    advice = answer(case("a/base", FAST, LARGE), case("b/base", MIDDLE, SMALL), limits=(LIMIT,))
    assert (advice.outcome, advice.cases, advice.reason) == (
        UseCaseOutcome.CASE,
        ("b/base",),
        "the only one of those measured within all limits",
    )


def test_where_all_break_a_limit_none_is_feasible():
    advice = answer(case("a/base", FAST, LARGE), case("b/base", MIDDLE, LARGE), limits=(LIMIT,))
    assert (advice.outcome, advice.cases, len(advice.flips)) == (UseCaseOutcome.NONE_FEASIBLE, (), 2)


def test_every_limit_that_is_broken_is_named():
    limits = (LIMIT, Limit(metric="response_s", statistic="median", at_most=0.5))
    advice = answer(case("a/base", FAST, LARGE), case("b/base", MIDDLE, SMALL), limits=limits)
    assert advice.flips[0].endswith("it is 9 B, and if its response_s (median) were at most 500.0 ms; it is 1.020 s")


def test_one_process_is_no_evidence():
    advice = answer(case("a/base", FAST[:1], [1.0]), case("b/base", SLOW[:1], [1.0]), limits=(LIMIT,))
    assert (advice.outcome, advice.cases) == (UseCaseOutcome.INSUFFICIENT, ())
    assert advice.reason == "peak_active_bytes: n=1; a verdict needs 5 (a/base, b/base)"


def test_one_process_is_no_evidence_without_limits_either():
    advice = answer(case("a/base", FAST[:1]), case("b/base", SLOW[:1]))
    assert (advice.outcome, advice.reason) == (
        UseCaseOutcome.INSUFFICIENT,
        "not judged: n=1; a verdict needs 5 processes a case",
    )


def test_a_case_whose_limit_is_open_keeps_the_others_from_being_recommended():
    advice = answer(case("a/base", FAST, [3.0, 3.5, 3.9, 4.5, 5.0]), case("b/base", SLOW, SMALL), limits=(LIMIT,))
    assert advice.outcome is UseCaseOutcome.INSUFFICIENT
    assert advice.reason == "peak_active_bytes: the limit lies within the interval (a/base)"


def test_what_was_not_measured_is_left_out_by_name():
    advice = answer(case("a/base", FAST), case("b/base", SLOW), case("c/base"))
    assert (advice.cases, advice.left_out) == (("a/base",), ("c/base: response_s was not measured in inference",))


def test_where_nothing_was_measured_the_missing_metric_is_named():
    advice = answer(case("a/base"), case("b/base"))
    assert (advice.outcome, advice.reason) == (
        UseCaseOutcome.INSUFFICIENT,
        "response_s was not measured (a/base, b/base)",
    )
    assert answer().reason == "no case was measured"


def test_a_limit_on_what_was_not_measured_leaves_a_case_out():
    advice = answer(case("a/base", FAST), case("b/base", MIDDLE, SMALL), case("c/base", SLOW, SMALL), limits=(LIMIT,))
    assert (advice.cases, advice.left_out) == (
        ("b/base",),
        ("a/base: peak_active_bytes was not measured in inference",),
    )


def test_one_case_alone_is_no_choice():
    advice = answer(case("a/base", FAST))
    assert (advice.outcome, advice.reason) == (
        UseCaseOutcome.INSUFFICIENT,
        "there is nothing to compare it with (a/base)",
    )


@pytest.mark.parametrize("source", ["nano", "random"])
def test_stand_in_weights_are_never_recommended(source):
    stand_in = key(weights=weights(source=source))
    advice = answer(case("a/base", FAST, its_key=stand_in), case("b/base", MIDDLE), case("c/base", SLOW))
    assert (advice.cases, advice.left_out) == (("b/base",), (f"a/base: stand-in weights ({source})",))
    alone = answer(case("a/base", FAST, its_key=stand_in), case("b/base", SLOW, its_key=stand_in))
    assert (alone.outcome, alone.cases) == (UseCaseOutcome.INSUFFICIENT, ())
    assert alone.reason == f"stand-in weights ({source}) (a/base, b/base)"


def test_what_does_not_compare_is_not_ranked():
    advice = answer(case("a/base", FAST), case("b/base", SLOW, its_key=key(device="cpu: Two")))
    assert (advice.outcome, advice.reason) == (UseCaseOutcome.INSUFFICIENT, "not comparable: device (a/base, b/base)")


def test_scenarios_rank_by_their_geometric_mean():
    """a: sqrt(1 x 9) = 3; b: sqrt(2 x 2) = 2: b wins, though a wins in the short ones."""
    a = case("a/base", [(1.0, 9.0)] * 5, labels=("short", "long"))
    b = case("b/base", [(2.0, 2.0)] * 5, labels=("short", "long"))
    assert answer(a, b).cases == ("b/base",)
    assert answer(a, b, rank=Rank(metric="response_s", label="short")).cases == ("a/base",)


@pytest.mark.parametrize(
    ("odd", "rank", "reason"),
    [
        ([(1.0,)] * 5, None, "response_s was not measured of long"),
        ([(0.0,)] * 5, Rank(metric="response_s", label="long"), "response_s was not measured of label 'long'"),
    ],
)
def test_a_scenario_that_is_missing_leaves_a_case_out(odd, rank, reason):
    labels = ("short", "long")
    advice = answer(
        case("a/base", [(1.0, 2.0)] * 5, labels=labels),
        case("b/base", [(3.0, 4.0)] * 5, labels=labels),
        case("c/base", odd, labels=("short",)),
        rank=rank,
    )
    assert (advice.cases, advice.left_out) == (("a/base",), (f"c/base: {reason}",))


def test_a_zero_among_the_scenarios_has_no_mean_and_says_so():
    labels = ("short", "long")
    advice = answer(case("a/base", [(0.0, 2.0)] * 5, labels=labels), case("b/base", [(3.0, 4.0)] * 5, labels=labels))
    assert advice.left_out == ("a/base: a reading of response_s is 0, so its labels have no geometric mean",)


def test_a_ranking_metric_of_two_suites_needs_the_policy_to_say_which():
    peaks = [
        record(f"{suite}/{name}", metrics={"peak_active_bytes": measured("peak_active_bytes", *values)})
        for suite in ("training", "inference")
        for name, values in (("a/r8", SMALL), ("b/r8", LARGE))
    ]
    advice = answer(*peaks, rank=Rank(metric="peak_active_bytes"))
    assert advice.outcome is UseCaseOutcome.INSUFFICIENT
    assert "was measured in training and inference; the policy's rank has to name a suite" in advice.reason
    assert answer(*peaks, rank=Rank(metric="peak_active_bytes", suite="training")).cases == ("a/r8",)


def test_the_phases_of_the_probe_do_not_rank():
    def peaks(name, *values):
        peak = measured("peak_active_bytes", *[values] * 5, labels=("generate", "probe"))
        return record(f"inference/{name}", metrics={"peak_active_bytes": peak})

    advice = answer(peaks("a/base", 1.0, 90.0), peaks("b/base", 2.0, 2.0), rank=Rank(metric="peak_active_bytes"))
    assert advice.cases == ("a/base",)


def test_a_case_that_failed_is_left_out_with_how_it_ended():
    broken = failed("inference/c/base", status=Status.OOM, reason="too large")
    advice = answer(case("a/base", FAST), case("b/base", SLOW), broken)
    assert advice.left_out == ("c/base: inference ended as oom: too large",)


def test_each_use_case_gets_its_answer_in_the_order_of_the_policy():
    use_cases = tuple(UseCase(name=name, rank=Rank(metric="response_s")) for name in ("b", "a"))
    policy = Policy(name="p", sha256="s", rating=Rating(steps=(), otherwise=""), use_cases=use_cases, cards=CardText())
    assert [advice.use_case.name for advice in recommend(policy, ())] == ["b", "a"]
