"""Cases set against each other, as the comparison shows them."""

from harness.report.kinds.comparison import compare
from tests.support.comparisons import case
from tests.support.samples import POLICY, bundle, grid, key, titles

FAST, SLOW = (0.1,) * 5, (0.2,) * 5


def test_what_keeps_cases_apart_is_listed_by_field():
    page = compare([bundle(case("a", FAST), case("b", FAST, key=key(device="cpu: Two")))], POLICY)
    rows = {row["field"]: row for row in grid(page, "What compares with what")}
    assert (rows["device"][""], rows["device"]["effect"]) == ("different", "blocks all")
    assert (rows["device"]["a/base"], rows["device"]["b/base"]) == ("gpu: One", "cpu: Two")
    assert rows["dtype"][""] == "equal"


def test_a_case_alone_compares_with_nothing():
    assert "What compares with what" not in titles(compare([bundle(case("a", FAST))], POLICY))


def test_costs_are_set_against_the_least_of_those_that_compare():
    page = compare([bundle(case("a", FAST), case("b", SLOW))], POLICY)
    costs = grid(page, "Relative cost")
    assert [row["case"] for row in costs] == ["a/base", "b/base"]
    assert [row["against the least of its like"] for row in costs] == ["the least", "+100.0 % [+100.0 %, +100.0 %]"]
