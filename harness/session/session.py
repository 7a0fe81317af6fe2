"""Runs the cases of one session, process by process, and stores what they measured. Knows nothing of pytest.

The only mutable object between the first case and the last result file. Cases with several processes
take turns (`schedule`): asking for a case's next sample runs every turn that comes before it.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.inputs.datasets import check_plan, on_the_hub, pinned
from harness.inputs.plans import Case, Job, Profile, Quantization, ReadyModel
from harness.inputs.protocol import Failure, Message, Progress
from harness.machine.clock import monotonic_s, pause_s, utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.merge import merge_samples
from harness.results.records import Bundle, Record, RunInfo, Sample, Status
from harness.results.run_files import SCHEMA, ProcessFile
from harness.session import schedule, worker_process
from harness.session.identity import Identity, identify
from harness.session.resume import leftovers, others_of, read_identity, why_again, write_identity
from harness.session.run_head import Head, open_head
from harness.session.schedule import Turn
from harness.session.settings import Settings
from harness.session.workers import Workers

_UNPAIRED = "the comparison ended before both sides had measured it"


class CaseFailed(Exception):
    """A case has no result. The message is the reason, the status says of which kind."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@dataclass(slots=True, kw_only=True)
class _Open:
    """A case without a record so far."""

    started_at: str | None = None  # None: nothing was measured yet
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: Failure | None = None  # of the process that ended the case
    taken: int = 0  # how many of the samples were asked for
    spent_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One run: a directory, its head and its records."""

    settings: Settings
    command: Sequence[str]
    on_progress: Callable[[Turn, Progress], None]
    on_turn: Callable[[Turn, str], None] = lambda *_: None  # a process has ended, and how
    interleaved: bool = True  # whether cases take turns
    run_process: Callable[..., Message] = worker_process.run
    pause: Callable[[float], None] = pause_s
    records: dict[str, Record] = field(default_factory=dict)
    idle: bool = False  # whether a finished run is gone on with, and nothing of it has to be measured
    replayed_s: float = 0.0  # the processes' time, as their samples are asked for: a clock of measured work
    _head: Head | None = None
    _workers: Workers | None = None
    _ready: dict[tuple[str, Quantization | None], ReadyModel] = field(default_factory=dict)
    _turns: list[Turn] = field(default_factory=list)
    _open: dict[str, _Open] = field(default_factory=dict)
    _say: Callable[[str], None] = lambda _: None
    _settled: bool = False  # whether somebody else has said how much of each case there is going to be

    @property
    def head(self) -> Head:
        """The run on disk; it exists once `start` has been called."""
        assert self._head is not None, "the session has not started"
        return self._head

    @property
    def started(self) -> bool:
        """Whether there is a run directory."""
        return self._head is not None

    @property
    def run(self) -> RunInfo:
        """What the run says of itself."""
        return self.head.run

    @property
    def directory(self) -> Path:
        """Where the run's files are."""
        return self.head.directory

    def start(self, cases: Sequence[Case], say: Callable[[str], None]) -> list[Case]:
        """Make the run directory, look at the machine and get the weights, before anything is measured.

        Gives the cases that are to be measured: all of them, or, where a run is gone on with, those it lacks.

        Raises:
            HarnessError: if results cannot be written, a run of that id exists, another session is measuring
                into it, or weights are missing.
        """
        self._say = say
        repeats = self.settings.repeats
        turning = self.interleaved and repeats > 1
        stored = store.salvage(self.settings.resume) if self.settings.resume else store.StoredRuns()
        self._head = open_head(
            self.settings,
            self.command,
            order_seed=schedule.SEED if turning else None,
            stored=stored.runs[0] if stored.runs else None,
        )
        self._workers = Workers(
            run_process=self.run_process,
            logs=self.directory / "logs",
            timeout_s=self.settings.profile.timeout_s,
            memory_limit_bytes=self.settings.memory_limit_bytes,
        )
        try:
            self._prepare(self._workers, cases)
        except HarnessError:
            self.head.withdraw()
            self._head = None
            raise
        self.head.warn(stored.problems)
        for bundle in stored.runs:
            self._take_over(bundle, cases)
        missing = [case for case in cases if case.id not in self.records]
        self.idle = not missing and any(bundle.run.finished_at for bundle in stored.runs)
        turns = schedule.in_rounds(missing, repeats) if turning else schedule.one_by_one(missing, repeats)
        self._turns = [turn for turn in turns if turn.number > len(self._opened(turn.case).samples)]
        return missing

    def _prepare(self, workers: Workers, cases: Sequence[Case]) -> None:
        """Look at the machine, get the weights, and see whether what is to be trained fits them."""
        self._say("looking at the machine")
        self.head.look(workers.look(), workers.memory_limit_bytes)
        for case in cases:
            if case.adapter is not None and on_the_hub(case.training.dataset):  # the others were with the options
                self._say(f"looking up the dataset {case.training.dataset}")
                check_plan(case.training)
        for base in dict.fromkeys(map(_base_of, cases)):
            alike = [case for case in cases if _base_of(case) == base]
            model, quantization = alike[0].model, alike[0].quantization
            trials = {case.adapter.name: (case.adapter, case.training) for case in alike if case.adapter}
            self._say(f"preparing {model.name}")
            self._ready[base] = workers.prepare(model, self.settings.source, quantization, list(trials.values()))
            self.head.warn(self._ready[base].warnings)

    def _take_over(self, stored: Bundle, cases: Sequence[Case]) -> None:
        """Keep what the run holds and still holds true; drop adapters that would be trained otherwise today."""
        records = {record.case: record for record in stored.records}
        for case in cases:
            identity, record = self._identity(case), records.get(case.id)
            if record is not None and (reason := why_again(record, identity, self.settings.repeats)) is None:
                self.records[case.id] = record
                continue
            opened = self._opened(case)
            if record is not None:
                opened.notes.append(f"measured again: {reason}")
            opened.samples += leftovers(self.directory, case.id, identity)
            opened.spent_s += sum(sample.wall_s for sample in opened.samples)
        for case in cases:
            training = replace(case, suite="training")
            if case.adapter is None or case.id in self.records:
                continue
            adapter = self.directory / _artifact_path(training)
            if read_identity(adapter) != self._identity(training):
                shutil.rmtree(adapter, ignore_errors=True)
        self.head.warn(others_of(stored.records, self._identity(cases[0]), {case.id for case in cases}))

    def measure(self, case: Case) -> Sample:
        """Give the next sample of *case*, each from a fresh process; whatever's turn comes first is measured first.

        Raises:
            CaseFailed: if it has none.
        """
        opened = self._opened(case)
        while len(opened.samples) <= opened.taken:
            if opened.failure is not None:
                raise CaseFailed(opened.failure)
            self._take(self._next_turn(case))
        sample = opened.samples[opened.taken]
        opened.taken += 1
        self.replayed_s += sample.wall_s
        if sample.invalid and opened.taken == len(opened.samples):
            assert opened.failure is not None, "an invalid sample ends its case"
            raise CaseFailed(opened.failure)
        return sample

    def clock_s(self) -> float:
        """A clock that only runs while a sample is asked for, by the time its process took."""
        return self.replayed_s

    def repeats(self, case: Case) -> int:
        """How often a sample of *case* is to be asked for: until it has none, where that is known to come."""
        if not self._settled:
            return self.settings.repeats
        opened = self._opened(case)
        return len(opened.samples) + (opened.failure is not None)

    @property
    def order(self) -> list[str]:
        """The turns still to be taken."""
        return [turn.id for turn in self._turns]

    @property
    def longest_s(self) -> float:
        """Seconds after which a turn has ended: it may train an adapter before it measures."""
        return self.settings.cooldown_s + 2 * self.settings.profile.timeout_s

    def take(self, turn: str) -> str | None:
        """Take one of them, before anybody asks for it; give why its case takes no more, None if it does."""
        (its,) = [one for one in self._turns if one.id == turn]
        self._turns.remove(its)
        self._take(its)
        failure = self._opened(its.case).failure
        return f"{failure.status.value}: {failure.reason}" if failure else None

    def settle(self, keep: Mapping[str, int]) -> None:
        """Take no more turns. Each case has what its first *keep* processes measured, or the reason why it failed."""
        self._settled = True
        self._turns.clear()
        for case_id, opened in self._open.items():
            if opened.failure is None:
                del opened.samples[keep.get(case_id, 0) :]
                if not opened.samples:
                    opened.failure = Failure(status=Status.SKIPPED, reason=_UNPAIRED)

    def _next_turn(self, case: Case) -> Turn:
        """The next turn of the schedule; outside it where the schedule has none of this case left."""
        if any(turn.case.id == case.id for turn in self._turns):
            return self._turns.pop(0)
        return Turn(case=case, number=len(self._opened(case).samples) + 1)

    def _take(self, turn: Turn) -> None:
        """Run one process and keep what it measured, or why it did not. A case that has ended takes no more turns."""
        if turn.case.id in self.records:
            return
        opened = self._opened(turn.case)
        if opened.failure is not None:
            return
        self.pause(self.settings.cooldown_s)
        opened.started_at = opened.started_at or utc_now()
        start_s = monotonic_s()
        try:
            sample = self._sample(turn, opened)
        except CaseFailed as error:
            opened.failure = error.failure
            self.on_turn(turn, f"{error.failure.status.value}: {error.failure.reason}")
            return
        finally:
            opened.spent_s += monotonic_s() - start_s
        self.on_turn(turn, f"{sample.wall_s:.1f} s")
        opened.samples.append(sample)
        if sample.invalid:
            opened.failure = Failure(status=Status.INVALID, reason=sample.invalid)
            return
        store.write_process(
            self.directory,
            ProcessFile(
                schema=SCHEMA,
                run_id=self.run.id,
                case=turn.case.id,
                number=turn.number,
                identity=self._identity(turn.case),
                sample=sample,
            ),
        )

    def _sample(self, turn: Turn, opened: _Open) -> Sample:
        """Measure in one fresh process.

        Raises:
            CaseFailed: if it has no result.
        """
        case = turn.case
        job = Job(
            work=case.suite,
            ready=self._ready[_base_of(case)],
            adapter=case.adapter,
            adapter_dir=self._adapter_dir_for(turn, opened),
            profile=self._profile_of(case),
        )
        self.head.take_turn(turn.id)
        started_at, start_s = utc_now(), monotonic_s()
        message = self._worker(job, turn, f"{case.id}-{turn.number}")
        if message.sample is None:
            raise CaseFailed(message.failure or Failure(status=Status.CRASHED, reason="the worker gave no result"))
        if case.suite == "training" and job.adapter_dir is not None:
            write_identity(Path(job.adapter_dir), self._identity(case))
        return replace(message.sample, started_at=started_at, wall_s=round(monotonic_s() - start_s, 3))

    def samples(self, case: Case) -> Sequence[Sample]:
        """What the processes of *case* measured, while it is open."""
        return tuple(self._open[case.id].samples)

    def close(self, case: Case, failure: Failure | None) -> Record:
        """Store what was measured of *case*, and how it ended."""
        opened = self._opened(case)
        merged = merge_samples(case.id, opened.samples, started_at=opened.started_at or utc_now())
        record = replace(
            merged,
            status=failure.status if failure else Status.OK,
            reason=without_home(failure.reason) if failure else None,
            wall_s=round(opened.spent_s, 3),
            artifacts=tuple(replace(its, path=f"{_artifact_path(case)}/{its.path}") for its in merged.artifacts),
            notes=tuple(dict.fromkeys([*opened.notes, *merged.notes])),
            identity=self._identity(case),
        )
        store.write_record(self.directory, self.run.id, record)
        if opened.failure is None:  # else its good processes are kept, should the run be gone on with
            store.drop_processes(self.directory, case.id)
        del self._open[case.id]
        self.records[case.id] = record
        return record

    def finish(self) -> None:
        """Note the end of the session; one that had nothing to measure leaves no trace."""
        if self.idle:
            self.head.leave()
        else:
            self.head.finish(tuple(self.records.values()))

    def abandon(self) -> None:
        """Give up the run as it is, for another session to go on with."""
        self.head.lock.release()

    def _opened(self, case: Case) -> _Open:
        if case.id not in self._open:
            ready = self._ready.get(_base_of(case))
            notes = list(map(without_home, ready.warnings)) if ready else []
            self._open[case.id] = _Open(notes=notes)
        return self._open[case.id]

    def _identity(self, case: Case) -> Identity:
        machine, ready = self.head.environment, self._ready.get(_base_of(case))
        return identify(case, ready, self.settings.profile, machine) if machine and ready else {}

    def _adapter_dir_for(self, turn: Turn, opened: _Open) -> str | None:
        """Where the case's adapter is, or goes. One that should be there and is not is trained first, unmeasured."""
        case = turn.case
        if case.adapter is None:
            return None
        training = replace(case, suite="training")
        directory = self.directory / _artifact_path(training)
        if case.suite == "training":
            return None if opened.samples else str(directory)  # the first process leaves its adapter
        if lost := self._failure_of(training):
            reason = f"its adapter could not be trained: {training.id} {lost.status.value}: {lost.reason}"
            raise CaseFailed(Failure(status=Status.SKIPPED, reason=reason))
        if not (directory / "final").is_dir():
            self._say(f"training the adapter of {case.id} first, unmeasured")
            job = Job(
                work="training",
                ready=self._ready[_base_of(case)],
                adapter=case.adapter,
                adapter_dir=str(directory),
                profile=self._profile_of(case),
            )
            message = self._worker(job, turn, f"{case.id}-adapter")
            if message.failure is not None:
                reason = f"its adapter could not be trained: {message.failure.reason}"
                raise CaseFailed(Failure(status=Status.SKIPPED, reason=reason))
            write_identity(directory, self._identity(training))
            opened.notes.append("the adapter was trained ahead of this case, unmeasured")
        return str(directory / "final")

    def _worker(self, job: Job, turn: Turn, name: str) -> Message:
        assert self._workers is not None, "the session has not started"
        return self._workers.measure(job, name, lambda progress: self.on_progress(turn, progress))

    def _profile_of(self, case: Case) -> Profile:
        """What the worker gets: the plan of the case, its rows of the commit that all processes of the session read."""
        plan = case.training
        return replace(self.settings.profile, training=replace(plan, dataset=pinned(plan.dataset)))

    def _failure_of(self, case: Case) -> Failure | None:
        """How a case of this session failed; None if it did not, or is not part of it."""
        record = self.records.get(case.id)
        if record is not None and record.status is not Status.OK:
            return Failure(status=record.status, reason=record.reason or "")
        return self._open[case.id].failure if case.id in self._open else None


def _base_of(case: Case) -> tuple[str, Quantization | None]:
    """What the base model of *case* is called here."""
    return case.model.name, case.quantization


def _artifact_path(case: Case) -> str:
    return f"artifacts/{case.id}"
