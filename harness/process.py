"""Runs one job in a worker process of its own: starts it, feeds it, reads it, and survives it.

Whatever becomes of the worker, there is an outcome: its last message, or a failure that says how it
died. The session never imports MLX.
"""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness import codec
from harness.messages import Failure, Message, Progress
from harness.meters import monotonic_s
from harness.paths import without_home
from harness.plans import Job
from harness.records import Status

_CHUNK_BYTES = 1 << 16
_GRACE_S = 10.0  # from a worker's last message, or its closed line, to its end
_LAST_WORDS = 3  # lines of the log in a crash's reason
# What a worker inherits on top of the session's environment.
_ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONFAULTHANDLER": "1",
    "NO_COLOR": "1",
}


def run(job: Job, *, log: Path, timeout_s: float, on_progress: Callable[[Progress], None]) -> Message:
    """Do *job* in a fresh process; give its result, or the failure that took its place.

    The log stays if, and only if, the job failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    try:
        worker = _start(writer, log)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        message = _talk(worker, job, reader, timeout_s, on_progress)
    except BaseException:  # Ctrl-C above all: a worker must not outlive its session
        _kill(worker)
        raise
    else:
        ended = _ends(worker)
    finally:
        os.close(reader)
        with suppress(BrokenPipeError):
            worker.stdin.close()  # type: ignore[union-attr]
    if message is None and not ended:
        message = _failed(Status.CRASHED, "the worker closed its line without a result and did not end; it was killed")
    if message is None:
        message = Message(failure=_post_mortem(worker.returncode, log))
    _keep_or_drop(log, failed=message.failure is not None)
    return message


def _start(writer: int, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "harness.worker", str(writer)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            env=os.environ | _ENVIRONMENT | {"PYTHONPATH": _python_path()},
            start_new_session=True,
        )


def _python_path() -> str:
    """The worker finds this very package, wherever the session was started."""
    return os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


def _talk(
    worker: subprocess.Popen[bytes], job: Job, reader: int, timeout_s: float, on_progress: Callable[[Progress], None]
) -> Message | None:
    """Feed the worker its job and read until its last message; None if it dies without one."""
    deadline = monotonic_s() + timeout_s
    assert worker.stdin is not None, "it was asked for"
    try:
        worker.stdin.write(codec.encode(job) + b"\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - monotonic_s())):
            chunk = os.read(reader, _CHUNK_BYTES)
            if not chunk:
                return None
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                try:
                    message = codec.decode(line, Message)
                except codec.Malformed as error:
                    _kill(worker)
                    return _failed(Status.CRASHED, f"the worker sent a line that is no message ({error})")
                if message.progress is None:
                    return message
                on_progress(message.progress)
    _kill(worker)
    return _failed(Status.TIMEOUT, f"no result within {timeout_s:g} s; the worker was killed")


def _failed(status: Status, reason: str) -> Message:
    return Message(failure=Failure(status=status, reason=reason))


def _ends(worker: subprocess.Popen[bytes]) -> bool:
    """Give the worker a little while to end by itself; then make sure. False if it had to be killed."""
    try:
        worker.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        _kill(worker)
        return False
    return True


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill the worker with everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _post_mortem(returncode: int, log: Path) -> Failure:
    if returncode < 0:
        name = signal.Signals(-returncode).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        how = f"the worker was ended by {name}{hint}"
    else:
        how = f"the worker ended with exit code {returncode} and no result"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    words = " | ".join(lines[-_LAST_WORDS:])
    return Failure(status=Status.CRASHED, reason=without_home(f"{how}{': ' + words if words else ''}"))


def _keep_or_drop(log: Path, *, failed: bool) -> None:
    if failed:
        text = log.read_text(encoding="utf-8", errors="replace")
        log.write_text(without_home(text), encoding="utf-8")
    else:
        log.unlink()
