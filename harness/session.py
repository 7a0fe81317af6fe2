"""Runs the cases of one session, process by process, and stores what they measured. Knows nothing of pytest.

The only mutable object between the first case and the last result file.
"""

import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import environment, metrics, process, store
from harness.errors import BadWeights, HarnessError
from harness.messages import Failure, Message, Progress
from harness.meters import monotonic_s, utc_now
from harness.paths import without_home
from harness.plans import AdapterConfig, Case, Job, ModelConfig, ReadyModel
from harness.records import Environment, Metric, Readings, Record, RunInfo, Sample, Series, Status
from harness.settings import Settings

_PREPARE_TIMEOUT_S = 3600.0  # a download may take that long
_FACTS_TIMEOUT_S = 300.0


class CaseFailed(Exception):
    """A case has no result. The message is the reason, the status says of which kind."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.status = failure.status


@dataclass(slots=True, kw_only=True)
class _Open:
    """A case that is being measured."""

    started_at: str
    start_s: float
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Session:
    """One run: a directory, its head and its records."""

    settings: Settings
    command: Sequence[str]
    on_progress: Callable[[Case, Progress], None]
    run_process: Callable[..., Message] = process.run
    records: dict[str, Record] = field(default_factory=dict)
    _run: RunInfo | None = None
    _environment: Environment | None = None
    _ready: dict[str, ReadyModel] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)
    _models: Sequence[ModelConfig] = ()

    @property
    def run(self) -> RunInfo:
        """The head of the run; it exists once `start` has been called."""
        assert self._run is not None, "the session has not started"
        return self._run

    @property
    def started(self) -> bool:
        """Whether there is a run directory."""
        return self._run is not None

    @property
    def directory(self) -> Path:
        """Where the run's files are."""
        return self.settings.results_dir / self.run.id

    def start(self, models: Sequence[ModelConfig], say: Callable[[str], None]) -> None:
        """Make the run directory, look at the machine and get the weights, before anything is measured.

        Raises:
            HarnessError: if results cannot be written, a run of that id exists, or weights are missing.
        """
        started_at = utc_now()
        stamp = started_at.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
        run_id = self.settings.run_id or f"{stamp}-{secrets.token_hex(2)}"
        if (self.settings.results_dir / run_id / store.RUN_FILE).exists():
            raise HarnessError(f"--run-id: there is a run {run_id!r} in {self.settings.results_dir}; give another id")
        self._run = RunInfo(
            id=run_id,
            started_at=started_at,
            finished_at=None,
            command=tuple(without_home(word) for word in self.command),
            profile=self.settings.profile.name,
            git=environment.git_state(Path.cwd()),
            options=self._options(),
        )
        self._save()
        self._environment = self._ask(Job(work="environment"), _FACTS_TIMEOUT_S).environment
        problem = (self._environment.blas if self._environment else {}).get("problem")
        warnings = [problem] if problem else []
        for model in models:
            say(f"preparing {model.name}")
            ready = self._ask(Job(work="prepare", model=model, source=self.settings.source), _PREPARE_TIMEOUT_S).ready
            assert ready is not None, "the worker answers a prepare job with a model"
            self._ready[model.name] = ready
            warnings += ready.warnings
        self._run = replace(self._run, warnings=tuple(map(without_home, warnings)))
        self._save()

    def measure(self, case: Case) -> Sample:
        """Measure *case* once, in one fresh process.

        Raises:
            CaseFailed: if it has no result.
        """
        ready = self._ready[case.model.name]
        opened = self._open.setdefault(
            case.id, _Open(started_at=utc_now(), start_s=monotonic_s(), notes=list(map(without_home, ready.warnings)))
        )
        job = Job(
            work=case.suite,
            ready=ready,
            adapter=case.adapter,
            adapter_dir=self._adapter_dir_for(case, opened),
            profile=self.settings.profile,
        )
        message = self._process(job, case, f"{case.id}-{len(opened.samples) + 1}")
        if message.sample is None:
            raise CaseFailed(message.failure or Failure(status=Status.CRASHED, reason="the worker gave no result"))
        opened.samples.append(message.sample)
        return message.sample

    def samples(self, case: Case) -> Sequence[Sample]:
        """What the processes of *case* measured, while it is open."""
        return tuple(self._open[case.id].samples)

    def close(self, case: Case, failure: Failure | None) -> Record:
        """Store what was measured of *case*, and how it ended."""
        opened = self._open.pop(case.id, None) or _Open(started_at=utc_now(), start_s=monotonic_s())
        samples = opened.samples
        record = Record(
            case=case.id,
            suite=case.suite,
            status=failure.status if failure else Status.OK,
            reason=without_home(failure.reason) if failure else None,
            started_at=opened.started_at,
            wall_s=round(monotonic_s() - opened.start_s, 3),
            key=samples[0].key if samples else None,
            metrics=merge_readings([sample.readings for sample in samples]),
            series=_merge_series([sample.series for sample in samples]),
            outputs=samples[0].outputs if samples else (),
            artifacts=tuple(
                replace(its, path=f"{self._artifact_path(case)}/{its.path}") for s in samples for its in s.artifacts
            ),
            notes=tuple(dict.fromkeys([*opened.notes, *(note for sample in samples for note in sample.notes)])),
        )
        store.write_record(self.directory, self.run.id, record)
        self.records[case.id] = record
        return record

    def finish(self) -> None:
        """Note the end of the session."""
        self._run = replace(self.run, finished_at=utc_now())
        self._save()

    def _adapter_dir_for(self, case: Case, opened: _Open) -> str | None:
        """Where the case's adapter is, or goes. One that should be there and is not is trained first, unmeasured."""
        if case.adapter is None:
            return None
        training = replace(case, suite="training")
        directory = self.directory / self._artifact_path(training)
        if case.suite == "training":
            return None if opened.samples else str(directory)  # the first process leaves its adapter
        trained = self.records.get(training.id)
        if trained is not None and trained.status is not Status.OK:
            reason = f"its adapter could not be trained: {training.id} {trained.status.value}: {trained.reason}"
            raise CaseFailed(Failure(status=Status.SKIPPED, reason=reason))
        if not (directory / "final").is_dir():
            job = Job(
                work="training",
                ready=self._ready[case.model.name],
                adapter=case.adapter,
                adapter_dir=str(directory),
                profile=self.settings.profile,
            )
            message = self._process(job, case, f"{case.id}-adapter")
            if message.failure is not None:
                reason = f"its adapter could not be trained: {message.failure.reason}"
                raise CaseFailed(Failure(status=Status.SKIPPED, reason=reason))
            opened.notes.append("the adapter was trained ahead of this case, unmeasured")
        return str(directory / "final")

    @staticmethod
    def _artifact_path(case: Case) -> str:
        return f"artifacts/{case.id}"

    def _process(self, job: Job, case: Case, name: str) -> Message:
        log = self.directory / "logs" / f"{name.replace('/', '.')}.log"
        timeout_s = self.settings.profile.timeout_s
        return self.run_process(job, log=log, timeout_s=timeout_s, on_progress=lambda its: self.on_progress(case, its))

    def _ask(self, job: Job, timeout_s: float) -> Message:
        """Have a worker find something out; its failure is the session's."""
        log = self.directory / "logs" / f"{job.work}.log"
        message = self.run_process(job, log=log, timeout_s=timeout_s, on_progress=lambda _: None)
        if message.failure is not None:
            raise BadWeights(message.failure.reason)
        return message

    def _options(self) -> dict[str, Any]:
        return {
            "models": [without_home(model.name) for model in self.settings.models],
            "lora": [adapter.name for adapter in self.settings.adapters],
            "weights": self.settings.source,
            "repeats": self.settings.repeats,
        }

    def _save(self) -> None:
        store.write_run(self.directory, self.run, self._environment)


