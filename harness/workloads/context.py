"""What every workload has at hand: its job, the loaded model, the clock, the memory meter and a line to the session."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness import mlxlm
from harness.errors import HarnessError
from harness.meters import MemoryMeter, Stopwatch
from harness.modeldir import tokenizer_sha256
from harness.plans import AdapterConfig, Job, Profile, ReadyModel
from harness.records import Key
from harness.texts import read_chat_template

_T = TypeVar("_T")


class Diverged(HarnessError):
    """The training loss is no longer a number."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One measured process. *progress* tells the session how far it is: done, of, what is known so far."""

    job: Job
    device: str
    progress: Callable[[int, int, str], None]
    stopwatch: Stopwatch = field(default_factory=lambda: Stopwatch(wait=mlxlm.wait_for_device))
    memory: MemoryMeter = field(default_factory=lambda: MemoryMeter(allocator=mlxlm.allocator()))

    @property
    def ready(self) -> ReadyModel:
        """The model whose weights were prepared for this job."""
        return _given(self.job.ready, "a prepared model")

    @property
    def profile(self) -> Profile:
        """The amount of work."""
        return _given(self.job.profile, "a profile")

    @property
    def adapter(self) -> AdapterConfig:
        """The adapter config of a case that has one."""
        return _given(self.job.adapter, "an adapter config")

    def load(self) -> mlxlm.Loaded:
        """Load the model, with the plain chat template where its tokenizer brings none."""
        return mlxlm.load(Path(self.ready.directory), read_chat_template(mlxlm.PLAIN_FAMILY))

    def load_with_adapter(self) -> tuple[mlxlm.Loaded, dict[str, Any] | None]:
        """Load the model and the trained adapter of the case; the adapter's facts are None for a base case."""
        loaded = self.load()
        if self.job.adapter_dir is None:
            return loaded, None
        attached = mlxlm.load_adapter(loaded.model, self.adapter, Path(self.job.adapter_dir))
        return loaded, attached.facts()

    def key(
        self,
        loaded: mlxlm.Loaded,
        *,
        adapter: dict[str, Any] | None,
        dataset: dict[str, Any] | None,
        settings: dict[str, Any],
    ) -> Key:
        """What makes this case comparable with another."""
        return Key(
            model=self.ready.config.name if self.ready.config.directory is None else self.ready.config.slug,
            weights=self.ready.weights,
            tokenizer=tokenizer_sha256(Path(self.ready.directory)),
            dtype=loaded.dtype,
            quantization=None,
            adapter=adapter,
            dataset=dataset,
            device=self.device,
            settings=settings,
        )


def _given(value: _T | None, what: str) -> _T:
    assert value is not None, f"the job lacks {what}"
    return value
