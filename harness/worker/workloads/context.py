"""Context of a workload: its job, the model, the clock, the memory and energy meters, and progress reports."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.inputs.config_files import ADAPTER_WEIGHTS
from harness.inputs.plans import AdapterConfig, Job, Profile, ReadyModel
from harness.inputs.prompts import PLAIN_FAMILY, read_chat_template
from harness.machine.clock import Stopwatch
from harness.machine.energy import Meter, open_meter
from harness.machine.memory import MemoryMeter
from harness.results.records import Key, Readings
from harness.worker import mlxlm, probe
from harness.worker.workloads.adapter_check import check_effect, refuse_other_tensors

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class Context:
    """State of one measuring process. *progress* reports to the session: done, total, and a text.

    *doubts* are reasons why the measurements cannot be true: a single one makes the sample invalid.
    """

    job: Job
    device: str
    progress: Callable[[int, int, str], None]
    stopwatch: Stopwatch = field(default_factory=lambda: Stopwatch(wait=mlxlm.wait_for_device))
    memory: MemoryMeter = field(default_factory=lambda: MemoryMeter(allocator=mlxlm.allocator()))
    energy: Meter = field(default_factory=open_meter)
    doubts: list[str] = field(default_factory=list)
    _roof: probe.Roof | None = None

    @property
    def ready(self) -> ReadyModel:
        """Model whose weights were prepared for this job."""
        return _required(self.job.ready, "a prepared model")

    @property
    def profile(self) -> Profile:
        """Profile that sets the amount of work."""
        return _required(self.job.profile, "a profile")

    @property
    def adapter(self) -> AdapterConfig:
        """Adapter config of a case that has one."""
        return _required(self.job.adapter, "an adapter config")

    def load(self) -> mlxlm.Loaded:
        """Load the model; a tokenizer without a chat template gets the plain one."""
        return mlxlm.load(Path(self.ready.directory), read_chat_template(PLAIN_FAMILY))

    def load_with_adapter(self, *, check: bool = False) -> tuple[mlxlm.Loaded, dict[str, Any] | None]:
        """Load the model and the case's trained adapter; the adapter's facts are None for a base case.

        *check* takes time; it adds a doubt if the adapter changes nothing.

        Raises:
            BadConfig: with *check*, if the tensors of the adapter's file are not those of its config.
        """
        loaded = self.load()
        if self.job.adapter_dir is None:
            return loaded, None
        directory = Path(self.job.adapter_dir)
        if check:
            refuse_other_tensors(Path(self.ready.directory), self.adapter, directory / ADAPTER_WEIGHTS)
        with check_effect(loaded, self.doubts, mlxlm.doubt_about_trained) if check else nullcontext():
            attached = mlxlm.load_adapter(loaded.model, self.adapter, directory)
        return loaded, attached.facts()

    def roof(self, loaded: mlxlm.Loaded) -> probe.Roof:
        """Return the machine's roof in the model's compute type, measured once per process on first use."""
        if self._roof is None:
            with self.memory.phase("probe"):
                self._roof = probe.roof(self.stopwatch, loaded.dtype)
        return self._roof

    def readings(self) -> dict[str, Readings]:
        """Return the readings that every suite has: memory, and the machine's own rates."""
        readings = self.memory.readings()
        if mlxlm.has_memory_of_its_own():
            readings["peak_footprint_bytes"] = Readings(
                values=(), reason="the memory of the device is not read; peak_active_bytes has what arrays take of it"
            )
        if self._roof is not None:
            readings |= {
                "probe_gemm_flops_per_s": Readings(values=(self._roof.gemm_flops_per_s,)),
                "probe_copy_bytes_per_s": Readings(values=(self._roof.copy_bytes_per_s,)),
            }
        return readings

    def key(
        self,
        loaded: mlxlm.Loaded,
        *,
        adapter: dict[str, Any] | None,
        dataset: dict[str, Any] | None,
        settings: dict[str, Any],
    ) -> Key:
        """Return the key that decides which cases this one compares with."""
        return Key(
            model=self.ready.config.name if self.ready.config.directory is None else self.ready.config.slug,
            weights=self.ready.weights,
            tokenizer=self.ready.tokenizer,
            dtype=loaded.dtype,
            quantization=self.ready.quantization,
            adapter=adapter,
            dataset=dataset,
            device=self.device,
            settings=settings,
        )


def _required(value: _T | None, description: str) -> _T:
    assert value is not None, f"the job lacks {description}"
    return value
