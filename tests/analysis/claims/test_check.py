"""Each check finds a claim that the figures contradict, and leaves alone one that they bear out."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.claims.check import CHECKS, check
from harness.errors import BadRecord, UnknownName
from harness.results.records import Claim, Published
from tests.support.samples import bundle, key, losses, measured, output, record

A, B = "training/small/r8", "training/large/r8"


def report(*records, **claim):
    """A published report of one claim, about all of its records unless it says otherwise."""
    plain = {"where": "X:1", "text": "as it is said", "cases": tuple(case_record.case for case_record in records)}
    plain_report = bundle(*records)
    return replace(
        plain_report,
        run=replace(plain_report.run, published=Published(source="X", date=None, claims=(Claim(**plain | claim),))),
    )


def finding_text(name, *records, cases=None, **numbers):
    """The text of the one finding of a check, or None."""
    claim = {"check": name, "numbers": numbers} | ({} if cases is None else {"cases": tuple(cases)})
    findings = check(report(*records, **claim))
    assert len(findings) <= 1
    return findings[0].text if findings else None


def training(case=A, *, train=((1, 4.0), (10, 2.0)), val=((1, 4.0), (10, 3.0)), series=(), **metrics):
    return record(
        case,
        key=key(
            model=case.split("/")[1],
            adapter={"name": "r8", "rank": 8},
            dataset={"rows": {"train": 100, "test": 5}},
            settings={"batch_size": 2},
            tokenizer=f"unknown:{case}",
        ),
        metrics={name: measured(name, *value) for name, value in metrics.items()},
        series={"train_loss": losses(*train), "val_loss": losses(*val), **dict(series)},
    )


def ranges(**values):
    """Metrics of a record, each from (values, labels) or from numbers without labels."""
    return {
        name: measured(name, value[0], labels=value[1]) if isinstance(value[0], tuple) else measured(name, value)
        for name, value in values.items()
    }


def test_a_report_without_claims_is_not_checked():
    assert check(bundle(training())) == ()
    assert check(report(training(), check="no_overfitting")) == ()


def test_a_finding_names_its_rule_its_level_its_case_and_what_was_claimed():
    (finding,) = check(
        report(training(), check="value_differs", numbers={"series": "train_loss", "x": 10, "value": 2.5})
    )
    assert (finding.rule, finding.level, finding.subject) == ("R4", "contradiction", A)
    assert finding.numbers == {"where": "X:1", "claim": "as it is said", "claimed": 2.5, "printed": 2.0}
    assert finding.text == (
        "X:1 puts the training loss at iteration 10 at 2.5; the table of the same report has 2, which is 20 % less."
    )


def test_findings_come_in_the_order_of_the_claims():
    published_report = report(training(), check="no_overfitting")
    wrong = {"check": "value_differs", "text": "said", "cases": (A,)}
    claims = tuple(
        Claim(where=f"X:{x}", numbers={"series": "train_loss", "x": 10, "value": value}, **wrong)
        for x, value in ((3, 9.0), (1, 2.0), (2, 8.0))
    )
    published_report = replace(
        published_report,
        run=replace(published_report.run, published=replace(published_report.run.published, claims=claims)),
    )
    assert [finding.numbers["where"] for finding in check(published_report)] == ["X:3", "X:2"]


def test_every_rule_is_one_of_the_list_and_every_level_one_of_a_finding():
    rules = {f"R{n}" for n in range(1, 27)}
    assert {rule for rule, _, _ in CHECKS.values()} <= rules
    assert {level for _, level, _ in CHECKS.values()} == {"contradiction", "warning", "note"}


def test_an_unknown_check_is_refused_with_those_there_are():
    with pytest.raises(UnknownName, match=r"unknown check 'recoverd_by'. Did you mean 'recovered_by'.*X:1"):
        check(report(training(), check="recoverd_by"))


def test_a_claim_about_a_case_without_a_record_is_refused():
    with pytest.raises(BadRecord, match=rf"X:1: no record of {B}; there are {A}"):
        finding_text("no_overfitting", training(), cases=(B,))


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("value_differs", {"series": "train_loss", "x": 11, "value": 2}, "a point of train_loss at 11 of small/r8"),
        ("value_differs", {"series": "val", "x": 10, "value": 2}, "the series val of small/r8"),
        ("value_differs", {"series": "train_loss", "x": 10}, "needs the number 'value'; found None"),
        ("value_differs", {"series": "train_loss", "x": True, "value": 2}, "needs the number 'x'; found True"),
        ("value_differs", {"series": 5, "x": 10, "value": 2}, "needs the text 'series'; found 5"),
        ("clock", {}, "the metric train_wall_s of small/r8"),
        ("gap_order", {}, "gap_order is about 2 models or adapters"),
        ("spread_across_scenarios", {"percent": 5, "scenarios": "short"}, "the metric decode_tokens_per_s"),
        ("claim_needs_arm", {"arm": "magic"}, "knows no arm 'magic'; it is full fine-tuning, a quantised model"),
        ("prompt_in_training", {"training_rows": [{"prompt": "p"}]}, "needs training_rows, each with prompt, answer"),
        ("prompt_in_training", {}, "needs training_rows"),
    ],
)
def test_a_claim_that_cannot_be_checked_is_refused_by_its_place(name, numbers, message):
    with pytest.raises(BadRecord, match=f"X:1: .*{message}"):
        finding_text(name, training(), **numbers)


def test_scenarios_must_be_texts():
    case_record = record(metrics=ranges(decode_tokens_per_s=((1.0, 2.0), ("short", "long"))))
    with pytest.raises(BadRecord, match="needs the texts 'scenarios'; found 'short'"):
        finding_text("spread_across_scenarios", case_record, percent=5, scenarios="short")


# --- losses ---


@pytest.mark.parametrize(("value", "raised"), [(2.0, False), (2.009, False), (2.02, True), (1.9, True)])
def test_the_same_quantity_printed_twice_may_differ_by_rounding(value, raised):
    assert bool(finding_text("value_differs", training(), series="train_loss", x=10, value=value)) is raised


SPIKE = ((0, 3.0), (100, 1.0), (200, 9.0), (300, 1.2), (400, 1.05), (500, 1.5))


@pytest.mark.parametrize(
    ("by", "end"),
    [
        (250, "at 300 it is 1.2 against 1 before the spike, and it first returns to within 10 % of that at 400."),
        (300, "at 300 it is 1.2 against 1 before the spike, and it first returns to within 10 % of that at 400."),
        (200, "at 200 it is 9 against 1 before the spike, and it first returns to within 10 % of that at 400."),
        (400, None),
        (350, None),
        (501, None),  # nothing is printed from there on
    ],
)
def test_recovery_is_looked_for_in_the_points_after_the_spike(by, end):
    text = finding_text("recovered_by", training(train=SPIKE), series="train_loss", by=by)
    assert text is None if end is None else text.endswith(end)


def test_a_loss_that_never_comes_back_is_said_not_to():
    text = finding_text("recovered_by", training(train=SPIKE[:4]), series="train_loss", by=300)
    assert text.endswith("and it never returns to within 10 % of that in the printed points.")


def test_a_loss_that_only_falls_has_no_spike_to_recover_from():
    assert finding_text("recovered_by", training(), series="train_loss", by=1) is None


@pytest.mark.parametrize(
    ("after", "expected", "end"),
    [
        (3.0, "lower", "4 at iteration 1 and 3 at 10: lower"),
        (3.0, "higher", "lower, 0.75 times as high."),
        (5.0, "lower", "4 at iteration 1 and 5 at 10: higher, 1.25 times as high."),
        (4.0, "lower", "the same, 1 times as high."),
    ],
)
def test_a_sign_is_computed(after, expected, end):
    case_record = training(train=((1, 4.0), (10, after)))
    text = finding_text("direction", case_record, **{"series": "train_loss", "before": 1, "after": 10, "is": expected})
    assert (text is None) if after == 3.0 and expected == "lower" else text.endswith(end)


@pytest.mark.parametrize(
    ("last", "raised"),
    [(3.9, False), (3.93, True), (4.0, True), (4.2, True)],  # 4.0 / 1.02 is 3.92
)
def test_an_improvement_is_two_percent_or_more(last, raised):
    case_record = training(val=((1, 4.0), (10, last)))
    assert bool(finding_text("improved_between", case_record, **{"series": "val_loss", "from": 1, "to": 10})) is raised


def test_a_loss_that_did_not_improve_says_when_it_was_first_near_its_lowest():
    case_record = training(val=((1, 4.0), (2, 3.0), (5, 2.02), (8, 2.0), (10, 4.5)))
    text = finding_text("improved_between", case_record, **{"series": "val_loss", "from": 1, "to": 10})
    assert "was 4 at 1, and first came within 2 % of its lowest (2 at 8) at 5." in text


RISING = ((1, 3.0), (5, 1.0), (8, 1.1), (10, 1.2))


@pytest.mark.parametrize(
    ("val", "train", "raised"),
    [
        (RISING, ((1, 3.0), (5, 2.0), (10, 1.0)), True),
        (RISING, ((1, 3.0), (4, 2.0), (10, 1.0)), True),  # the last report before the lowest point
        (RISING, ((6, 2.0), (10, 1.0)), True),
        (RISING, ((1, 3.0), (5, 2.0), (10, 2.5)), False),  # training rises too
        (RISING, ((1, 3.0), (4, 2.0), (6, 4.0), (10, 2.5)), False),
        (RISING[:3], ((1, 3.0), (5, 2.0), (10, 1.0)), False),  # one later point may be chance
        (((1, 3.0), (5, 1.0), (8, 1.1), (10, 1.01)), ((1, 3.0), (10, 1.0)), False),  # it came back
        (((1, 3.0), (5, 1.0), (8, 1.01), (10, 1.5)), ((1, 3.0), (10, 1.0)), False),
        (((1, 3.0), (5, 2.0), (8, 1.5), (10, 1.2)), ((1, 3.0), (10, 1.0)), False),  # the best is the last
    ],
)
def test_overfitting_is_validation_rising_over_two_points_while_training_falls(val, train, raised):
    assert bool(finding_text("no_overfitting", training(val=val, train=train))) is raised


def test_overfitting_says_by_how_much():
    text = finding_text("no_overfitting", training(val=RISING, train=((5, 2.0), (10, 1.0))))
    assert "rises from 1 at iteration 5 to 1.2 at 10, by 20 %, while the training loss falls from 2 to 1." in text


@pytest.mark.parametrize(
    ("start", "end", "percent", "expected"),
    [
        (8.0, 2.0, 75, None),  # of the training loss alone
        (4.0, 3.0, 25, None),  # of the validation loss alone
        (8.0, 2.0, 75.3, None),
        (8.0, 2.0, 76, "from 8 to 2 it is 75 %."),
        (4.0, 2.0, 50, "the first is a validation loss and the second a training loss."),
        (8.0, 3.0, 62.5, "the first is a training loss and the second a validation loss."),
        (8.0, 1.5, 81.25, "the second a number that no table holds."),
    ],
)
def test_a_drop_in_loss_is_from_one_split(start, end, percent, expected):
    case_record = training(train=((1, 8.0), (10, 2.0)), val=((1, 4.0), (8, 2.5), (10, 3.0)))
    text = finding_text("mixed_splits", case_record, **{"from": start, "to": end, "percent": percent})
    assert text is None if expected is None else expected in text
    if expected and "first" in expected:
        assert "the training loss alone falls by 75 %;" in text
        assert "the validation loss alone falls by 25 %, 37.5 % at its lowest." in text


# --- how it ran ---


def timed(wall=100.0, tokens=20_000.0, **metrics):
    return training(
        series=(("tokens_seen", losses((10, tokens))),), train_wall_s=(wall,), train_iterations=(50,), **metrics
    )


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"train_tokens_per_s": (200,)}, None),
        ({"train_tokens_per_s": (220,)}, None),  # 91 s: within a tenth
        (
            {"train_tokens_per_s": (230,)},
            "at 230 tokens/s the 20,000 tokens take 86.96 s, and 100 s mean 200 tokens/s.",
        ),
        ({"train_tokens_per_s": (150,)}, "133.3 s"),
        ({"train_tokens_per_s": (200,), "train_steps_per_s": (0.5,)}, None),
        (
            {"train_tokens_per_s": (200,), "train_steps_per_s": (1,)},
            "at 1 iterations/s the 50 iterations take 50 s, and 100 s mean 0.5 iterations/s.",
        ),
    ],
)
def test_rates_and_amounts_make_the_printed_time(metrics, expected):
    text = finding_text("clock", timed(**metrics))
    assert text is None if expected is None else expected in text


def test_a_clock_takes_the_rate_the_claim_names():
    case_record = training(series=(("tokens_seen", losses((10, 20_000.0))),), train_wall_s=(100,))
    rates = measured("train_tokens_per_s", (200.0, 400.0), labels=("lowest", "highest"))
    case_record = replace(case_record, metrics=case_record.metrics | {"train_tokens_per_s": rates})
    assert finding_text("clock", case_record, label="lowest") is None
    assert "at 400 tokens/s" in finding_text("clock", case_record, label="highest")


@pytest.mark.parametrize(
    ("low", "high", "outside"),
    [
        (2.0, 4.0, None),
        (2.005, 3.99, None),
        (2.1, 4.0, "1 of the 2 printed values lie outside of it: 2 (iteration 10)"),
        (2, 3, "4"),
    ],
)
def test_a_range_holds_every_printed_value(low, high, outside):
    text = finding_text("range_omits", training(), series="train_loss", low=low, high=high)
    assert text is None if outside is None else outside in text


@pytest.mark.parametrize(
    ("points", "raised"),
    [(((0, 4.0), (5, 5.0), (9, 5.0)), True), (((0, 4.0), (5, 5.0), (9, 4.5)), False), (((0, 4.0), (5, 4.0)), True)],
)
def test_memory_that_never_falls_is_a_running_maximum(points, raised):
    text = finding_text("running_maximum", training(series=(("peak_bytes", losses(*points)),)))
    assert bool(text) is raised
    assert not raised or f"highest at iteration {5 if len(points) == 3 else 0}." in text


@pytest.mark.parametrize(
    ("stated", "end"),
    [
        ({}, "1 passes over the 100 rows there are to train on, which is printed nowhere."),
        ({"epochs": 1}, None),
        ({"epochs": 3}, "not 3."),
    ],
)
def test_epochs_are_rows_seen_over_rows_there_are(stated, end):
    text = finding_text("epochs", training(train_iterations=(50,)), **stated)
    assert text is None if end is None else text.endswith(end)


def test_epochs_of_unknown_rows_are_not_counted():
    case_record = training(train_iterations=(50,))
    assert finding_text("epochs", replace(case_record, key=replace(case_record.key, dataset=None))) is None
    assert finding_text("epochs", replace(case_record, key=replace(case_record.key, settings={}))) is None


SHAPE = {"hidden": 10, "heads": 2, "kv_heads": 1, "head_dim": 4, "intermediate": 20, "layers": 6}
# By hand: q 8 + 10, k and v 4 + 10 each, o 10 + 8; gate, up and down 20 + 10 each: 154 a rank and a layer.


def adapted(trainable, **adapter):
    case_record = training(trainable_parameters=(trainable,))
    return replace(case_record, key=replace(case_record.key, adapter=adapter))


@pytest.mark.parametrize(
    ("trainable", "adapter", "rank", "expected"),
    [
        (154 * 4 * 6, {}, 4, None),
        (154 * 4 * 3, {"layers": 3}, 4, None),
        (
            154 * 4 * 3,
            {},
            4,
            "has 3,696, 2 times as many. What is printed is rank 2 on 6 layers or rank 4 on 3 layers.",
        ),
        (
            154 * 4 * 6,
            {"layers": 3},
            4,
            "has 1,848, 0.5 times as many. What is printed is rank 8 on 3 layers or rank 4 on 6 layers.",
        ),
        (154 * 4 * 12, {}, 4, "has 3,696, 0.5 times as many. What is printed is rank 8 on 6 layers."),  # not 4 on 12
        (1001, {}, 4, "has 3,696, 3.692 times as many."),
        (32 * 4 * 6, {"keys": ["self_attn.q_proj", "self_attn.v_proj"]}, 4, None),  # 18 + 14
        (32 * 4 * 6, {}, 4, "4.812 times as many."),
    ],
)
def test_a_rank_gives_the_trainable_parameters(trainable, adapter, rank, expected):
    text = finding_text("trainable_structure", adapted(trainable, **adapter), rank=rank, **SHAPE)
    assert text is None if expected is None else text.endswith(expected)


# --- two sides ---


def answers(model, seconds, words):
    """Times and lengths of one model's answers, in the suites they belong to."""
    times = ranges(response_s=((*seconds,), ("lowest", "highest")))
    return (
        record(f"inference/{model}/base", metrics=times),
        record(f"evaluation/{model}/base", metrics=ranges(response_words=((*words,), ("lowest", "highest")))),
    )


