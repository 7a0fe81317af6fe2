"""One session: runs the turns of its cases in worker processes and hands their samples to the suites.

Knows nothing of pytest. Cases with several processes take turns (`schedule`): asking for the next sample of a case
runs every turn that is scheduled before it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.inputs.datasets import check_plan, on_the_hub
from harness.inputs.plans import Case, ReadyModel, Suite, Work
from harness.inputs.protocol import Failure, Message, Progress
from harness.machine.clock import monotonic_s, pause_s, utc_now
from harness.results import store
from harness.results.records import Bundle, Record, RunInfo, Sample, Status
from harness.session import schedule, worker_process
from harness.session.adapter_store import AdapterStore, training_of
from harness.session.case_ledger import CaseLedger, OpenCase
from harness.session.prepared_models import BaseModelKey, PreparedModels, base_model_key
from harness.session.resume import others_of
from harness.session.run_head import RunHead, open_head
from harness.session.schedule import Turn
from harness.session.settings import Settings
from harness.session.workers import Workers


class CaseFailed(Exception):
    """A case has no result. The message is the reason; *failure* also has the status."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """Everything that a session measures with, once its models are there."""

    workers: Workers
    models: PreparedModels
    ledger: CaseLedger
    adapters: AdapterStore


@dataclass(slots=True, kw_only=True)
class Session:
    """One run: the turns of its cases, measured one after the other."""

    settings: Settings
    command: Sequence[str]
    on_progress: Callable[[Turn, Progress], None]
    on_turn: Callable[[Turn, str], None] = lambda *_: None  # called when a process has ended, with its outcome
    interleaved: bool = True  # whether cases take turns
    run_process: Callable[..., Message] = worker_process.run
    pause: Callable[[float], None] = pause_s
    idle: bool = False  # whether this session resumed a finished run that lacks nothing
    turns: list[Turn] = field(default_factory=list)  # still to be run, in this order
    settled: bool = False  # whether no more turns are run than those whose samples are there
    _returned_s: float = 0.0  # wall time of the processes whose samples were returned by `measure`
    _say: Callable[[str], None] = lambda _: None
    _head: RunHead | None = None
    _prepared: _Prepared | None = None

    @property
    def head(self) -> RunHead:
        """Head of the run on disk, once `start` has been called."""
        assert self._head is not None, "the session has not started"
        return self._head

    @property
    def _ready(self) -> _Prepared:
        """Everything to measure with, once `start` has returned."""
        assert self._prepared is not None, "the session has not started"
        return self._prepared

    @property
    def ledger(self) -> CaseLedger:
        """Cases and their records, once `start` has returned."""
        return self._ready.ledger

    @property
    def started(self) -> bool:
        """True once the run has a directory."""
        return self._head is not None

    @property
    def run(self) -> RunInfo:
        """Facts about the run as a whole."""
        return self.head.run

    @property
    def directory(self) -> Path:
        """Directory with the run's files."""
        return self.head.directory

    @property
    def records(self) -> Mapping[str, Record]:
        """Records by case, those of a resumed run included; none before the session has started."""
        return self._prepared.ledger.records if self._prepared else {}

    def start(self, cases: Sequence[Case], say: Callable[[str], None]) -> list[Case]:
        """Make the run directory, examine the machine and get the weights; measure nothing yet.

        Return the cases that have to be measured: all of them, or those that a resumed run lacks.

        Raises:
            HarnessError: if results cannot be written, a run of that id exists, another session is measuring
                into it, or weights are missing.
        """
        self._say = say
        repeats = self.settings.repeats
        in_rounds = self.interleaved and repeats > 1
        stored = store.salvage(self.settings.resume) if self.settings.resume else store.StoredRuns()
        self._head = open_head(
            self.settings,
            self.command,
            order_seed=schedule.SEED if in_rounds else None,
            stored=stored.runs[0] if stored.runs else None,
        )
        try:
            self._prepared = self._prepare(self._head, cases)
        except HarnessError:
            self.head.withdraw()
            self._head = None
            raise
        self.head.warn(stored.problems)
        for bundle in stored.runs:
            self._take_over(bundle, cases)
        missing = [case for case in cases if case.id not in self.records]
        self.idle = not missing and any(bundle.run.finished_at for bundle in stored.runs)
        turns = schedule.in_rounds(missing, repeats) if in_rounds else schedule.one_by_one(missing, repeats)
        self.turns = [turn for turn in turns if turn.number > len(self.ledger.open(turn.case).samples)]
        return missing

    def _prepare(self, head: RunHead, cases: Sequence[Case]) -> _Prepared:
        """Examine the machine and get each base model; check that every training of it fits.

        Raises:
            HarnessError: if a dataset or a model cannot be had, or does not fit.
        """
        workers = Workers(
            run_process=self.run_process,
            logs=head.directory / "logs",
            timeout_s=self.settings.profile.timeout_s,
            memory_limit_bytes=self.settings.memory_limit_bytes,
        )
        self._say("looking at the machine")
        environment = workers.look()
        head.look(environment, workers.memory_limit_bytes)
        for case in cases:
            if case.adapter is not None and on_the_hub(case.training.dataset):  # `settings` has checked the others
                self._say(f"looking up the dataset {case.training.dataset}")
                check_plan(case.training)
        models: dict[BaseModelKey, ReadyModel] = {}
        for key in dict.fromkeys(map(base_model_key, cases)):
            same_model = [case for case in cases if base_model_key(case) == key]
            model, quantization = same_model[0].model, same_model[0].quantization
            trials = {case.adapter.name: (case.adapter, case.training) for case in same_model if case.adapter}
            self._say(f"preparing {model.name}")
            models[key] = workers.prepare(model, self.settings.source, quantization, list(trials.values()))
            head.warn(models[key].warnings)
        prepared = PreparedModels(profile=self.settings.profile, environment=environment, models=models)
        return _Prepared(
            workers=workers,
            models=prepared,
            ledger=CaseLedger(run_directory=head.directory, run_id=head.run.id, prepared=prepared),
            adapters=AdapterStore(run_directory=head.directory, prepared=prepared),
        )

    def _take_over(self, stored: Bundle, cases: Sequence[Case]) -> None:
        """Keep the records and adapters of a resumed run that still hold; warn of records nobody asked for now."""
        self.ledger.take_over(cases, {record.case: record for record in stored.records}, self.settings.repeats)
        for case in cases:
            if case.adapter is not None and case.id not in self.records:
                self._ready.adapters.discard_outdated(case)
        identity = self._ready.models.identity(cases[0])
        self.head.warn(others_of(stored.records, identity, {case.id for case in cases}))

    def measure(self, case: Case) -> Sample:
        """Return the next sample of *case*, measured in a fresh process; turns scheduled before it are run first.

        Raises:
            CaseFailed: if the case has no further sample.
        """
        entry = self.ledger.open(case)
        while len(entry.samples) <= entry.returned:
            if entry.failure is not None:
                raise CaseFailed(entry.failure)
            self.run_turn(self._next_turn(case))
        sample = entry.samples[entry.returned]
        entry.returned += 1
        self._returned_s += sample.wall_s
        if sample.invalid and entry.returned == len(entry.samples):
            assert entry.failure is not None, "an invalid sample ends its case"
            raise CaseFailed(entry.failure)
        return sample

    def clock_s(self) -> float:
        """Return the wall time of all processes whose samples were returned so far.

        For pytest-benchmark: a process may have run while the test of another case was waiting.
        """
        return self._returned_s

    def repeats(self, case: Case) -> int:
        """Return how many times `measure(case)` is called.

        These are the planned repeats or, in a comparison that has settled, the samples kept plus the failure.
        """
        if not self.settled:
            return self.settings.repeats
        entry = self.ledger.open(case)
        return len(entry.samples) + (entry.failure is not None)

    def _next_turn(self, case: Case) -> Turn:
        """Take the next turn off the schedule, or an additional turn of *case* if it has none left there."""
        if any(turn.case.id == case.id for turn in self.turns):
            return self.turns.pop(0)
        return Turn(case=case, number=len(self.ledger.open(case).samples) + 1)

    def run_turn(self, turn: Turn) -> None:
        """Run one process and keep its sample, or its failure; do nothing if the case has ended."""
        if self.ledger.has_ended(turn.case):
            return
        ready, entry, sample = self._ready, self.ledger.open(turn.case), None
        self.pause(self.settings.cooldown_s)
        with self._failure_noted(turn, entry):
            adapter_dir = self._adapter_dir(turn, entry)
            job = ready.models.job(turn.case, Work(turn.case.suite), adapter_dir)
            self.head.take_turn(turn.id)
            started_at, start_s = utc_now(), monotonic_s()
            log_name = f"{turn.case.id}-{turn.number}"
            message = ready.workers.measure(job, log_name, lambda progress: self.on_progress(turn, progress))
            if message.sample is None:
                failure = Failure(status=Status.CRASHED, reason="the worker gave no result")
                raise CaseFailed(message.failure or failure)
            if turn.case.suite is Suite.TRAINING and adapter_dir is not None:
                ready.adapters.mark_trained(turn.case)
            sample = replace(message.sample, started_at=started_at, wall_s=round(monotonic_s() - start_s, 3))
        if sample is not None:
            self.on_turn(turn, f"{sample.wall_s:.1f} s")
            ready.ledger.add(turn, sample)

    @contextmanager
    def _failure_noted(self, turn: Turn, entry: OpenCase) -> Iterator[None]:
        """Add the time spent inside to *entry*; a `CaseFailed` raised inside ends the case."""
        entry.started_at = entry.started_at or utc_now()
        start_s, failure = monotonic_s(), None
        try:
            yield
        except CaseFailed as error:
            failure = error.failure
        finally:
            entry.spent_s += monotonic_s() - start_s
        if failure is not None:
            entry.failure = failure
            self.on_turn(turn, f"{failure.status.value}: {failure.reason}")

    def _adapter_dir(self, turn: Turn, entry: OpenCase) -> Path | None:
        """Return the directory of the case's adapter; None if it has none, or leaves none.

        An evaluation or inference case whose adapter is missing has it trained first, unmeasured.

        Raises:
            CaseFailed: if the adapter could not be trained.
        """
        case, adapters = turn.case, self._ready.adapters
        if case.adapter is None:
            return None
        if case.suite is Suite.TRAINING:
            return None if entry.samples else adapters.directory_of(case)  # the first process leaves its adapter
        training = training_of(case)
        if failure := self.ledger.failure_of(training):
            raise _untrained(f"{training.id} {failure.status.value}: {failure.reason}")
        if not adapters.is_trained(case):
            self._train_ahead(turn)
            entry.notes.append("the adapter was trained ahead of this case, unmeasured")
        return adapters.weights_of(case)

    def _train_ahead(self, turn: Turn) -> None:
        """Train the adapter of the turn's case without measuring it.

        Raises:
            CaseFailed: if it cannot be trained.
        """
        ready, case = self._ready, turn.case
        self._say(f"training the adapter of {case.id} first, unmeasured")
        job = ready.models.job(case, Work.TRAINING, ready.adapters.directory_of(case))
        log_name = f"{case.id}-adapter"
        message = ready.workers.measure(job, log_name, lambda progress: self.on_progress(turn, progress))
        if message.failure is not None:
            raise _untrained(message.failure.reason)
        ready.adapters.mark_trained(case)

    def samples(self, case: Case) -> Sequence[Sample]:
        """Return what the processes of *case* measured, while it is open."""
        return self.ledger.samples(case)

    def close(self, case: Case, failure: Failure | None) -> Record:
        """Store the record of *case*: what was measured of it, and how it ended.

        Raises:
            Unwritable: if it cannot be written.
        """
        return self.ledger.close(case, failure)

    def finish(self) -> None:
        """Store the end of the session; a session that had nothing to measure leaves the run as it was."""
        if self.idle:
            self.head.leave()
        else:
            self.head.finish(tuple(self.records.values()))

    def abandon(self) -> None:
        """Release the run as it is, so that another session can resume it."""
        self.head.lock.release()


def _untrained(reason: str) -> CaseFailed:
    text = f"its adapter could not be trained: {reason}"
    return CaseFailed(Failure(status=Status.SKIPPED, reason=text))
