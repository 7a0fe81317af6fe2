"""One side of a comparison in turns: a pytest session in its environment, which measures when it is told to.

It outlives nobody: when this process ends, however it ends, the session sees its line close and ends too. Nor is it
waited for without end: one that says nothing for longer than it may take is killed.
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
from harness.session.ab.arms import Arm
from harness.session.ab.turnstile import Doing, Ended, Gone, Leave, Line, Ready, Silent

_LAST_WORDS = 12  # lines of its output when a session ends that should not
_LOG = "logs/session.log"
_FINE = (0, 1)  # pytest's exit codes: all cases are ok, or some have no result
# How long a session may say nothing before it is taken for one that hangs; chosen, each well above what there is to do
_FIRST_WORD_S = 600.0  # Python starts, imports what is measured with, and finds the cases
_STEP_S = 4200.0  # of preparing: a session itself gives a download an hour
_GRACE_S = 60.0  # on top of what a turn may take
_END_S = 60.0  # writes what it has measured
_T = TypeVar("_T", Ready, Ended)


class SideLost(HarnessError):
    """A session that ended before it was told to, or did not when it was."""


@dataclass(slots=True, kw_only=True)
class Side:
    """A running session. *name* is A or B."""

    name: str
    arm: Arm
    directory: Path  # of its run
    process: subprocess.Popen[bytes]
    line: Line
    say: Callable[[str], None]
    turn_s: float = 0.0  # what a turn may take; known once it is ready
    log: BinaryIO  # all that the session prints; a file in *directory*, readable even when that is gone

    @classmethod
    def start(
        cls,
        name: str,
        arm: Arm,
        arguments: Sequence[str],
        *,
        directory: Path,
        repeats: int,
        say: Callable[[str], None],
    ) -> Self:
        """Start a session that measures into *directory*, at most *repeats* processes a case; it tells what it does.

        Raises:
            HarnessError: if it cannot be started.
        """
        path = directory / _LOG
        reader, its_writer = os.pipe()
        its_reader, writer = os.pipe()
        mine, its = Line.of(reader, writer), (its_reader, its_writer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            log = path.open("w+b")
            process = subprocess.Popen(  # noqa: S603 - ourselves, in the environment that was asked for
                [
                    *(str(arm.python), "-m", "pytest", *arguments),
                    *("--repeats", str(repeats), "--no-report", turnstile.OPTION, f"{its_reader},{its_writer}"),
                    *("--results-dir", str(directory.parent), "--run-id", directory.name),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=arm.directory,
                env=os.environ | arm.variables,
                pass_fds=its,
                start_new_session=True,  # Ctrl-C is for this process, which tells its sessions what to do
            )
        except OSError as error:
            mine.close()
            raise HarnessError(f"{arm.text}: its session cannot be started: {error}") from error
        finally:
            for descriptor in its:
                os.close(descriptor)
        return cls(name=name, arm=arm, directory=directory, process=process, line=mine, say=say, log=log)

    def ready(self) -> Sequence[str]:
        """Wait until it could measure; give its turns.

        Raises:
            SideLost: if it never can.
        """
        its = self._receive(Ready, _FIRST_WORD_S, _STEP_S)
        self.turn_s = its.longest_s
        return its.order

    def take(self, turn: str) -> str | None:
        """Let it measure one process; give why the case takes no more turns.

        Raises:
            SideLost: if the session ends over it.
        """
        try:
            self.line.send(Leave(turn=turn))
        except Gone as error:
            raise self._lost(error) from None
        within_s = self.turn_s + _GRACE_S
        return self._receive(Ended, within_s, within_s).lost

    def stop(self, keep: Mapping[str, int]) -> None:
        """Have it store the first *keep* processes of each case and end, breaking off what it is doing.

        One that has ended hears nothing.
        """
        if self.process.poll() is None:
            with suppress(Gone):
                self.line.send(Leave(turn=None, keep=dict(keep)))

    def wait(self) -> None:
        """Wait until it has ended.

        Raises:
            SideLost: if it did not do so in order.
        """
        if not self._ends():
            raise self._lost(Silent(f"did not end within {_END_S:g} s"))
        if self.process.returncode not in _FINE:
            raise self._lost(Gone("it said nothing"))

    def close(self, *, keep: bool) -> None:
        """Leave nothing behind but its run: no process, no open file; without *keep*, or a run, no directory either."""
        self.process.kill()  # which does nothing to one that has ended
        self.process.wait()
        self.line.close()
        if keep and (self.directory / RUN_FILE).exists():
            (self.directory / _LOG).write_text(self._printed(), encoding="utf-8")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.log.close()

    def _receive(self, kind: type[_T], first_s: float, then_s: float) -> _T:
        """Wait for a word of this *kind*: *first_s* seconds, and *then_s* from each time it says what it does first."""
        within_s = first_s
        try:
            while isinstance(word := self.line.hear(kind, within_s), Doing):
                self.say(f"{self.name}: {word.what}")
                within_s = then_s
        except Gone as error:
            raise self._lost(error) from None
        return word

    def _ends(self) -> bool:
        """Whether it ends by itself, if not at once; it has ended in either case."""
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True

    def _lost(self, error: Gone) -> SideLost:
        """End it; say how it came to that, and what its last words were."""
        self.line.close()  # so that a session that spoke another language ends
        if isinstance(error, Silent):
            self.process.kill()
            self.process.wait()
            how = f"{error}; it was killed"
        elif self._ends():
            how = f"ended early, with exit code {self.process.returncode}"
        else:
            how = f"gave up its line and did not end within {_END_S:g} s; it was killed"
        lines = [line.rstrip() for line in self._printed().splitlines() if line.strip(" =")]
        said = lines[-_LAST_WORDS:] or [str(error)]
        head = f"side {self.name} ({self.arm.text}): its session {how}"
        return SideLost("\n  ".join([head, *said]))

    def _printed(self) -> str:
        self.log.seek(0)
        return without_home(self.log.read().decode("utf-8", errors="replace"))
