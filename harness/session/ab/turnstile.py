"""Where a session waits for leave before each process it measures, so that two sessions can take turns.

Two pipes, a line of JSON each way: the session says once which turns it has to take, then gets leave for one of
them, says how it ended, and so on, until it is told how much to keep; what takes long before that it says as it begins.
An end that is gone is told as such: nobody waits for it, and what is done on its behalf is broken off. Knows nothing of
what is measured, or of why somebody wants to have it in this order.
"""

import os
import re
import select
import signal
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from typing import Protocol, Self, TypeVar

from harness.errors import BadConfig, HarnessError
from harness.results import codec

OPTION = "--turnstile"
_AGAIN_S = 1.0  # from one interruption to the next, should the first have come too early


class Gone(HarnessError):
    """The other end has closed its line, or speaks another language."""


class Silent(Gone):
    """The other end has its line and says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """Something begins that may take minutes and measures nothing."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The session has its weights and has seen the machine. *order*: its turns, each as CASE#NUMBER.

    A turn ends within *longest_s* seconds, or what it does is ended.
    """

    order: tuple[str, ...]
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Take this turn; *turn* None: take no more, and keep the first so many processes of each case."""

    turn: str | None
    keep: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A turn is over. *lost* says why its case takes no more turns; None if it does."""

    turn: str
    lost: str | None


_T = TypeVar("_T", Ready, Leave, Ended)


@dataclass(frozen=True, slots=True)
class Line:
    """One end of the two pipes. Nothing is read ahead, so whether there is a word to read is seen on the pipe."""

    reader: FileIO
    writer: FileIO

    @classmethod
    def of(cls, reader: int, writer: int) -> Self:
        """Take over two file descriptors; no other program inherits them."""
        for descriptor in (reader, writer):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the system's own call
        return cls(FileIO(reader, "r"), FileIO(writer, "w"))

    def send(self, value: Doing | Ready | Leave | Ended) -> None:
        """Write one line.

        Raises:
            Gone: if nobody can read it.
        """
        try:
            self.writer.write(codec.encode(value) + b"\n")
        except BrokenPipeError:
            raise Gone("the other end of the turnstile is gone") from None

    def hear(self, kind: type[_T], within_s: float) -> _T | Doing:
        """Wait so long for a word of this *kind*, or for what the other end is doing first.

        Raises:
            Silent: if none comes.
            Gone: if none can come any more, or it is neither.
        """
        if not select.select([self.reader], [], [], within_s)[0]:
            raise Silent(f"said nothing for {within_s:g} s")
        line = self._line()
        with suppress(codec.Malformed):
            return codec.decode(line, Doing)
        return _read(line, kind)

    def receive(self, kind: type[_T]) -> _T:
        """Wait for one line.

        Raises:
            Gone: if none comes any more, or it is not of this *kind*.
        """
        return _read(self._line(), kind)

    def _line(self) -> bytes:
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            raise Gone("the other end of the turnstile is gone")
        return line

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Interrupt what runs inside, as Ctrl-C does, should the other end go, or say anything, meanwhile.

        It has nothing to say then but that it breaks this off.
        """
        ended, ends = os.pipe()
        main, reader = threading.get_ident(), self.reader.fileno()

        def watch() -> None:
            with suppress(OSError):  # an interrupt in the clearing up below may close what is watched
                while ended not in select.select([reader, ended], [], [])[0]:
                    signal.pthread_kill(main, signal.SIGINT)
                    select.select([ended], [], [], _AGAIN_S)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            os.close(ends)
            watching.join()
            os.close(ended)

    def close(self) -> None:
        """Let the other end see that this one is gone."""
        self.reader.close()
        self.writer.close()


def _read(line: bytes, kind: type[_T]) -> _T:
    try:
        return codec.decode(line, kind)
    except codec.Malformed as error:
        raise Gone(f"the other end of the turnstile said {line[:80]!r}; a {kind.__name__} is due ({error})") from None


def inherited(text: str) -> Line:
    """Take over the line that the option names: READER,WRITER, two open pipes.

    Interruptions are heard from then on, also where they were ignored, as in the background of a script: the line is
    what sends them.

    Raises:
        BadConfig: if it does not.
    """
    match = re.fullmatch(r"([0-9]+),([0-9]+)", text)
    if match and _is_pipe(int(match[1])) and _is_pipe(int(match[2])):
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return Line.of(int(match[1]), int(match[2]))
    raise BadConfig(OPTION, [f"{text!r} are not two pipes; leave it out: only `tunebench ab` has a use for it"])


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, OverflowError):
        return False


class Measuring(Protocol):
    """What passes the turnstile."""

    @property
    def order(self) -> Sequence[str]:
        """The turns still to be taken."""

    @property
    def longest_s(self) -> float:
        """Seconds after which a turn has ended, one way or another."""

    def take(self, turn: str) -> str | None:
        """Take one of them; give why its case takes no more."""

    def settle(self, keep: Mapping[str, int]) -> None:
        """Take no more, and keep so many processes of each case."""


def follow(session: Measuring, line: Line) -> None:
    """Take the turns there is leave for, until there is none any more.

    Raises:
        Gone: if the other end is.
    """
    line.send(Ready(order=tuple(session.order), longest_s=session.longest_s))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # while it waits there is nothing to break off
    try:
        while (leave := line.receive(Leave)).turn is not None:
            with suppress(KeyboardInterrupt):  # the other end has broken this turn off, and says next how much to keep
                with line.watched():
                    lost = _breakable(session, leave.turn)
                line.send(Ended(turn=leave.turn, lost=lost))
    finally:
        signal.signal(signal.SIGINT, before)
    session.settle(leave.keep)


def _breakable(session: Measuring, turn: str) -> str | None:
    """Take a turn that an interruption breaks off; what is said on the line is not lost over one."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return session.take(turn)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