def test_a_shorter_answer_is_not_a_faster_one():
    text = finding_text(
        "ratio_of_lengths", *answers("a", (4.0, 8.0), (90.0, 110.0)), *answers("b", (2.0, 4.0), (20.0, 30.0))
    )
    # 2 / 8 to 4 / 4; 25 / 100; half the time over a quarter of the words
    assert (
        "b/base takes 0.25 to 1 times as long as a/base, with 0.25 times as many words. By word it takes 2 times"
        in text
    )


def test_answers_of_like_length_compare_by_their_times():
    assert (
        finding_text("ratio_of_lengths", *answers("a", (4.0, 8.0), (90, 110)), *answers("b", (2.0, 4.0), (90, 120)))
        is None
    )


def test_a_median_beside_a_mean_is_no_end_of_a_range():
    def case_record(model, mean, words):
        times = ranges(response_s=((mean, mean / 2), ("mean", "median")), response_words=((words,), ("mean",)))
        return record(f"inference/{model}/base", metrics=times)

    text = finding_text("ratio_of_lengths", case_record("a", 1.0, 10.0), case_record("b", 3.0, 20.0))
    assert "b/base takes 3 times as long as a/base, with 2 times as many words. By word it takes 1.5 times" in text


def paced(case, rate, wall, tokenizer="t"):
    case_record = training(case, train_tokens_per_s=(rate,), train_wall_s=(wall,))
    return replace(case_record, key=replace(case_record.key, tokenizer=tokenizer))


