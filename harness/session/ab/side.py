"""One side of an A/B comparison: a pytest session in its own environment, which measures when it is told to.

The session does not outlive this process: however this process ends, the session sees its pipe close and ends too.
A session that sends nothing for longer than its current step may take is killed.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from harness.errors import HarnessError
from harness.paths import without_home
from harness.results.store import RUN_FILE
from harness.session.ab import turnstile
from harness.session.ab.arms import PreparedArm
from harness.session.ab.turnstile import (
    Ended,
    Leave,
    PeerGone,
    PeerSilent,
    PreparationStep,
    Ready,
    TurnstileConnection,
)

_LAST_WORDS = 12  # lines of output shown when a session ends too early
_LOG = "logs/session.log"
_FINE = (0, 1)  # pytest's exit codes: all cases are ok, or some have no result
# Seconds of silence after which a session counts as hanging; chosen, each well above the time its work takes
_FIRST_WORD_S = 600.0  # until Python has started, imported the harness and found the cases
_STEP_S = 4200.0  # for a step of the preparation: the session itself allows an hour for a download
_GRACE_S = 60.0  # on top of the limit of a turn
_END_S = 60.0  # to write its records
_T = TypeVar("_T", Ready, Ended)


class SideLost(HarnessError):
    """A session ended before it was told to, or did not end when it was told to."""


@dataclass(slots=True, kw_only=True)
class SideSession:
    """A running session of one side. *name* is A or B."""

    name: str
    arm: PreparedArm
    directory: Path  # of its run
    process: subprocess.Popen[bytes]
    connection: TurnstileConnection
    say: Callable[[str], None]
    turn_s: float = 0.0  # limit of a turn; known once the session is ready
    log: BinaryIO  # everything that the session prints; a file in *directory*, readable even after that is deleted

    @classmethod
    def start(
        cls,
        name: str,
        arm: PreparedArm,
        arguments: Sequence[str],
        *,
        directory: Path,
        repeats: int,
        say: Callable[[str], None],
    ) -> Self:
        """Start a session that measures into *directory*, at most *repeats* processes of each case.

        *say* gets a line for each step of its preparation.

        Raises:
            HarnessError: if it cannot be started.
        """
        path = directory / _LOG
        reader, session_writer = os.pipe()
        session_reader, writer = os.pipe()
        connection = TurnstileConnection.from_descriptors(reader, writer)
        session_pipes = (session_reader, session_writer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            log = path.open("w+b")
            process = subprocess.Popen(  # noqa: S603 - ourselves, in the environment that was asked for
                [
                    *(str(arm.python), "-m", "pytest", *arguments),
                    *("--repeats", str(repeats), "--no-report", turnstile.OPTION, f"{session_reader},{session_writer}"),
                    *("--results-dir", str(directory.parent), "--run-id", directory.name),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=arm.directory,
                env=os.environ | arm.variables,
                pass_fds=session_pipes,
                start_new_session=True,  # Ctrl-C goes to this process alone, which then tells its sessions what to do
            )
        except OSError as error:
            connection.close()
            raise HarnessError(f"{arm.text}: its session cannot be started: {error}") from error
        finally:
            for descriptor in session_pipes:
                os.close(descriptor)
        return cls(name=name, arm=arm, directory=directory, process=process, connection=connection, say=say, log=log)

    def ready(self) -> Sequence[str]:
        """Wait until the session can measure; return its turns, each as CASE#NUMBER.

        Raises:
            SideLost: if it ends or hangs before.
        """
        message = self._receive(Ready, _FIRST_WORD_S, _STEP_S)
        self.turn_s = message.longest_s
        return message.order

    def take(self, turn_id: str) -> str | None:
        """Have the session run one turn; return why its case ended, or None if it continues.

        Raises:
            SideLost: if the session ends or hangs during the turn.
        """
        try:
            self.connection.send(Leave(turn=turn_id))
        except PeerGone as error:
            raise self._lost(error) from None
        within_s = self.turn_s + _GRACE_S
        return self._receive(Ended, within_s, within_s).lost

    def stop(self, keep: Mapping[str, int]) -> None:
        """Tell the session to break off its turn, store the first *keep* samples of each case, and end.

        Do nothing if it has ended.
        """
        if self.process.poll() is None:
            with suppress(PeerGone):
                self.connection.send(Leave(turn=None, keep=dict(keep)))

    def wait(self) -> None:
        """Wait until the session has ended.

        Raises:
            SideLost: if it does not end in time, or ends with an error.
        """
        if not self._ends():
            raise self._lost(PeerSilent(f"did not end within {_END_S:g} s"))
        if self.process.returncode not in _FINE:
            raise self._lost(PeerGone("it said nothing"))

    def close(self, *, keep: bool) -> None:
        """Kill the process, close every file, and delete the directory unless *keep* is set and it holds a run."""
        self.process.kill()  # no effect on a process that has ended
        self.process.wait()
        self.connection.close()
        if keep and (self.directory / RUN_FILE).exists():
            (self.directory / _LOG).write_text(self._printed(), encoding="utf-8")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.log.close()

    def _receive(self, kind: type[_T], first_s: float, then_s: float) -> _T:
        """Wait for a message of type *kind*: *first_s* seconds, then *then_s* after each step it announces first."""
        within_s = first_s
        try:
            while isinstance(message := self.connection.hear(kind, within_s), PreparationStep):
                self.say(f"{self.name}: {message.what}")
                within_s = then_s
        except PeerGone as error:
            raise self._lost(error) from None
        return message

    def _ends(self) -> bool:
        """Wait for the process to end, else kill it; return whether it ended by itself."""
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True

    def _lost(self, error: PeerGone) -> SideLost:
        """End the session; return an error with the cause and the last lines it printed."""
        self.connection.close()  # so that a session that sent something unexpected ends
        if isinstance(error, PeerSilent):
            self.process.kill()
            self.process.wait()
            cause = f"{error}; it was killed"
        elif self._ends():
            cause = f"ended early, with exit code {self.process.returncode}"
        else:
            cause = f"gave up its line and did not end within {_END_S:g} s; it was killed"
        lines = [line.rstrip() for line in self._printed().splitlines() if line.strip(" =")]
        last_lines = lines[-_LAST_WORDS:] or [str(error)]
        head = f"side {self.name} ({self.arm.text}): its session {cause}"
        return SideLost("\n  ".join([head, *last_lines]))

    def _printed(self) -> str:
        self.log.seek(0)
        return without_home(self.log.read().decode("utf-8", errors="replace"))
