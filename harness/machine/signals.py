"""Signals that stop the program: a canceled job and a closed terminal are handled like Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128  # a shell adds this to the number of the signal that ended a program


@dataclass(slots=True)
class Stop:
    """The signal that stopped the program, for the exit code: SIGINT unless another one arrived."""

    number: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """Exit code by shell convention: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return _BY_SIGNAL + self.number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt inside the block; the last signal is recorded.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    stop = Stop()

    def interrupt(number: int, _: FrameType | None) -> None:
        stop.number = number
        raise KeyboardInterrupt

    changed = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield stop
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