def test_token_rates_are_borne_out_by_times_where_tokens_are_the_same():
    assert finding_text("token_fairness", paced(A, 200, 10), paced(B, 100, 20)) is None
    assert finding_text("token_fairness", paced(A, 200, 10), paced(B, 100, 19)) is None


def test_token_rates_that_times_do_not_bear_out_counted_other_tokens():
    text = finding_text("token_fairness", paced(A, 200, 10, "one"), paced(B, 100, 12, "other"))
    assert "2 times the tokens a second" in text
    assert "1.2 times as long" in text
    assert "1.667 times as many tokens. The tokenizers differ" in text
    assert finding_text("token_fairness", paced(A, 200, 10), paced(B, 100, 12)).endswith(
        "The two did not see the same tokens."
    )


def test_who_overfits_more_is_who_has_the_larger_gap():
    a = training(A, val_loss_final=(2.0,), train_loss_final=(1.0,))
    b = training(B, val_loss_final=(3.0,), train_loss_final=(1.0,))
    assert finding_text("gap_order", b, a) is None
    assert "is 1 for small/r8 and 2 for large/r8, the other way round." in finding_text("gap_order", a, b)
    assert finding_text("gap_order", a, replace(a, case=B)) is not None  # the same gap is no larger one


def test_losses_compare_with_one_tokenizer_alone():
    a, b = training(A, test_loss=(1.0,)), training(B, test_loss=(2.0,))
    text = finding_text("tokenizer_mix", a, b, metric="test_loss", vocabulary={"small": 100, "large": 2000})
    assert "ranks the test loss of small/r8 (1) and large/r8 (2)" in text
    assert "vocabularies of 100 (small) and 2,000 (large)" in text
    assert "vocabular" not in finding_text("tokenizer_mix", a, b, metric="test_loss")
    same = replace(b, key=replace(b.key, tokenizer=a.key.tokenizer))
    assert finding_text("tokenizer_mix", a, same, metric="test_loss") is None


