"""Being told to stop: a cancelled job and a closed terminal are treated as Ctrl-C is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128  # what a shell adds to the number of the signal that has ended a program


@dataclass(slots=True)
class Stop:
    """What made a program stop, for its exit code: Ctrl-C, unless another signal came."""

    number: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """As a shell says it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return _BY_SIGNAL + self.number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Have these signals raise KeyboardInterrupt inside, where they would end the program; the last one is kept.

    One that is ignored, as SIGHUP is under nohup, stays so.
    """
    its = Stop()

    def stop(number: int, _: FrameType | None) -> None:
        its.number = number
        raise KeyboardInterrupt

    changed = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, stop)
    try:
        yield its
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
