"""Cases of one session and their records: what was measured so far, how a case ended, and what is stored of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.inputs.plans import Case
from harness.inputs.protocol import Failure
from harness.machine.clock import utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.merge import merge_samples
from harness.results.records import Record, Sample, Status
from harness.results.run_files import SCHEMA, ProcessFile
from harness.session.adapter_store import artifact_path
from harness.session.prepared_models import PreparedModels
from harness.session.resume import leftovers, why_again
from harness.session.schedule import Turn

_UNPAIRED = "the comparison ended before both sides had measured it"


@dataclass(slots=True, kw_only=True)
class OpenCase:
    """A case that has no record yet."""

    started_at: str | None = None  # None: nothing was measured yet
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: Failure | None = None  # of the process that ended the case
    returned: int = 0  # how many of the samples were returned to the suite
    spent_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class CaseLedger:
    """Open cases and records of one run; records are on disk when the call that adds them returns."""

    run_directory: Path
    run_id: str
    prepared: PreparedModels
    records: dict[str, Record] = field(default_factory=dict)  # by case
    _open: dict[str, OpenCase] = field(default_factory=dict)  # by case

    def open(self, case: Case) -> OpenCase:
        """Return the entry of *case*, a new one if it has none."""
        if case.id not in self._open:
            warnings = self.prepared.model_of(case).warnings
            self._open[case.id] = OpenCase(notes=list(map(without_home, warnings)))
        return self._open[case.id]

    def has_ended(self, case: Case) -> bool:
        """Return whether *case* takes no more turns: it has a record, or a process of it failed."""
        return case.id in self.records or self.open(case).failure is not None

    def failure_of(self, case: Case) -> Failure | None:
        """Return how *case* failed; None if it did not, or is no case of this session."""
        record = self.records.get(case.id)
        if record is not None and record.status is not Status.OK:
            return Failure(status=record.status, reason=record.reason or "")
        return self._open[case.id].failure if case.id in self._open else None

    def take_over(self, cases: Sequence[Case], stored: Mapping[str, Record], repeats: int) -> None:
        """Keep what a resumed run has measured of *cases* and would measure no differently today."""
        for case in cases:
            identity, record = self.prepared.identity(case), stored.get(case.id)
            if record is not None and (reason := why_again(record, identity, repeats)) is None:
                self.records[case.id] = record
                continue
            entry = self.open(case)
            if record is not None:
                entry.notes.append(f"measured again: {reason}")
            entry.samples += leftovers(self.run_directory, case.id, identity)
            entry.spent_s += sum(sample.wall_s for sample in entry.samples)

    def add(self, turn: Turn, sample: Sample) -> None:
        """Add what the process of *turn* measured and store it; an invalid sample ends its case instead.

        Raises:
            Unwritable: if it cannot be written.
        """
        entry = self.open(turn.case)
        entry.samples.append(sample)
        if sample.invalid:
            entry.failure = Failure(status=Status.INVALID, reason=sample.invalid)
            return
        store.write_process(
            self.run_directory,
            ProcessFile(
                schema=SCHEMA,
                run_id=self.run_id,
                case=turn.case.id,
                number=turn.number,
                identity=self.prepared.identity(turn.case),
                sample=sample,
            ),
        )

    def samples(self, case: Case) -> Sequence[Sample]:
        """Return what the processes of *case* measured, while it is open."""
        return tuple(self._open[case.id].samples)

    def keep_first(self, counts: Mapping[str, int]) -> None:
        """Keep the first samples of each open case, as many as *counts* says by case.

        A case that failed keeps all of its samples and its reason; one that is left without a sample is skipped.
        """
        for case_id, entry in self._open.items():
            if entry.failure is None:
                del entry.samples[counts.get(case_id, 0) :]
                if not entry.samples:
                    entry.failure = Failure(status=Status.SKIPPED, reason=_UNPAIRED)

    def close(self, case: Case, failure: Failure | None) -> Record:
        """Store the record of *case*: what was measured of it, and how it ended.

        Raises:
            Unwritable: if it cannot be written.
        """
        entry = self.open(case)
        merged = merge_samples(case.id, entry.samples, started_at=entry.started_at or utc_now())
        record = replace(
            merged,
            status=failure.status if failure else Status.OK,
            reason=without_home(failure.reason) if failure else None,
            wall_s=round(entry.spent_s, 3),
            artifacts=tuple(
                replace(artifact, path=f"{artifact_path(case)}/{artifact.path}") for artifact in merged.artifacts
            ),
            notes=tuple(dict.fromkeys([*entry.notes, *merged.notes])),
            identity=self.prepared.identity(case),
        )
        store.write_record(self.run_directory, self.run_id, record)
        if entry.failure is None:  # else its good processes are kept, in case the run is resumed
            store.drop_processes(self.run_directory, case.id)
        del self._open[case.id]
        self.records[case.id] = record
        return record