@pytest.mark.parametrize(("rows", "raised"), [(5, True), (29, True), (30, False), (None, False)])
def test_a_small_test_set_is_one_of_fewer_than_thirty_rows(rows, raised):
    case_record = record(key=key(dataset={"rows": {} if rows is None else {"test": rows}}))
    text = finding_text("small_test_set", case_record, split="test")
    assert bool(text) is raised
    assert not raised or f"the {rows} rows of the test split" in text


@pytest.mark.parametrize(("claimed", "raised"), [(50, False), (49.2, False), (51.1, True), (40, True)])
def test_how_much_larger_is_from_the_counts(claimed, raised):
    sides = (training(B, total_parameters=(1500,)), training(A, total_parameters=(1000,)))
    text = finding_text("percent_from_counts", *sides, metric="total_parameters", percent=claimed)
    assert bool(text) is raised
    assert not raised or text.endswith("1,500 against 1,000 parameters are 50 % more.")


def scenarios(model, *speeds, **metrics):
    labels = ("short", "medium", "medium", "long")[: len(speeds)]
    return record(f"inference/{model}/base", metrics=ranges(decode_tokens_per_s=(speeds, labels), **metrics))


def test_a_stated_stability_is_set_against_the_scenarios_of_the_table():
    case_record = scenarios("a", 90.0, 95.0, 105.0, 110.0)  # 90, 100, 110: s 10, mean 100
    names = ["short", "medium", "long"]
    assert finding_text("spread_across_scenarios", case_record, percent=10, scenarios=names) is None
    text = finding_text("spread_across_scenarios", case_record, percent=9.9, scenarios=names)
    assert "over the 3 scenarios of its own table the speed of a has a spread (s / mean) of 10 %." in text
    assert finding_text("spread_across_scenarios", case_record, percent=1, scenarios=["short"]) is None


