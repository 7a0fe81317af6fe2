"""Asks a worker process for one thing, outside any session: weights, facts about the machine, parameter counts."""

import tempfile
from pathlib import Path
from typing import Any

from harness import process
from harness.errors import HarnessError
from harness.messages import Message
from harness.plans import AdapterConfig, Job, ModelConfig, ReadyModel
from harness.records import Environment

PREPARE_TIMEOUT_S = 3600.0  # a download may take that long
FACTS_TIMEOUT_S = 300.0


def fetch(model: ModelConfig, source: str) -> ReadyModel:
    """Get a model's weights into the cache.

    Raises:
        HarnessError: if they cannot be had.
    """
    ready = _ask(Job(work="prepare", model=model, source=source), PREPARE_TIMEOUT_S).ready
    assert ready is not None, "the worker answers a prepare job with a model"
    return ready


def examine() -> Environment:
    """Look at this machine as a measuring process sees it.

    Raises:
        HarnessError: if no such process gets that far, for instance because MLX cannot be imported.
    """
    its = _ask(Job(work="environment"), FACTS_TIMEOUT_S).environment
    assert its is not None, "the worker answers an environment job with one"
    return its


def count(model: ModelConfig, adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count the parameters of a model of the registry, and of an adapter on it.

    Raises:
        HarnessError: if the adapter does not fit the model.
    """
    return _ask(Job(work="count", model=model, adapter=adapter), FACTS_TIMEOUT_S).facts or {}


def _ask(job: Job, timeout_s: float) -> Message:
    """Have a worker find something out."""
    with tempfile.TemporaryDirectory() as scratch:
        message = process.run(job, log=Path(scratch) / "log", timeout_s=timeout_s, on_progress=lambda _: None)
    if message.failure is not None:
        raise HarnessError(message.failure.reason)
    return message
