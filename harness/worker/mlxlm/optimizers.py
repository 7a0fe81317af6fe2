"""MLX's optimizers and learning-rate schedules, by the names users know from mlx-lm."""

import inspect
from typing import Any

import mlx.core as mx
import mlx.optimizers

from harness.errors import BadConfig
from harness.inputs.plans import Schedule, TrainingPlan

_CLASSES = {"adam": "Adam", "adamw": "AdamW", "adafactor": "Adafactor", "muon": "Muon", "sgd": "SGD"}
_MOMENTS = {
    "adam": 2,
    "adamw": 2,
    "muon": 1,
}  # per trained parameter; adafactor's row and column moments are negligible


def optimizer(plan: TrainingPlan) -> Any:
    """Return the optimizer of *plan*, with its learning rate or schedule.

    Raises:
        BadConfig: if this MLX lacks the optimizer, or the optimizer does not take one of the options.
    """
    kind = _attribute(mlx.optimizers, _CLASSES[plan.optimizer], f"optimizer {plan.optimizer!r}")
    known = [name for name in inspect.signature(kind).parameters if name != "learning_rate"]
    if unknown := sorted(plan.optimizer_options.keys() - set(known)):
        problems = [f"{name!r}: {plan.optimizer} takes {', '.join(known)}" for name in unknown]
        raise BadConfig("training.optimizer_options", problems)
    rate = plan.learning_rate if plan.schedule is None else _schedule(plan, plan.schedule)
    return kind(learning_rate=rate, **plan.optimizer_options)


def try_optimizer(plan: TrainingPlan) -> None:
    """Make one update of a small matrix with the optimizer of *plan*.

    Raises:
        BadConfig: if the update fails: a wrong option type shows only in use.
    """
    trial, weights = optimizer(plan), {"matrix": mx.ones((2, 2))}
    try:
        trial.init(weights)
        mx.eval(trial.apply_gradients(weights, weights))
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        options = ", ".join(f"{name} = {value!r}" for name, value in plan.optimizer_options.items())
        raise BadConfig("training.optimizer_options", [f"{plan.optimizer} cannot use {options}: {error}"]) from error


def moments(plan: TrainingPlan) -> int:
    """Return how many numbers the optimizer stores per trained parameter."""
    if plan.optimizer == "sgd":
        return 1 if plan.optimizer_options.get("momentum") else 0
    return _MOMENTS.get(plan.optimizer, 0)


def _schedule(plan: TrainingPlan, config: Schedule) -> Any:
    """Return the learning rate by update, composed as in mlx-lm: a linear warm-up, then the named schedule.

    Raises:
        BadConfig: if this MLX lacks the schedule, it takes other arguments, or the warm-up leaves no update to it.
    """
    schedule = _attribute(mlx.optimizers, config.name, f"schedule {config.name!r}")
    updates = plan.iters // plan.grad_accumulation_steps
    if config.warmup >= updates:
        raise BadConfig(
            "training.schedule",
            [f"a warm-up of {config.warmup} updates in a training of {updates} ({plan.iters} iterations)"],
        )
    main_updates = updates - config.warmup
    defaults = (
        {"cosine_decay": (main_updates,), "linear_schedule": (0.0, main_updates)}.get(config.name, ())
        if not config.arguments
        else ()
    )
    arguments = [
        int(value) if value == int(value) and value >= 1 else value for value in (*config.arguments, *defaults)
    ]
    try:
        main = schedule(plan.learning_rate, *arguments)
    except (TypeError, ValueError) as error:
        takes = ", ".join([*inspect.signature(schedule).parameters][1:])
        listed = ", ".join(map(str, config.arguments)) or "none"
        raise BadConfig(
            "training.schedule", [f"{config.name} takes {takes} after the rate; given: {listed}"]
        ) from error
    if not config.warmup:
        return main
    rising = mlx.optimizers.linear_schedule(config.warmup_init, plan.learning_rate, config.warmup)
    return mlx.optimizers.join_schedules([rising, main], [config.warmup + 1])


def _attribute(module: Any, name: str, description: str) -> Any:
    if not hasattr(module, name):
        raise BadConfig("training", [f"{description} is not in this MLX; update it: pip install -U mlx"])
    return getattr(module, name)
