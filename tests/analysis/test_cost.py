import pytest

from harness.analysis.cost import relative_costs
from harness.analysis.limits import entries
from harness.results.records import Status
from tests.support.samples import failed, key, measured, record

ONE, TWO = [1.0, 1.01, 1.02, 1.03, 1.04], [2.0, 2.02, 2.04, 2.06, 2.08]


def answering(name, values, *, tokens=8, tokenizer="t", **metrics):
    metrics = {"response_s": measured("response_s", *values), **metrics}
    its_key = key(settings={"output_tokens": tokens}, tokenizer=tokenizer)
    return record(f"inference/{name}", metrics=metrics, key=its_key)


def trained(name, values):
    return record(f"training/{name}", metrics={"train_wall_s": measured("train_wall_s", *values)})


def costs(*records):
    return {cost.name: cost for cost in relative_costs(entries(records))}


def shares(cost):
    return {share.entry: share for share in cost.shares}


def test_seconds_of_a_thousand_tokens_follow_from_the_time_of_an_answer():
    """8 tokens in 1.02 s are 127.5 s per 1,000; b takes twice as long in every process."""
    cost = costs(answering("a/base", ONE), answering("b/base", TWO))["seconds per 1,000 output tokens"]
    a, b = shares(cost)["a/base"], shares(cost)["b/base"]
    assert (a.value, a.processes, a.cheapest, a.ratio, a.reason) == (pytest.approx(127.5), 5, True, None, None)
    assert (b.value, b.cheapest, b.reason) == (pytest.approx(255.0), False, None)
    assert b.ratio.low < b.ratio.point < b.ratio.high
    assert b.ratio.point == pytest.approx(2.0)
    assert cost.unit == "s"


def test_scenarios_count_by_their_geometric_mean():
    metric = measured("response_s", *[(1.0, 4.0)] * 5, labels=("short", "long"))
    cost = costs(answering("a/base", ONE, tokens=1000, response_s=metric))["seconds per 1,000 output tokens"]
    assert cost.shares[0].value == pytest.approx(2.0)


def test_tokens_of_different_tokenizers_have_no_ratio():
    cost = costs(answering("a/base", ONE), answering("b/base", TWO, tokenizer="u"))["seconds per 1,000 output tokens"]
    assert [(row.cheapest, row.ratio, row.reason) for row in cost.shares] == [(False, None, "differing: tokenizer")] * 2


def test_cases_that_compare_are_held_against_the_least_among_them():
    records = (answering("a/base", TWO), answering("b/base", ONE, tokenizer="u"), answering("a/r8", ONE))
    found = shares(costs(*records)["seconds per 1,000 output tokens"])
    assert list(found) == ["a/base", "b/base", "a/r8"]
    assert [value.cheapest for value in found.values()] == [False, False, True]
    assert found["a/base"].ratio.point == pytest.approx(2.0)


def test_few_processes_have_a_figure_and_no_ratio():
    found = shares(costs(trained("a/r8", ONE[:1]), trained("b/r8", TWO[:1]))["seconds per training run"])
    assert (found["a/r8"].value, found["a/r8"].cheapest) == (1.0, False)
    assert (found["b/r8"].ratio, found["b/r8"].reason) == (None, "n=1; a verdict needs 5 processes a case")


def test_one_case_alone_has_nothing_to_be_held_against():
    (share,) = costs(trained("a/r8", ONE))["seconds per training run"].shares
    assert (share.cheapest, share.ratio, share.reason) == (False, None, "there is nothing to compare it with")


def test_energy_is_counted_for_each_metered_part_where_there_is_a_meter():
    metered = measured("energy_j_per_token", *[(0.5, 0.25)] * 5, labels=("package", "dram"))
    unmetered = measured("energy_j_per_token", reason="no meter")
    found = costs(
        answering("a/base", ONE, energy_j_per_token=metered), answering("b/base", ONE, energy_j_per_token=unmetered)
    )
    assert found["joules per 1,000 output tokens package"].shares[0].value == 500.0
    assert [value.entry for value in found["joules per 1,000 output tokens dram"].shares] == ["a/base"]
    whole = measured("energy_j_per_token", *[0.5] * 5)
    assert costs(answering("a/base", ONE, energy_j_per_token=whole))["joules per 1,000 output tokens"].unit == "J"


def test_what_was_not_measured_has_no_cost():
    broken = failed("training/a/r8", status=Status.DIVERGED, metrics={"train_wall_s": measured("train_wall_s", 1.0)})
    assert costs(broken, record("inference/a/base"), answering("b/base", [0.0] * 5)) == {}
    assert costs(record("inference/a/base", metrics={"response_s": measured("response_s", 1.0)}, key=None)) == {}
