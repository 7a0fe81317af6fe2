"""Worker processes: one job each, with a log and with limits on time and memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadWeights
from harness.inputs.plans import AdapterConfig, Job, ModelConfig, Quantization, ReadyModel, TrainingPlan, Work
from harness.inputs.protocol import Message, Progress
from harness.results.records import Environment

_PREPARE_TIMEOUT_S = 3600.0  # a download may take that long
_FACTS_TIMEOUT_S = 300.0
# Share of the machine's memory that one worker may use where no limit is given: the rest keeps the system and the
# session alive.
_MEMORY_SHARE = 0.95


@dataclass(slots=True, kw_only=True)
class Workers:
    """Starts one worker process after the other.

    *timeout_s* and *memory_limit_bytes* (None: no limit) hold for a worker that measures.
    """

    run_process: Callable[..., Message]
    logs: Path
    timeout_s: float
    memory_limit_bytes: int | None

    def look(self) -> Environment:
        """Return the machine as a measuring process sees it; derive the memory limit from it if none was given.

        Raises:
            BadWeights: if no worker gets that far, for instance because MLX cannot be imported.
        """
        environment = self._request(Job(work=Work.ENVIRONMENT), _FACTS_TIMEOUT_S).environment
        assert environment is not None, "the worker answers an environment job with one"
        if self.memory_limit_bytes is None:
            sizes = [environment.os.get(name) for name in ("memory_bytes", "memory_limit_bytes")]
            known = [size for size in sizes if isinstance(size, int)]
            self.memory_limit_bytes = int(_MEMORY_SHARE * min(known)) if known else None
        return environment

    def prepare(
        self,
        model: ModelConfig,
        source: str,
        quantization: Quantization | None = None,
        trials: Sequence[tuple[AdapterConfig, TrainingPlan]] = (),
    ) -> ReadyModel:
        """Get a model's weights into the cache, quantized on request, and check that every one of *trials* fits it.

        Raises:
            BadWeights: if the weights cannot be had, or a training does not fit.
        """
        job = Job(work=Work.PREPARE, model=model, source=source, quantization=quantization, trials=tuple(trials))
        ready = self._request(job, _PREPARE_TIMEOUT_S).ready
        assert ready is not None, "the worker answers a prepare job with a model"
        return ready

    def count(self, models: Sequence[ModelConfig], adapter: AdapterConfig | None) -> dict[str, dict[str, Any]]:
        """Count the parameters of *models*, and of *adapter* on each; return the facts by the model's name.

        A model that cannot be counted has its `problem` instead of facts.

        Raises:
            BadWeights: if no worker gets that far.
        """
        job = Job(work=Work.COUNT, models=tuple(models), adapter=adapter)
        return self._request(job, _FACTS_TIMEOUT_S).facts or {}

    def measure(self, job: Job, log_name: str, on_progress: Callable[[Progress], None]) -> Message:
        """Do *job* within the limits; return its result, or the failure that took its place."""
        return self.run_process(
            job,
            log=self.logs / f"{log_name.replace('/', '.')}.log",
            timeout_s=self.timeout_s,
            memory_limit_bytes=self.memory_limit_bytes,
            on_progress=on_progress,
        )

    def _request(self, job: Job, timeout_s: float) -> Message:
        log = self.logs / f"{job.work}.log"
        message = self.run_process(job, log=log, timeout_s=timeout_s, on_progress=lambda _: None)
        if message.failure is not None:
            raise BadWeights(message.failure.reason)
        return message