def test_a_headline_is_counted_from_the_rows():
    fast = record(
        "inference/a/base", metrics=ranges(load_s=((1.0,), ("cold",)), ttft_s=((1.0, 3.0), ("short", "long")))
    )
    slow = record(
        "inference/b/base", metrics=ranges(load_s=((2.0,), ("cold",)), ttft_s=((2.0, 3.0), ("short", "long")))
    )
    assert finding_text("headline_against_rows", fast, slow) is None
    text = finding_text("headline_against_rows", slow, fast)
    assert text.endswith("of the 3 rows in which both have a number, it is better in 0, a/base in 2, equal in 1.")


def test_half_of_the_rows_is_not_most_of_them():
    a = record("inference/a/base", metrics=ranges(load_s=(1.0,), disk_bytes=(5.0,)))
    b = record("inference/b/base", metrics=ranges(load_s=(2.0,), disk_bytes=(5.0,)))
    assert "of the 2 rows in which both have a number, it is better in 1" in finding_text("headline_against_rows", a, b)


def test_a_metric_that_was_not_measured_is_looked_for_in_the_next_record():
    lacking = record("inference/a/base", metrics={"response_s": measured("response_s", reason="not printed")})
    with pytest.raises(BadRecord, match="the metric response_s of a/base"):
        finding_text("ratio_of_lengths", lacking, record("inference/b/base", metrics=ranges(response_s=(1.0,))))
    has = replace(answers("a", (1.0, 1.0), (5.0, 5.0))[0], case="evaluation/a/base", suite="evaluation")
    words = record("training/a/base", metrics=ranges(response_words=(5.0,)))
    others = answers("b", (1.0, 1.0), (10.0, 10.0))
    assert "1 times as long as a/base, with 2 times as many" in finding_text(
        "ratio_of_lengths", lacking, has, words, *others
    )


