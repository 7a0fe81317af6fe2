"""Asks a worker process for one thing: weights, facts about the machine, parameter counts."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.inputs.plans import AdapterConfig, Job, ModelConfig, Quantization, ReadyModel, TrainingPlan
from harness.inputs.protocol import Message
from harness.results.records import Environment
from harness.session import worker_process

_PREPARE_TIMEOUT_S = 3600.0  # a download may take that long
_FACTS_TIMEOUT_S = 300.0
Ask = Callable[[Job, float], Message]  # a job and the seconds it may take; raises if it is not done


def ask_alone(job: Job, timeout_s: float) -> Message:
    """Have a worker do *job*, outside any session.

    Raises:
        HarnessError: if it cannot.
    """
    with tempfile.TemporaryDirectory() as scratch:
        message = worker_process.run(job, log=Path(scratch) / "log", timeout_s=timeout_s, on_progress=lambda _: None)
    if message.failure is not None:
        raise HarnessError(message.failure.reason)
    return message


def fetch(
    model: ModelConfig,
    source: str,
    ask: Ask = ask_alone,
    *,
    quantization: Quantization | None = None,
    trials: Sequence[tuple[AdapterConfig, TrainingPlan]] = (),
) -> ReadyModel:
    """Get a model's weights into the cache, quantised if they are to be; *trials* is what it has to fit.

    Raises:
        HarnessError: if they cannot be had.
    """
    job = Job(work="prepare", model=model, source=source, quantization=quantization, trials=tuple(trials))
    ready = ask(job, _PREPARE_TIMEOUT_S).ready
    assert ready is not None, "the worker answers a prepare job with a model"
    return ready


def examine(ask: Ask = ask_alone) -> Environment:
    """Look at this machine as a measuring process sees it.

    Raises:
        HarnessError: if no such process gets that far, for instance because MLX cannot be imported.
    """
    its = ask(Job(work="environment"), _FACTS_TIMEOUT_S).environment
    assert its is not None, "the worker answers an environment job with one"
    return its


def count(models: Sequence[ModelConfig], adapter: AdapterConfig | None) -> dict[str, dict[str, Any]]:
    """Count the parameters of models, and of an adapter on each, by their names.

    In place of the facts of a model that cannot be counted so, there is its `problem`.

    Raises:
        HarnessError: if no worker gets that far.
    """
    return ask_alone(Job(work="count", models=tuple(models), adapter=adapter), _FACTS_TIMEOUT_S).facts or {}
