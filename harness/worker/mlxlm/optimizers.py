"""MLX's optimizers and learning-rate schedules, by the names users know from mlx-lm."""

import inspect
from typing import Any

import mlx.core as mx
import mlx.optimizers

from harness.errors import BadConfig
from harness.inputs.plans import Schedule, TrainingPlan

_CLASSES = {"adam": "Adam", "adamw": "AdamW", "adafactor": "Adafactor", "muon": "Muon", "sgd": "SGD"}
_MOMENTS = {"adam": 2, "adamw": 2, "muon": 1}  # copies of the trained parameters; adafactor's rows and columns are few


def optimizer(plan: TrainingPlan) -> Any:
    """The optimizer of *plan*, with its learning rate or schedule.

    Raises:
        BadConfig: if this MLX does not have it, or it does not take one of the options.
    """
    kind = _found(mlx.optimizers, _CLASSES[plan.optimizer], f"optimizer {plan.optimizer!r}")
    known = [name for name in inspect.signature(kind).parameters if name != "learning_rate"]
    if unknown := sorted(plan.optimizer_options.keys() - set(known)):
        problems = [f"{name!r}: {plan.optimizer} takes {', '.join(known)}" for name in unknown]
        raise BadConfig("training.optimizer_options", problems)
    rate = plan.learning_rate if plan.schedule is None else _schedule(plan, plan.schedule)
    return kind(learning_rate=rate, **plan.optimizer_options)


def try_out(plan: TrainingPlan) -> None:
    """Make one update of a small matrix with the optimizer of *plan*.

    Raises:
        BadConfig: if it cannot: an option of a wrong type is noticed only in use.
    """
    its, weights = optimizer(plan), {"matrix": mx.ones((2, 2))}
    try:
        its.init(weights)
        mx.eval(its.apply_gradients(weights, weights))
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        given = ", ".join(f"{name} = {value!r}" for name, value in plan.optimizer_options.items())
        raise BadConfig("training.optimizer_options", [f"{plan.optimizer} cannot use {given}: {error}"]) from error


def moments(plan: TrainingPlan) -> int:
    """How many numbers the optimizer keeps for each trained parameter."""
    if plan.optimizer == "sgd":
        return 1 if plan.optimizer_options.get("momentum") else 0
    return _MOMENTS.get(plan.optimizer, 0)


def _schedule(plan: TrainingPlan, its: Schedule) -> Any:
    """The learning rate by update, as mlx-lm composes it: a warm-up in a line, then the named schedule.

    Raises:
        BadConfig: if this MLX does not have the schedule, it takes other arguments, or nothing is left to it.
    """
    schedule = _found(mlx.optimizers, its.name, f"schedule {its.name!r}")
    updates = plan.iters // plan.grad_accumulation_steps
    if its.warmup >= updates:
        raise BadConfig(
            "training.schedule",
            [f"a warm-up of {its.warmup} updates in a training of {updates} ({plan.iters} iterations)"],
        )
    rest = updates - its.warmup
    given = {"cosine_decay": (rest,), "linear_schedule": (0.0, rest)}.get(its.name, ()) if not its.arguments else ()
    arguments = [int(value) if value == int(value) and value >= 1 else value for value in (*its.arguments, *given)]
    try:
        main = schedule(plan.learning_rate, *arguments)
    except (TypeError, ValueError) as error:
        takes = ", ".join([*inspect.signature(schedule).parameters][1:])
        listed = ", ".join(map(str, its.arguments)) or "none"
        raise BadConfig("training.schedule", [f"{its.name} takes {takes} after the rate; given: {listed}"]) from error
    if not its.warmup:
        return main
    rising = mlx.optimizers.linear_schedule(its.warmup_init, plan.learning_rate, its.warmup)
    return mlx.optimizers.join_schedules([rising, main], [its.warmup + 1])


def _found(module: Any, name: str, what: str) -> Any:
    if not hasattr(module, name):
        raise BadConfig("training", [f"{what} is not in this MLX; update it: pip install -U mlx"])
    return getattr(module, name)