def fetch(model: ModelConfig, source: str) -> ReadyModel:
    """Get a model's weights into the cache.

    Raises:
        HarnessError: if they cannot be had.
    """
    ready = _ask_alone(Job(work="prepare", model=model, source=source), _PREPARE_TIMEOUT_S).ready
    assert ready is not None, "the worker answers a prepare job with a model"
    return ready


def count(model: ModelConfig, adapter: AdapterConfig | None) -> dict[str, Any]:
    """Count the parameters of a model of the registry, and of an adapter on it.

    Raises:
        HarnessError: if the adapter does not fit the model.
    """
    return _ask_alone(Job(work="count", model=model, adapter=adapter), _FACTS_TIMEOUT_S).facts or {}


def _ask_alone(job: Job, timeout_s: float) -> Message:
    """Have a worker find something out, outside any session."""
    with tempfile.TemporaryDirectory() as scratch:
        message = process.run(job, log=Path(scratch) / "log", timeout_s=timeout_s, on_progress=lambda _: None)
    if message.failure is not None:
        raise HarnessError(message.failure.reason)
    return message


def merge_readings(processes: Sequence[dict[str, Readings]]) -> dict[str, Metric]:
    """Turn the readings of several processes into metrics, in the order of the processes.

    A metric one of the processes could not read is not measured, for its reason.
    """
    merged = {}
    for name in dict.fromkeys(name for readings in processes for name in readings):
        its = [readings[name] for readings in processes if name in readings]
        reason = next((one.reason for one in its if one.reason), None)
        alike = len({one.labels for one in its}) == 1
        if alike and all(one.values for one in its):
            samples = tuple(one.values for one in its)
            merged[name] = metrics.metric(name, samples, labels=its[0].labels, reason=reason)
        else:
            merged[name] = metrics.metric(name, None, reason=reason or "the processes read different things")
    return merged


def _merge_series(processes: Sequence[dict[str, Series]]) -> dict[str, Series]:
    """Keep the first process's series under their names, and those of process n as name.n."""
    merged = dict(processes[0]) if processes else {}
    for number, series in enumerate(processes[1:], start=2):
        merged |= {f"{name}.{number}": replace(its, process=number) for name, its in series.items()}
    return merged
