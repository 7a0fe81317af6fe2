"""The head of a run while its session lives: run.json, kept up to date, and the claim on the run's directory."""

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
from harness.results.records import Bundle, Environment, Record, RunInfo
from harness.session.settings import Settings


@dataclass(slots=True, kw_only=True)
class Head:
    """What a run says of itself. Every change is on disk when the call returns."""

    directory: Path
    run: RunInfo
    lock: FileLock
    environment: Environment | None = None
    before: Bundle | None = None  # the run as it was found, where it is gone on with

    @property
    def _earlier(self) -> tuple[Environment, ...]:
        """The machines of the sessions before this one."""
        if self.before is None:
            return ()
        last = (self.before.environment,) if self.before.environment else ()
        return (*self.before.earlier_environments, *last)

    def leave(self) -> None:
        """Give up the directory, with the run as it was found: nothing had to be measured."""
        if self.before is not None:
            store.write_run(self.directory, self.before.run, self.before.environment, self.before.earlier_environments)
        self.lock.release()

    def withdraw(self) -> None:
        """Leave nothing of a run that cannot begin; one that is gone on with stays as it was found."""
        if self.before is not None:
            self.leave()
            return
        self.lock.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def look(self, environment: Environment, memory_limit_bytes: int | None) -> None:
        """Note the machine as it is before the first case, what is wrong with it, and what a worker may use of it."""
        self.environment = environment
        self._change(replace(self.run, options=self.run.options | {"worker_memory_limit_bytes": memory_limit_bytes}))
        problem = environment.blas.get("problem")
        self.warn([problem] if problem else [])

    def warn(self, warnings: Iterable[str]) -> None:
        """Add warnings that are to stand on top of every report, each once."""
        every = tuple(dict.fromkeys([*self.run.warnings, *map(without_home, warnings)]))
        if every != self.run.warnings:
            self._change(replace(self.run, warnings=every))

    def take_turn(self, turn: str) -> None:
        """Note which process is measured now; one that is measured again has only its last place."""
        self._change(replace(self.run, order=(*(its for its in self.run.order if its != turn), turn)))

    def finish(self, records: Sequence[Record]) -> None:
        """Note the end, how the machine is now, and whether it changed speed; give up the directory."""
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


def open_head(settings: Settings, command: Sequence[str], *, order_seed: int | None, stored: Bundle | None) -> Head:
    """Claim the directory of a new run, or of the *stored* one that is gone on with, and write its head.

    Raises:
        HarnessError: if there is a run of that id, another session is measuring into it, or it cannot be written.
    """
    run = _new(settings, command, order_seed)
    if stored is not None:
        run = _gone_on_with(stored.run, run)
    directory = settings.resume or settings.results_dir / run.id
    lock = store.claim(directory)
    if stored is None and (directory / store.RUN_FILE).exists():
        lock.release()
        where = f"there is a run {run.id!r} in {settings.results_dir}"
        raise HarnessError(f"--run-id: {where}; give another id, or go on with it: --resume {run.id}")
    head = Head(directory=directory, run=run, lock=lock, before=stored)
    head.save()
    return head


def _gone_on_with(stored: RunInfo, run: RunInfo) -> RunInfo:
    """The head of *stored* with what is new in *run*. What was said of the run stays said."""
    elsewhere = () if stored.git == run.git else ("this run was gone on with at another commit",)
    names = ("models", "lora")
    every = {name: list(dict.fromkeys([*stored.options.get(name, []), *run.options[name]])) for name in names}
    options = {name: its for name, its in stored.options.items() if name != "ab"}
    return replace(
        stored,
        finished_at=None,
        git=run.git,
        paired_with=None,  # what is measured now has no neighbour
        options=options | run.options | every,
        warnings=tuple(dict.fromkeys([*stored.warnings, *elsewhere])),
        resumed_at=(*stored.resumed_at, run.started_at),
    )


def stamp(now: str) -> str:
    """A time of day, as `utc_now` gives it, the way a run's id begins with it."""
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
        # as they were typed: enough to go on with the run
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
