import pytest

from harness.results import codec
from harness.results.comparison_entry import ComparisonEntry, without_comparison

STORED = {
    "side": "B",
    "arm": "git:main",
    "facts": {"kind": "git", "commit": "c" * 40},
    "seed": 42,
    "most_pairs": 20,
    "budget_s": 60.5,
    "pairs": {"inference/tinyllama/base": 10},
    "orders": {"inference/tinyllama/base": ["AB", "BA"]},
    "looks": [10, 15, 20],
    "looked": [10],
    "ended": "the verdict is clear",
}


def test_an_entry_is_stored_again_as_it_was_read():
    entry = ComparisonEntry.from_options({"repeats": 3, "ab": STORED})
    assert codec.encode(entry.to_options()) == codec.encode({"ab": STORED})


def test_a_run_of_its_own_has_no_entry():
    assert ComparisonEntry.from_options({"repeats": 3}) is None


@pytest.mark.parametrize("stored", [{}, None, 7, {"pairs": 5, "looks": "10", "arm": None, "unknown": 1}])
def test_fields_that_are_missing_or_of_another_type_are_left_out(stored):
    assert ComparisonEntry.from_options({"ab": stored}) == ComparisonEntry()


def test_an_entry_can_be_taken_out_of_the_options():
    assert without_comparison({"repeats": 3, "ab": STORED}) == {"repeats": 3}
