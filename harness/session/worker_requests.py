"""Requests to a worker process outside any session: weights, facts about the machine, parameter counts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.inputs.plans import AdapterConfig, ModelConfig, Quantization, ReadyModel
from harness.results.records import Environment
from harness.session import worker_process
from harness.session.workers import Workers


def fetch(model: ModelConfig, source: str, *, quantization: Quantization | None = None) -> ReadyModel:
    """Get a model's weights into the cache, quantized on request.

    Raises:
        HarnessError: if they cannot be had.
    """
    with _workers() as workers:
        return workers.prepare(model, source, quantization)


def examine() -> Environment:
    """Return this machine as a measuring process sees it.

    Raises:
        HarnessError: if no such process gets that far, for instance because MLX cannot be imported.
    """
    with _workers() as workers:
        return workers.look()


def count(models: Sequence[ModelConfig], adapter: AdapterConfig | None) -> dict[str, dict[str, Any]]:
    """Count the parameters of *models*, and of *adapter* on each; return the facts by the model's name.

    A model that cannot be counted has its `problem` instead of facts.

    Raises:
        HarnessError: if no worker gets that far.
    """
    with _workers() as workers:
        return workers.count(models, adapter)


@contextmanager
def _workers() -> Iterator[Workers]:
    """Yield workers whose logs are deleted at the end; they have no memory limit, and measure nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Workers(run_process=worker_process.run, logs=Path(scratch), timeout_s=0.0, memory_limit_bytes=None)