def test_a_headline_counts_only_what_has_a_better_way_and_stands_on_both_sides():
    a = record(
        "inference/a/base", metrics=ranges(rating=((9.0, 5.0), ("style", "wit")), cpu_percent=((1.0,), ("peak",)))
    )
    b = record(
        "inference/b/base", metrics=ranges(rating=((5.0, 9.0), ("style", "depth")), cpu_percent=((2.0,), ("peak",)))
    )
    assert finding_text("headline_against_rows", a, b) is None
    assert "of the 1 rows" in finding_text("headline_against_rows", b, a)


@pytest.mark.parametrize(
    ("speed", "raised"), [(100.0, False), (109.0, False), (91.0, False), (112.0, True), (50.0, True)]
)
def test_similar_is_within_a_tenth(speed, raised):
    sides = (scenarios("a", speed), scenarios("b", 100.0))
    assert bool(finding_text("similar", *sides, metric="decode_tokens_per_s", label="short")) is raised


def test_percentages_of_one_table_are_computed_one_way():
    def case_record(case, wall, peak):
        metrics = ranges(train_wall_s=((wall,), None), peak_active_bytes=((peak,), ("train",)))
        return record(case, metrics=metrics)

    a, b = case_record(A, 8.0, 8.0), case_record(B, 10.0, 10.0)

    def rows(time, memory):
        return [
            {"metric": "train_wall_s", "percent": time},
            {"metric": "peak_active_bytes", "label": "train", "percent": memory},
        ]

    assert finding_text("percent_bases", a, b, rows=rows(20, 20)) is None
    assert finding_text("percent_bases", a, b, rows=rows(25, 25)) is None
    text = finding_text("percent_bases", a, b, rows=rows(25, 20))
    assert "25 % of training time by b/a - 1, 20 % of peak memory by 1 - a/b." in text
    assert "40 % of training time by neither" in finding_text("percent_bases", a, b, rows=rows(40, 20))
    assert finding_text("percent_bases", a, b, rows=rows(40, 40)) is not None


