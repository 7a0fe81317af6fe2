"""Sections that help to choose, as the comparison shows them."""

from harness.report.kinds.comparison import compare
from tests.support.samples import POLICY, bundle, grid, key, measured, record, section, titles, weights

FAST, SLOW = (0.1,) * 5, (0.2,) * 5


def case(name, waits, suite="inference", **others):
    labels = ("load", "generate", "process")
    gib = 2.0**30
    metrics = {
        "ttft_s": measured("ttft_s", *waits),
        "response_s": measured("response_s", *(10 * its for its in waits)),
        "peak_footprint_bytes": measured("peak_footprint_bytes", *[(gib, gib, 9 * gib)] * 5, labels=labels),
    }
    return record(f"{suite}/{name}/base", metrics=metrics, **others)


def leaks(name, rate, **others):
    return record(f"evaluation/{name}/base", metrics={"leak_rate": measured("leak_rate", *[rate] * 5)}, **others)


def answers(*records):
    page = compare([bundle(*records)], POLICY)
    return {row["use case"]: row for row in grid(page, "Use cases")}


def test_the_fastest_within_the_limits_is_named():
    found = answers(case("a", FAST), leaks("a", 0.0), case("b", SLOW), leaks("b", 0.0))
    assert found["real-time-chat"]["answer"] == "a/base"


def test_one_that_breaks_a_limit_is_not():
    """b is faster, and writes markup."""
    found = answers(case("a", SLOW), leaks("a", 0.0), case("b", FAST), leaks("b", 0.5))
    assert found["real-time-chat"]["answer"] == "a/base"


def test_a_stand_in_is_never_recommended():
    nano = key(weights=weights(source="nano"))
    found = answers(case("a", FAST, key=nano), leaks("a", 0.0, key=nano))
    assert found["real-time-chat"]["answer"] == "insufficient evidence"


def test_a_limit_is_written_in_a_person_s_units():
    found = answers(case("a", FAST), leaks("a", 0.0))
    assert "ttft_s p95 at most 300.0 ms" in found["real-time-chat"]["limits"]
    assert "peak_footprint_bytes in inference highest at most 4.000 GiB" in found["real-time-chat"]["limits"]


def test_the_policy_is_called_what_it_is():
    text = section(compare([bundle(case("a", FAST))], POLICY), "Use cases").text
    assert text.startswith("Limits and rankings are policy (default.toml), chosen and not measured")


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
