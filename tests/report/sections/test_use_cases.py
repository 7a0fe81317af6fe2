"""Sections that help to choose, as the comparison shows them."""

from harness.report.kinds.comparison import compare
from tests.support.comparisons import case
from tests.support.samples import POLICY, bundle, grid, key, measured, record, section, weights

FAST, SLOW = (0.1,) * 5, (0.2,) * 5


def leaks(name, rate, **others):
    return record(f"evaluation/{name}/base", metrics={"leak_rate": measured("leak_rate", *[rate] * 5)}, **others)


def answers(*records):
    page = compare([bundle(*records)], POLICY)
    return {row["use case"]: row for row in grid(page, "Use cases")}


def test_the_fastest_within_the_limits_is_named():
    answered = answers(case("a", FAST), leaks("a", 0.0), case("b", SLOW), leaks("b", 0.0))
    assert answered["real-time-chat"]["answer"] == "a/base"


def test_one_that_breaks_a_limit_is_not():
    """b is faster, and writes markup."""
    answered = answers(case("a", SLOW), leaks("a", 0.0), case("b", FAST), leaks("b", 0.5))
    assert answered["real-time-chat"]["answer"] == "a/base"


def test_a_stand_in_is_never_recommended():
    nano = key(weights=weights(source="nano"))
    answered = answers(case("a", FAST, key=nano), leaks("a", 0.0, key=nano))
    assert answered["real-time-chat"]["answer"] == "insufficient evidence"


def test_a_limit_is_written_in_a_person_s_units():
    answered = answers(case("a", FAST), leaks("a", 0.0))
    assert "ttft_s p95 at most 300.0 ms" in answered["real-time-chat"]["limits"]
    assert "peak_footprint_bytes in inference highest at most 4.000 GiB" in answered["real-time-chat"]["limits"]


def test_the_policy_is_called_what_it_is():
    text = section(compare([bundle(case("a", FAST))], POLICY), "Use cases").text
    assert text.startswith("Limits and rankings are policy (default.toml), chosen and not measured")