def test_a_cost_ratio_is_set_against_speed_and_size():
    sides = (scenarios("a", 30.0, 20.0, 20.0, total_parameters=((1.0,), None)),
             scenarios("b", 10.0, 20.0, 20.0, total_parameters=((5.0,), None)))  # fmt: skip
    names = ["short", "medium"]
    assert finding_text("cost_ratio", *sides, ratio=2.0, scenarios=names) is None
    assert finding_text("cost_ratio", *sides, ratio=1.95, scenarios=names) is None
    text = finding_text("cost_ratio", *sides, ratio=1.5, scenarios=names)
    assert "differ 2 times on average, from 1 (medium) to 3 (short), and the parameters 5 times." in text


# --- what a claim would need ---


@pytest.mark.parametrize(
    ("arm", "there", "absent"),
    [
        ("full fine-tuning", {"adapter": {"kind": "full"}}, {"adapter": {"kind": "lora"}}),
        ("full fine-tuning", {"adapter": {"kind": "full"}}, {"adapter": None}),
        ("a quantised model", {"quantization": {"bits": 8}}, {"quantization": None}),
        ("an unquantised model", {"quantization": None}, {"quantization": {"bits": 8}}),
    ],
)
def test_a_comparison_needs_a_record_of_its_other_arm(arm, there, absent):
    lone = record("inference/a/base", key=key(**absent))
    other = record("inference/a/other", key=key(**there))
    assert f"compares with {arm};" in finding_text("claim_needs_arm", lone, arm=arm)
    assert finding_text("claim_needs_arm", lone, other, cases=(lone.case,), arm=arm) is None


def test_a_statement_needs_a_measurement():
    stated = {"metric": "mfu", "what": "the use of the device"}
    assert "speaks of the use of the device" in finding_text("claim_needs_metric", training(), **stated)
    assert finding_text("claim_needs_metric", training(mfu=(0.5,)), **stated) is None
    unmeasured = replace(training(), metrics={"mfu": measured("mfu", reason="no roof")})
    assert finding_text("claim_needs_metric", unmeasured, **stated) is not None


def test_a_test_set_that_was_never_run_is_named():
    assert "holds 5 rows out" in finding_text("test_set_never_run", training())
    tested = record("evaluation/small/r8", metrics=ranges(test_loss=(1.0,)))
    assert finding_text("test_set_never_run", training(), tested, cases=(A,)) is None
    untested = record("evaluation/small/r8", metrics={"test_loss": measured("test_loss", reason="none")})
    assert finding_text("test_set_never_run", training(), untested, cases=(A,)) is not None
    case_record = training()
    assert (
        finding_text("test_set_never_run", replace(case_record, key=replace(case_record.key, dataset={"rows": {}})))
        is None
    )


