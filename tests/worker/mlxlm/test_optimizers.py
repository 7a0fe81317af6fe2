from dataclasses import replace

import mlx.core as mx
import mlx.optimizers
import pytest

from harness.errors import BadConfig
from harness.inputs.config_rules import OPTIMIZERS, SCHEDULES
from harness.inputs.plans import Schedule
from harness.worker.mlxlm import moments, optimizer


@pytest.fixture
def plan(tiny_profile):
    """Ten updates at a rate of 1."""
    return replace(tiny_profile.training, iters=10, learning_rate=1.0)


def rates(plan, updates):
    """The learning rate of each update."""
    result = optimizer(plan)
    weights = {"w": mx.ones((2, 2))}
    result.init(weights)
    found = []
    for _ in range(updates):
        result.apply_gradients({"w": mx.ones((2, 2))}, weights)
        found.append(result.learning_rate.item())  # what this update was made with
    return found


@pytest.mark.parametrize(
    ("name", "kind"), [*zip(OPTIMIZERS, ("Adam", "AdamW", "Adafactor", "Muon", "SGD"), strict=True)]
)
def test_every_optimizer_of_a_config_is_mlx_s_of_that_name(plan, name, kind):
    result = optimizer(replace(plan, optimizer=name))
    assert type(result) is getattr(mlx.optimizers, kind)
    assert result.learning_rate.item() == 1.0


def test_an_optimizer_gets_its_options(plan):
    result = optimizer(replace(plan, optimizer="adamw", optimizer_options={"weight_decay": 0.5, "betas": [0.8, 0.9]}))
    assert (result.weight_decay, result.betas) == (0.5, [0.8, 0.9])


def test_an_option_it_does_not_take_is_refused_with_those_it_takes(plan):
    with pytest.raises(BadConfig, match=r"'weight_decay': adam takes betas, eps, bias_correction"):
        optimizer(replace(plan, optimizer_options={"weight_decay": 0.5}))


def test_without_a_schedule_the_rate_stays(plan):
    assert rates(plan, 3) == [1.0, 1.0, 1.0]


def test_a_line_falls_to_nothing_over_all_updates(plan):
    """Ten iterations, two for an update: five updates."""
    result = replace(plan, grad_accumulation_steps=2, schedule=Schedule(name="linear_schedule"))
    assert rates(result, 6) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


def test_a_cosine_is_half_way_down_after_half_of_the_updates(plan):
    result = rates(replace(plan, schedule=Schedule(name="cosine_decay")), 11)
    assert (result[0], result[5], result[10]) == pytest.approx((1.0, 0.5, 0.0), abs=1e-6)


def test_a_schedule_takes_what_the_config_says(plan):
    result = replace(plan, schedule=Schedule(name="step_decay", arguments=(0.1, 2.0)))
    assert rates(result, 5) == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])


def test_a_warm_up_rises_in_a_line_to_the_rate_the_schedule_starts_from(plan):
    schedule = Schedule(name="linear_schedule", warmup=4, warmup_init=0.2)
    assert rates(replace(plan, schedule=schedule), 7) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1 - 1 / 6])


def test_a_warm_up_longer_than_the_training_is_refused(plan):
    with pytest.raises(BadConfig, match="a warm-up of 10 updates in a training of 10"):
        optimizer(replace(plan, schedule=Schedule(name="cosine_decay", warmup=10)))


def test_arguments_it_does_not_take_are_refused(plan):
    with pytest.raises(BadConfig, match=r"exponential_decay takes decay_rate after the rate; given: 1\.0, 2\.0"):
        optimizer(replace(plan, schedule=Schedule(name="exponential_decay", arguments=(1.0, 2.0, 3.0))))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_of_a_config_is_mlx_s(name):
    assert callable(getattr(mlx.optimizers, name))


def test_what_this_mlx_does_not_have_is_refused(plan, monkeypatch):
    monkeypatch.delattr(mlx.optimizers, "Muon")
    with pytest.raises(BadConfig, match="optimizer 'muon' is not in this MLX"):
        optimizer(replace(plan, optimizer="muon"))


@pytest.mark.parametrize(
    ("name", "options", "kept"),
    [
        ("adam", {}, 2),
        ("adamw", {}, 2),
        ("muon", {}, 1),
        ("sgd", {}, 0),
        ("sgd", {"momentum": 0.9}, 1),
        ("adafactor", {}, 0),
    ],
)
def test_an_optimizer_s_state_is_as_large_as_is_said(plan, name, options, kept):
    """A matrix of 64 by 64; adafactor keeps a row and a column of it."""
    result = replace(plan, optimizer=name, optimizer_options=options)
    assert moments(result) == kept
    built = optimizer(result)
    weights = {"w": mx.ones((64, 64))}
    built.init(weights)
    built.apply_gradients({"w": mx.ones((64, 64))}, weights)
    state = sum(array.size for array in built.state["w"].values()) if "w" in built.state else 0
    if name != "sgd" or options:  # without momentum it keeps what it never reads
        assert state // 4096 == kept
