"""Worker process that runs one job and ends: `python -m harness.worker FD`.

A job takes three hops: `main` reads it, `jobs.run_job` picks its workload, and the workload does the work. The job is
one line on standard input. Messages go to the file descriptor FD, one per line; everything printed is a log. No module
imported at the top may import MLX, because a fast BLAS must be loaded first. Standard input stays open as a lifeline:
when it closes, the session has ended, and the worker ends too.
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
from harness.worker.blas_shim import load_fast_blas
from harness.worker.failure_status import Diverged, status_of

_ORPHANED = 3  # exit code of a worker whose session is gone
_OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")
_HIGHEST_OOM_SCORE = "1000"  # highest score: when memory runs out, the kernel kills the worker, not the session


def main(argv: list[str]) -> int:
    """Run the job on standard input and report on the file descriptor argv[1]."""
    with suppress(OSError):  # only Linux has this file
        _OOM_SCORE_FILE.write_text(_HIGHEST_OOM_SCORE, encoding="ascii")
    with os.fdopen(int(argv[1]), "wb", buffering=0) as channel:
        return _run_and_report(channel)


def _run_and_report(channel: BinaryIO) -> int:
    def progress(done: int, total: int, text: str) -> None:
        _send(channel, Message(progress=Progress(done=done, total=total, text=text)))

    job = codec.decode(sys.stdin.buffer.readline(), Job)
    threading.Thread(target=_end_with_session, daemon=True).start()
    blas = load_fast_blas()
    try:
        from harness.worker.jobs import run_job  # noqa: PLC0415 - imports MLX, after the BLAS

        _send(channel, run_job(job, blas, progress))
    except HarnessError as error:
        status = Status.DIVERGED if isinstance(error, Diverged) else Status.FAILED
        _send(channel, _failure(status, str(error)))
    except MemoryError as error:
        _send(channel, _failure(Status.OOM, f"out of memory: {error}"))
    except Exception as error:
        # Process boundary: the session gets one line, the log gets the traceback.
        _send(channel, _failure(status_of(error), f"{type(error).__name__}: {error}"))
        raise
    return 0


def _failure(status: Status, reason: str) -> Message:
    return Message(failure=Failure(status=status, reason=reason))


def _send(channel: BinaryIO, message: Message) -> None:
    channel.write(codec.encode(message) + b"\n")


def _end_with_session() -> None:
    """End the worker once standard input closes, which happens however the session ends."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)