ROWS = [{"prompt": "Say  Hi.", "answer": "Hi THERE"}]


@pytest.mark.parametrize(
    ("prompt", "text", "end"),
    [
        ("say hi.", "no", "which is a training example."),
        (
            "Say hi.",
            "hi there\n",
            "which is a training example; the answer of a/base is that example's, word for word.",
        ),
        ("Say ho.", "hi there", None),
    ],
)
def test_a_test_prompt_is_looked_for_among_the_training_rows(prompt, text, end):
    case_record = record("evaluation/a/base", outputs=(output(prompt="x"), output(prompt=prompt, text=text)))
    text_of_finding = finding_text("prompt_in_training", case_record, training_rows=ROWS)
    assert text_of_finding is None if end is None else text_of_finding.endswith(end)


def test_a_long_prompt_is_shown_cut():
    case_record = record("evaluation/a/base", outputs=(output(prompt="x" * 100),))
    text = finding_text("prompt_in_training", case_record, training_rows=[{"prompt": "x" * 100, "answer": ""}])
    assert f"“{'x' * 59}…”" in text


def test_rated_markup_is_named():
    def case_record(text):
        return record("evaluation/a/base", outputs=(output(text="fine"), output(prompt="Why?", text=text)))

    text = finding_text("leaked_markup", case_record("So.<|im_end|>"), what="the coherence")
    assert text.startswith("X:1 rates the coherence of a; its answer to “Why?” holds <|im_end|> as text.")
    assert finding_text("leaked_markup", case_record("So."), what="the coherence") is None


def test_an_answer_that_is_judged_must_be_recorded():
    a = record("evaluation/a/base", outputs=(output(prompt="Why?"),))
    b = record("evaluation/b/base", outputs=(output(prompt="How?"),))
    assert "that of b/base is not recorded" in finding_text("missing_output", a, b, prompt="why?")
    assert "that of a/base and b/base is not recorded" in finding_text("missing_output", a, b, prompt="When?")
    assert finding_text("missing_output", a, replace(b, outputs=a.outputs), prompt="Why?") is None


@pytest.mark.parametrize(("response", "raised"), [(2.0, True), (2.009, True), (2.5, False), (2.02, False)])
def test_a_response_time_that_is_tokens_over_a_rate_was_computed(response, raised):
    case_record = scenarios("a", 64.0, response_s=((response,), None), ttft_s=((0.5,), None))
    text = finding_text("derived_response_time", case_record, output_tokens=128)
    assert bool(text) is raised
    assert not raised or "which is 128 / 64 tokens/s (short); with the 500 ms to the first token" in text
    assert not raised or "it would be 2.5 s" in text


@pytest.mark.parametrize(("seconds", "raised"), [(1.0, True), (2.0, False)])
def test_a_load_faster_than_a_drive_is_named(seconds, raised):
    case_record = record(metrics=ranges(disk_bytes=(10e9,), load_s=(seconds,)))
    text = finding_text("load_outruns_storage", case_record)
    assert bool(text) is raised
    assert not raised or "loads 10 GB in 1 s, 10 GB/s: more than four lanes of PCIe 4.0 carry (7.88 GB/s)." in text


@pytest.mark.parametrize(
    ("printed", "encoding"),
    [
        ("âœ… done", "cp1252"),
        ("âœï¸ cut short", "cp1252"),  # bytes that the encoding leaves out are lost
        ("cafÃ©", "cp1252"),
        ("caf√©", "mac_roman"),
        ("café", None),
        ("✅ done", None),
        ("plain", None),
        ("50 % – 60 %", None),
        ("naïve Â", None),
    ],
)
def test_utf_8_read_as_something_else_is_told_from_text(printed, encoding):
    text = finding_text("garbled_text", training(), cases=(), printed=printed)
    assert text is None if encoding is None else f"UTF-8 read as {encoding}." in text


def test_a_claim_about_no_case_is_about_the_run():
    (only_finding,) = check(report(training(), check="garbled_text", cases=(), numbers={"printed": "cafÃ©"}))
    assert only_finding.subject == bundle().run.id


def test_every_check_is_tried_both_ways_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in CHECKS if f'finding_text("{name}"' not in text} == set()
