"""What every workload has at hand: its job, the model, the clock, the memory meter and a line to the session."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import HarnessError
from harness.inputs.config_files import ADAPTER_WEIGHTS
from harness.inputs.plans import AdapterConfig, Job, Profile, ReadyModel
from harness.inputs.prompts import PLAIN_FAMILY, read_chat_template
from harness.machine.clock import Stopwatch
from harness.machine.energy import Meter, open_meter
from harness.machine.memory import MemoryMeter
from harness.results.records import Key, Readings
from harness.worker import mlxlm, probe
from harness.worker.workloads.adapter_check import refuse_other_tensors, watched

_T = TypeVar("_T")


class Diverged(HarnessError):
    """The training loss is no longer a number."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One measured process. *progress* tells the session how far it is: done, of, what is known so far.

    *doubts* are reasons why what was measured cannot be true: one is enough to make the sample invalid.
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
        return mlxlm.load(Path(self.ready.directory), read_chat_template(PLAIN_FAMILY))

    def load_with_adapter(self, *, check: bool = False) -> tuple[mlxlm.Loaded, dict[str, Any] | None]:
        """Load the model and the trained adapter of the case; the adapter's facts are None for a base case.

        With *check*, which takes time, an adapter that changes nothing is a doubt.

        Raises:
            BadConfig: with *check*, if the adapter's file does not hold what its config makes of the model.
        """
        loaded = self.load()
        if self.job.adapter_dir is None:
            return loaded, None
        directory = Path(self.job.adapter_dir)
        if check:
            refuse_other_tensors(Path(self.ready.directory), self.adapter, directory / ADAPTER_WEIGHTS)
        with watched(loaded, self.doubts, mlxlm.doubt_about_trained) if check else nullcontext():
            attached = mlxlm.load_adapter(loaded.model, self.adapter, directory)
        return loaded, attached.facts()

    def roof(self, loaded: mlxlm.Loaded) -> probe.Roof:
        """What this machine can do, in this process and the model's compute type: measured once, on first use."""
        if self._roof is None:
            with self.memory.phase("probe"):
                self._roof = probe.roof(self.stopwatch, loaded.dtype)
        return self._roof

    def readings(self) -> dict[str, Readings]:
        """What is read in every suite: memory, and the machine's own rates."""
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
        """What makes this case comparable with another."""
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


def _given(value: _T | None, what: str) -> _T:
    assert value is not None, f"the job lacks {what}"
    return value
