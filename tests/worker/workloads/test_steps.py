import math
from dataclasses import replace

import pytest

from harness.worker.workloads.memory_leak import memory_growth
from harness.worker.workloads.steps import (
    rates,
    step_series,
    utilization,
    wall_note,
    wall_parts,
)
from tests.support.training_steps import MIB, SLOW, steps

SECOND = replace(SLOW, elapsed_s=2.0, lengths=(15, 25), loss_tokens=38, padded_tokens=64, text_bytes=150)
THIRD = replace(SLOW, elapsed_s=3.0, lengths=(30, 30), loss_tokens=57, padded_tokens=61, text_bytes=200)
HEADLINE = {
    "train_tokens_per_s": (20.0,),
    "train_loss_tokens_per_s": (19.0,),
    "train_padded_tokens_per_s": (25.0,),
    "train_steps_per_s": (0.4,),
    "train_rows_per_s": (0.8,),
    "train_bytes_per_s": (70.0,),
    "padding_share": (pytest.approx(0.2),),
    "step_s": (2.0, 3.0),
}


def values(readings):
    return {name: value.values for name, value in readings.items()}


def test_rates_are_over_all_steps_but_the_first():
    """100 real, 95 loss and 125 padded tokens, 4 rows and 350 bytes in two steps of 5 s."""
    assert values(rates(steps(SLOW, SECOND, THIRD))) == {"first_step_s": (90.0,), **HEADLINE}


def test_ten_slow_steps_of_warm_up_do_not_move_the_headline():
    assert values(rates(steps(*[SLOW] * 10, SECOND, THIRD, warmup_iters=10))) == {"first_step_s": (90.0,), **HEADLINE}


def test_the_first_step_is_never_steady():
    assert values(rates(steps(SLOW, SECOND, THIRD, warmup_iters=0))) == {"first_step_s": (90.0,), **HEADLINE}


@pytest.mark.parametrize(
    ("value", "warmup_iters", "reason"),
    [
        ((SLOW,), 1, "too few steady iterations: 1 in all, and warm-up takes 1"),
        ((SLOW, SECOND, THIRD), 10, "too few steady iterations: 3 in all, and warm-up takes 10"),
    ],
)
def test_if_nothing_is_steady_no_rate_is_measured_and_it_is_said_why(value, warmup_iters, reason):
    taken = steps(*value, warmup_iters=warmup_iters)
    readings = rates(taken)
    assert readings.pop("first_step_s").values == (90.0,)
    assert readings.keys() == HEADLINE.keys()
    for reading in (*readings.values(), memory_growth(taken), utilization(taken, lambda _: 1.0, 1.0)):
        assert (reading.values, reading.reason) == ((), reason)


def test_one_steady_step_has_rates_and_no_slope():
    growth = memory_growth(steps(SLOW, SECOND))
    assert (growth.values, growth.reason) == ((), "too few steady iterations: 2 in all, and warm-up takes 1")
    assert rates(steps(SLOW, SECOND))["train_tokens_per_s"].values == (20.0,)


def test_utilisation_is_the_work_of_the_steady_steps_over_their_time_and_the_roof():
    """40 and 60 tokens of 3 FLOP each in 5 s are 60 FLOP/s, a quarter of 240; the first step does not count."""
    taken = steps(SLOW, SECOND, THIRD)
    assert utilization(taken, lambda step: 3.0 * step.real_tokens, 240.0).values == (0.25,)


# --- wall time ---


def test_the_parts_of_the_wall_time_add_up_to_the_whole():
    taken = steps(replace(SLOW, elapsed_s=8.0), THIRD, THIRD, SECOND, SECOND, warmup_iters=3)
    parts = wall_parts(taken, validation_s=5.0, batches_s=0.5, saving_s=0.25, wall_s=24.0)
    assert parts == {
        "first step": 8.0,
        "warm-up": 6.0,
        "steady": 4.0,
        "validation": 5.0,
        "batches": 0.5,
        "saving": 0.25,
        "other": 0.25,
    }


def test_without_a_warm_up_that_part_is_nothing():
    parts = wall_parts(steps(SLOW, SECOND), validation_s=0.0, batches_s=0.0, saving_s=0.0, wall_s=92.0)
    assert (parts["warm-up"], parts["other"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("other_s", "note"),
    [
        (1.0, None),
        (1.5, "wall time: 14.29 % of 10.50 s is in none of its parts"),
        (-1.5, "wall time: -20.00 % of 7.500 s is in none of its parts"),
    ],
)
def test_time_that_no_part_accounts_for_is_noted_above_a_tenth(other_s, note):
    assert wall_note({"steady": 6.0, "validation": 3.0, "other": other_s}) == note


# --- series ---


def test_every_quantity_of_a_step_is_a_series_by_iteration():
    series = step_series(steps(SLOW, SECOND, THIRD))
    assert {name: element.y for name, element in series.items()} == {
        "train_loss": (8.0, 8.0, 8.0),
        "trainer_loss": (9.0, 9.0, 9.0),
        "learning_rate": (1.0, 1.0, 1.0),
        "step_s": (90.0, 2.0, 3.0),
        "real_tokens": (7.0, 40.0, 60.0),
        "loss_tokens": (1.0, 38.0, 57.0),
        "padded_tokens": (999.0, 64.0, 61.0),
        "rows": (7.0, 2.0, 2.0),
        "text_bytes": (1.0, 150.0, 200.0),
        "active_bytes": (10.0 * MIB,) * 3,
        "footprint_bytes": (100.0 * MIB,) * 3,
    }
    assert {(series_.x, series_.x_unit) for series_ in series.values()} == {((1.0, 2.0, 3.0), "iteration")}
    assert all(math.isfinite(value) for item in series.values() for value in item.y)
