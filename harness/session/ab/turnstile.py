"""Turnstile of a session: it waits for permission before each process it measures, so that two sessions can alternate.

The session and its leader talk over two pipes, one JSON value per line. The session first announces each slow step of
its preparation, then lists its turns. After that the leader permits one turn at a time and the session reports how it
ended, until the leader says how many samples to keep. If one end disappears, the other does not wait for it, and a turn
that runs on its behalf is interrupted. Nothing here depends on what is measured, or on the reason for the order.
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
_AGAIN_S = 1.0  # between interruptions, in case the first came too early to have an effect


class PeerGone(HarnessError):
    """The other end has closed its pipe, or sends anything but the messages below."""


class PeerSilent(PeerGone):
    """The other end keeps its pipe open and sends nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationStep:
    """A step of the preparation begins; it may take minutes."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The session can measure. *order* lists its turns, each as CASE#NUMBER.

    A turn ends within *longest_s* seconds, if necessary because its worker is killed.
    """

    order: tuple[str, ...]
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Permission to take *turn*; None: take no more turns, and of each case keep the first *keep* samples."""

    turn: str | None
    keep: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A turn is over. *lost* says why its case ended; None if it continues."""

    turn: str
    lost: str | None


_T = TypeVar("_T", Ready, Leave, Ended)


@dataclass(frozen=True, slots=True)
class TurnstileConnection:
    """One end of the two pipes. Nothing is read ahead, so `select` sees whether there is a message to read."""

    reader: FileIO
    writer: FileIO

    @classmethod
    def from_descriptors(cls, reader: int, writer: int) -> Self:
        """Take over two file descriptors; no other program inherits them."""
        for descriptor in (reader, writer):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the system's own call
        return cls(FileIO(reader, "r"), FileIO(writer, "w"))

    def send(self, value: PreparationStep | Ready | Leave | Ended) -> None:
        """Send one message.

        Raises:
            PeerGone: if nobody can read it.
        """
        try:
            self.writer.write(codec.encode(value) + b"\n")
        except BrokenPipeError:
            raise PeerGone("the other end of the turnstile is gone") from None

    def hear(self, kind: type[_T], within_s: float) -> _T | PreparationStep:
        """Wait up to *within_s* seconds for a message of type *kind*, or for a step that the other end does first.

        Raises:
            PeerSilent: if none comes in time.
            PeerGone: if none can come any more, or the message is neither.
        """
        if not select.select([self.reader], [], [], within_s)[0]:
            raise PeerSilent(f"said nothing for {within_s:g} s")
        line = self._line()
        with suppress(codec.Malformed):
            return codec.decode(line, PreparationStep)
        return _read(line, kind)

    def receive(self, kind: type[_T]) -> _T:
        """Wait without limit for a message of type *kind*.

        Raises:
            PeerGone: if none can come any more, or the message is of another type.
        """
        return _read(self._line(), kind)

    def _line(self) -> bytes:
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            raise PeerGone("the other end of the turnstile is gone")
        return line

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Interrupt the block inside, as Ctrl-C does, if the other end closes its pipe or sends anything.

        A message that arrives while a turn runs can only mean that the turn is to be broken off.
        """
        ended, ends = os.pipe()
        main, reader = threading.get_ident(), self.reader.fileno()

        def watch() -> None:
            with suppress(OSError):  # an interrupt during the cleanup below may close the watched pipe
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
        """Close both pipes, which tells the other end that this one is gone."""
        self.reader.close()
        self.writer.close()


def _read(line: bytes, kind: type[_T]) -> _T:
    try:
        return codec.decode(line, kind)
    except codec.Malformed as error:
        raise PeerGone(
            f"the other end of the turnstile said {line[:80]!r}; a {kind.__name__} is due ({error})"
        ) from None


def inherited(text: str) -> TurnstileConnection:
    """Take over the two open pipes that the option names: READER,WRITER.

    SIGINT has an effect from then on, even if it was ignored as in the background of a script, because `watched`
    sends it.

    Raises:
        BadConfig: if *text* does not name two open pipes.
    """
    match = re.fullmatch(r"([0-9]+),([0-9]+)", text)
    if match and _is_pipe(int(match[1])) and _is_pipe(int(match[2])):
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return TurnstileConnection.from_descriptors(int(match[1]), int(match[2]))
    raise BadConfig(OPTION, [f"{text!r} are not two pipes; leave it out: only `tunebench ab` has a use for it"])


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, OverflowError):
        return False


class TurnRunner(Protocol):
    """Runs the turns of a session when it is told to."""

    @property
    def order(self) -> Sequence[str]:
        """Turns that are still to be run, each as CASE#NUMBER."""

    @property
    def longest_s(self) -> float:
        """Seconds after which a turn has ended in any case."""

    def take(self, turn_id: str) -> str | None:
        """Run this turn; return why its case ended, or None if it continues."""

    def settle(self, keep: Mapping[str, int]) -> None:
        """Run no more turns; of each case keep the first *keep* samples."""


def follow(turns: TurnRunner, connection: TurnstileConnection) -> None:
    """Run the turns that the other end permits, until it permits no more.

    Raises:
        PeerGone: if the other end is gone.
    """
    connection.send(Ready(order=tuple(turns.order), longest_s=turns.longest_s))
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # while it waits there is nothing to break off
    try:
        while (leave := connection.receive(Leave)).turn is not None:
            with suppress(
                KeyboardInterrupt
            ):  # the other end broke this turn off; its next message says how much to keep
                with connection.watched():
                    lost = _take_interruptibly(turns, leave.turn)
                connection.send(Ended(turn=leave.turn, lost=lost))
    finally:
        signal.signal(signal.SIGINT, handler)
    turns.settle(leave.keep)


def _take_interruptibly(turns: TurnRunner, turn_id: str) -> str | None:
    """Run a turn during which SIGINT has an effect; outside of it no message on the pipes can be interrupted."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return turns.take(turn_id)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
