from dataclasses import replace

import pytest

from harness.analysis.training.checklist import ItemOutcome, TrainingFacts, checklist

GOOD = TrainingFacts(
    iterations_done=1000,
    iterations_planned=1000,
    losses=100,
    val_loss_first=2.0,
    val_loss_final=1.5,
    best_iteration=1000,
    final_iteration=1000,
    overfitting=False,
    overfitting_words="no overfitting detected on 4 points",
    spikes=2,
    spikes_recovered=2,
    peak_bytes=6 * 2**30,
    limit_bytes=8 * 2**30,
    swap_growth_bytes=0.0,
    clock_off_share=0.02,
    test_rows=5,
    overlapping_rows=0,
    checked_rows=20,
    seeds=3,
)
NAMES = [entry.name for entry in checklist(GOOD)]


def item(name, **changes):
    return next(entry for entry in checklist(replace(GOOD, **changes)) if entry.name == name)


def test_a_training_that_met_all_passes_all_twelve():
    assert [entry.outcome for entry in checklist(GOOD)] == [ItemOutcome.PASS] * 12


def test_of_a_training_nothing_is_known_of_everything_is_unknown_and_says_so():
    items = checklist(TrainingFacts())
    assert {entry.outcome for entry in items} == {ItemOutcome.UNKNOWN}
    assert {entry.numbers for entry in items} == {"not recorded", "not measured", "not checked"}
    assert [entry.name for entry in items] == NAMES


@pytest.mark.parametrize(
    ("name", "changes", "numbers"),
    [
        ("all iterations done", {"iterations_done": 999}, "999 of 1,000"),
        ("losses finite", {"diverged": "a loss of nan at iteration 7"}, "a loss of nan at iteration 7"),
        ("validation loss improved", {"val_loss_final": 2.0}, "2.000 to 2.000 nat/token, without an interval"),
        ("validation loss improved", {"val_loss_final": 2.2}, "2.000 to 2.200 nat/token, without an interval"),
        ("best checkpoint is the final one", {"best_iteration": 500}, "lowest at iteration 500, last at 1,000"),
        (
            "no overfitting detected",
            {"overfitting": True, "overfitting_words": "overfitting since 500"},
            "overfitting since 500",
        ),
        ("spikes recovered", {"spikes_recovered": 1}, "1 of 2"),
        ("memory headroom", {"peak_bytes": 7.5 * 2**30}, "peak 7.500 GiB of 8.000 GiB, 6.250 % left"),
        ("no swapping", {"swap_growth_bytes": 4096.0}, "4.000 KiB"),
        ("clock reconciled", {"clock_off_share": -0.41}, "off by -41.00 %"),
        ("test set evaluated", {"test_rows": 0}, "0 rows"),
        ("splits apart", {"overlapping_rows": 1}, "1 of 20 rows checked do"),
        ("seeds", {"seeds": 2}, "2"),
    ],
)
def test_each_item_fails_by_its_own_numbers_and_no_other_with_it(name, changes, numbers):
    failed = [entry for entry in checklist(replace(GOOD, **changes)) if entry.outcome is not ItemOutcome.PASS]
    assert [(entry.name, entry.outcome) for entry in failed] == [(name, ItemOutcome.FAIL)]
    assert failed[0].numbers == numbers


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("all iterations done", {"iterations_planned": None}),
        ("losses finite", {"losses": 0}),
        ("validation loss improved", {"val_loss_first": None}),
        ("validation loss improved", {"val_loss_final": None}),
        ("best checkpoint is the final one", {"best_iteration": None}),
        ("no overfitting detected", {"overfitting": None}),
        ("spikes recovered", {"spikes": None}),
        ("memory headroom", {"limit_bytes": None}),
        ("memory headroom", {"limit_bytes": 0}),
        ("no swapping", {"swap_growth_bytes": None}),
        ("clock reconciled", {"clock_off_share": None}),
        ("test set evaluated", {"test_rows": None}),
        ("splits apart", {"checked_rows": 0}),
        ("seeds", {"seeds": None}),
    ],
)
def test_what_is_not_known_is_neither_passed_nor_failed(name, changes):
    assert item(name, **changes).outcome is ItemOutcome.UNKNOWN


def test_the_bounds_themselves_still_pass():
    assert item("memory headroom", peak_bytes=9.0, limit_bytes=10.0).outcome is ItemOutcome.PASS
    assert item("memory headroom", peak_bytes=9.1, limit_bytes=10.0).outcome is ItemOutcome.FAIL
    assert item("clock reconciled", clock_off_share=-0.1).outcome is ItemOutcome.PASS
    assert item("clock reconciled", clock_off_share=0.11).outcome is ItemOutcome.FAIL


def test_a_final_loss_just_below_the_first_is_an_improvement():
    improved = item("validation loss improved", val_loss_final=1.999)
    assert (improved.outcome, improved.numbers) == (ItemOutcome.PASS, "2.000 to 1.999 nat/token, without an interval")


def test_a_training_without_a_spike_recovered_from_all_there_were():
    assert item("spikes recovered", spikes=0, spikes_recovered=0).numbers == "no spike"


def test_every_rule_says_its_bound():
    rules = {entry.name: entry.rule for entry in checklist(GOOD)}
    assert "10 %" in rules["memory headroom"]
    assert "10 %" in rules["clock reconciled"]
    assert "3 different" in rules["seeds"]
