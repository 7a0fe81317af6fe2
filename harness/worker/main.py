"""A process that does one job and ends: `python -m harness.worker FD`.

The job is one line on standard input; messages go to the file descriptor FD, a line each; everything
printed is a log. A fast BLAS is loaded before anything imports MLX, so nothing here imports it at the top.
Standard input stays open as a lifeline: when it closes, the session is gone, and so is the worker.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError
from harness.inputs.plans import Job
from harness.inputs.protocol import Failure, Message, Progress
from harness.results import codec
from harness.results.records import Status
from harness.worker.blas import load_fast_blas
from harness.worker.failure_status import status_of

_ORPHANED = 3  # exit code of a worker whose session is gone
_KILL_ORDER = Path("/proc/self/oom_score_adj")
_KILL_FIRST = "1000"  # the highest: when memory runs out the kernel takes the worker, and the session survives


def main(argv: list[str]) -> int:
    """Do the job on standard input; report on the file descriptor argv[1]."""
    with suppress(OSError):  # a system that has no such order
        _KILL_ORDER.write_text(_KILL_FIRST, encoding="ascii")
    with os.fdopen(int(argv[1]), "wb", buffering=0) as line:
        return _work(line)


def _work(line: BinaryIO) -> int:
    def progress(done: int, total: int, text: str) -> None:
        _send(line, Message(progress=Progress(done=done, total=total, text=text)))

    job = codec.decode(sys.stdin.buffer.readline(), Job)
    threading.Thread(target=_end_with_session, daemon=True).start()
    blas = load_fast_blas()
    try:
        from harness.worker.jobs import DIVERGED, do  # noqa: PLC0415 - imports MLX, after the BLAS

        _send(line, do(job, blas, progress))
    except HarnessError as error:
        diverged = isinstance(error, DIVERGED)
        _send(line, _failure(Status.DIVERGED if diverged else Status.FAILED, str(error)))
    except MemoryError as error:
        _send(line, _failure(Status.OOM, f"out of memory: {error}"))
    except Exception as error:
        # The process boundary: told to the session in one line, and in full to the log.
        _send(line, _failure(status_of(error), f"{type(error).__name__}: {error}"))
        raise
    return 0


def _failure(status: Status, reason: str) -> Message:
    return Message(failure=Failure(status=status, reason=reason))


def _send(line: BinaryIO, message: Message) -> None:
    line.write(codec.encode(message) + b"\n")


def _end_with_session() -> None:
    """Wait for standard input to close, which happens when the session ends in whatever way."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)
