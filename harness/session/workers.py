"""The worker processes of one session: where their logs go, and how long and how much they may use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadWeights
from harness.inputs.plans import AdapterConfig, Job, ModelConfig, Quantization, ReadyModel, TrainingPlan
from harness.inputs.protocol import Message, Progress
from harness.results.records import Environment
from harness.session.worker_requests import examine, fetch

# Of the machine's memory, what one worker may use where no limit is given: the rest keeps the system and the
# session alive.
_MEMORY_SHARE = 0.95


@dataclass(slots=True, kw_only=True)
class Workers:
    """Starts one process after the other. *memory_limit_bytes* is what one may use; None: as much as it gets."""

    run_process: Callable[..., Message]
    logs: Path
    timeout_s: float
    memory_limit_bytes: int | None

    def look(self) -> Environment:
        """Look at the machine as a measuring process sees it; it also says what a worker may use at most.

        Raises:
            BadWeights: if no worker gets that far.
        """
        environment = examine(self._ask)
        if self.memory_limit_bytes is None:
            sizes = [environment.os.get(name) for name in ("memory_bytes", "memory_limit_bytes")]
            known = [size for size in sizes if isinstance(size, int)]
            self.memory_limit_bytes = int(_MEMORY_SHARE * min(known)) if known else None
        return environment

    def prepare(
        self,
        model: ModelConfig,
        source: str,
        quantization: Quantization | None,
        trials: Sequence[tuple[AdapterConfig, TrainingPlan]],
    ) -> ReadyModel:
        """Get a model's weights, quantised if they are to be, and see whether it can be trained as *trials* say.

        Raises:
            BadWeights: if they cannot be had, or it cannot.
        """
        return fetch(model, source, self._ask, quantization=quantization, trials=trials)

    def measure(self, job: Job, name: str, on_progress: Callable[[Progress], None]) -> Message:
        """Do *job*, within the limits; its log is called *name*."""
        return self.run_process(
            job,
            log=self.logs / f"{name.replace('/', '.')}.log",
            timeout_s=self.timeout_s,
            memory_limit_bytes=self.memory_limit_bytes,
            on_progress=on_progress,
        )

    def _ask(self, job: Job, timeout_s: float) -> Message:
        log = self.logs / f"{job.work}.log"
        message = self.run_process(job, log=log, timeout_s=timeout_s, on_progress=lambda _: None)
        if message.failure is not None:
            raise BadWeights(message.failure.reason)
        return message
