"""Head of a run while its session lives: keeps run.json up to date and holds the lock on the run's directory."""

import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from harness.analysis.drift import PROBES, drifts_in_session, in_session_text
from harness.errors import HarnessError
from harness.machine import environment
from harness.machine.clock import utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.comparison_entry import without_comparison
from harness.results.records import Bundle, Environment, Record, RunInfo
from harness.session.settings import Settings


@dataclass(slots=True, kw_only=True)
class RunHead:
    """Facts about a run as a whole. Every change is on disk when the call returns."""

    directory: Path
    run: RunInfo
    lock: FileLock
    environment: Environment | None = None
    stored: Bundle | None = None  # a resumed run as it was found

    @property
    def _earlier(self) -> tuple[Environment, ...]:
        """Machines of the sessions that measured into this run before."""
        if self.stored is None:
            return ()
        last = (self.stored.environment,) if self.stored.environment else ()
        return (*self.stored.earlier_environments, *last)

    def leave(self) -> None:
        """Release the directory and restore the resumed run as it was found: nothing had to be measured."""
        if self.stored is not None:
            store.write_run(self.directory, self.stored.run, self.stored.environment, self.stored.earlier_environments)
        self.lock.release()

    def withdraw(self) -> None:
        """Delete a run that cannot begin; restore a resumed run as it was found."""
        if self.stored is not None:
            self.leave()
            return
        self.lock.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def look(self, environment: Environment, memory_limit_bytes: int | None) -> None:
        """Store the machine as it is before the first case, and the memory limit of workers; warn of its problem."""
        self.environment = environment
        self._change(replace(self.run, options=self.run.options | {"worker_memory_limit_bytes": memory_limit_bytes}))
        problem = environment.blas.get("problem")
        self.warn([problem] if problem else [])

    def warn(self, warnings: Iterable[str]) -> None:
        """Add warnings, without duplicates; every report shows them at its top."""
        merged = tuple(dict.fromkeys([*self.run.warnings, *map(without_home, warnings)]))
        if merged != self.run.warnings:
            self._change(replace(self.run, warnings=merged))

    def take_turn(self, turn: str) -> None:
        """Append *turn*, which is measured now, to the run's order; a repeated turn keeps only its last place."""
        earlier_turns = (earlier for earlier in self.run.order if earlier != turn)
        self._change(replace(self.run, order=(*earlier_turns, turn)))

    def finish(self, records: Sequence[Record]) -> None:
        """Store the end, the state of the machine and any change of its speed; release the directory."""
        self.warn(
            f"the machine's own speed changed during the session: {PROBES[drift.probe]}: {in_session_text(drift)}"
            for drift in drifts_in_session(self.run.order, records)
            if drift.beyond_noise
        )
        if self.environment is not None:
            self.environment = replace(self.environment, power_after=environment.load_and_power())
        self._change(replace(self.run, finished_at=utc_now()))
        self.lock.release()

    def _change(self, run: RunInfo) -> None:
        self.run = run
        self.save()

    def save(self) -> None:
        """Write run.json.

        Raises:
            Unwritable: if it cannot be written.
        """
        store.write_run(self.directory, self.run, self.environment, self._earlier)


def open_head(settings: Settings, command: Sequence[str], *, order_seed: int | None, stored: Bundle | None) -> RunHead:
    """Lock the directory of a new run, or of the resumed run *stored*, and write its head.

    Raises:
        HarnessError: if there is a run of that id, another session is measuring into it, or it cannot be written.
    """
    run = _new(settings, command, order_seed)
    if stored is not None:
        run = _resumed(stored.run, run)
    directory = settings.resume or settings.results_dir / run.id
    lock = store.claim(directory)
    if stored is None and (directory / store.RUN_FILE).exists():
        lock.release()
        problem = f"there is a run {run.id!r} in {settings.results_dir}"
        raise HarnessError(f"--run-id: {problem}; give another id, or go on with it: --resume {run.id}")
    head = RunHead(directory=directory, run=run, lock=lock, stored=stored)
    head.save()
    return head


def _resumed(stored: RunInfo, run: RunInfo) -> RunInfo:
    """Merge *run*, which resumes *stored*, into it. Warnings, models and adapters of the stored run remain."""
    other_commit = () if stored.git == run.git else ("this run was gone on with at another commit",)
    merged = {
        name: list(dict.fromkeys([*stored.options.get(name, []), *run.options[name]])) for name in ("models", "lora")
    }
    return replace(
        stored,
        finished_at=None,
        git=run.git,
        paired_with=None,  # no other side is measured in turns with this session
        options=without_comparison(stored.options) | run.options | merged,
        warnings=tuple(dict.fromkeys([*stored.warnings, *other_commit])),
        resumed_at=(*stored.resumed_at, run.started_at),
    )


def stamp(now: str) -> str:
    """Return a time from `utc_now` in the form with which the id of a run begins."""
    return now.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")


def _new(settings: Settings, command: Sequence[str], order_seed: int | None) -> RunInfo:
    now = utc_now()
    return RunInfo(
        id=settings.run_id or f"{stamp(now)}-{secrets.token_hex(2)}",
        started_at=now,
        finished_at=None,
        command=tuple(map(without_home, command)),
        profile=settings.profile.name,
        git=environment.git_state(Path.cwd()),
        # as they were typed: enough to resume the run
        options={
            "models": [without_home(model.name) for model in settings.models],
            "lora": list(map(without_home, settings.adapter_names)),
            "weights": settings.source,
            **settings.options,
            "repeats": settings.repeats,
            "cooldown_s": settings.cooldown_s,
            "memory_limit_bytes": settings.memory_limit_bytes,
            "order_seed": order_seed,
        },
    )
