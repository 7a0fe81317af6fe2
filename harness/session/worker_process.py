"""Runs one job in a worker process of its own and reads the answer.

However the worker ends, there is an outcome: its last message, or a failure that says how it died. The
session itself never imports MLX.
"""

import math
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.inputs.plans import Job
from harness.inputs.protocol import Failure, Message, Progress
from harness.machine import memory, os_queries
from harness.machine.clock import monotonic_s
from harness.paths import without_home
from harness.results import codec
from harness.results.records import Status
from harness.units import format_value

_CHUNK_BYTES = 1 << 16
_LOOK_S = 0.25  # between two checks of the worker's memory
_GRACE_S = 10.0  # from a worker's last message, or its closed pipe, to its end
_LAST_WORDS = 3  # lines of the log in a crash's reason
_OOM_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))  # the machine's, and a container's own
# Variables that a worker gets on top of the session's environment.
ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONFAULTHANDLER": "1",
    "NO_COLOR": "1",
}


def run(
    job: Job,
    *,
    log: Path,
    timeout_s: float,
    on_progress: Callable[[Progress], None],
    memory_limit_bytes: int | None = None,
) -> Message:
    """Do *job* in a fresh process; return its result, or the failure that took its place.

    A worker that exceeds its time or memory limit (None: no memory limit) is killed. The log remains only if
    the job failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    oom_kills = _oom_kills()
    reader, writer = os.pipe()
    try:
        worker = _start(writer, log)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        watch = _Watch(worker=worker, timeout_s=timeout_s, memory_limit_bytes=memory_limit_bytes)
        message = _exchange(worker, job, reader, watch, on_progress)
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
        message = Message(failure=_post_mortem(worker.returncode, log, starved=_oom_kills() > oom_kills))
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
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": _python_path()},
            start_new_session=True,
        )


def _python_path() -> str:
    """Return a PYTHONPATH on which the worker finds this package, wherever the session was started."""
    return os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])


@dataclass(slots=True, kw_only=True)
class _Watch:
    """Time and memory limits of one worker; the time runs from the creation of this object."""

    worker: subprocess.Popen[bytes]
    timeout_s: float
    memory_limit_bytes: int | None
    _deadline_s: float = field(init=False)
    _next_look_s: float = field(init=False)

    def __post_init__(self) -> None:
        now_s = monotonic_s()
        self._deadline_s = now_s + self.timeout_s
        self._next_look_s = math.inf if self.memory_limit_bytes is None else now_s

    def left_s(self) -> float:
        """Return the seconds until a limit has to be checked next."""
        return max(0.0, min(self._deadline_s, self._next_look_s) - monotonic_s())

    def excess(self) -> Failure | None:
        """Return the limit that the worker has exceeded, as a failure; None if it has exceeded none."""
        now_s = monotonic_s()
        if now_s >= self._deadline_s:
            reason = f"no result within {self.timeout_s:g} s; the worker was killed"
            return Failure(status=Status.TIMEOUT, reason=reason)
        if self.memory_limit_bytes is None or now_s < self._next_look_s:
            return None
        self._next_look_s = now_s + _LOOK_S
        used_bytes = memory.used_bytes(self.worker.pid)
        if used_bytes is None or used_bytes <= self.memory_limit_bytes:
            return None
        used, limit = format_value(used_bytes, "byte"), format_value(self.memory_limit_bytes, "byte")
        return Failure(status=Status.OOM, reason=f"the worker used {used}, over the limit of {limit}; it was killed")


def _exchange(
    worker: subprocess.Popen[bytes], job: Job, reader: int, watch: _Watch, on_progress: Callable[[Progress], None]
) -> Message | None:
    """Send the worker its job and read until its last message; return None if it dies without one."""
    assert worker.stdin is not None, "the worker is started with a pipe"
    unsent = codec.encode(job) + b"\n"
    pending = b""
    os.set_blocking(worker.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        selector.register(worker.stdin, selectors.EVENT_WRITE)
        while (excess := watch.excess()) is None:
            ready = {key.fileobj for key, _ in selector.select(watch.left_s())}
            if worker.stdin in ready:
                unsent = _send_some(worker.stdin, unsent)
                if not unsent:
                    selector.unregister(worker.stdin)
            if reader not in ready:
                continue
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
    return Message(failure=excess)


def _send_some(line: IO[bytes], unsent: bytes) -> bytes:
    """Write as much as the pipe takes now; return the rest, which is empty once nobody reads the pipe."""
    try:
        return unsent[os.write(line.fileno(), unsent) :]
    except BrokenPipeError:
        return b""


def _failed(status: Status, reason: str) -> Message:
    return Message(failure=Failure(status=status, reason=reason))


def _ends(worker: subprocess.Popen[bytes]) -> bool:
    """Wait a little for the worker to end by itself; return False if it had to be killed."""
    try:
        worker.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        _kill(worker)
        return False
    return True


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill the worker and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 where it does not say."""
    return sum(_counter(path, "oom_kill") for path in _OOM_COUNTERS)


def _counter(path: Path, name: str) -> int:
    lines = (os_queries.text(str(path)) or "").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def _post_mortem(returncode: int, log: Path, *, starved: bool) -> Failure:
    """Describe the death of a worker that was not killed here.

    *starved* says whether the kernel has killed a process for lack of memory since the worker started.
    """
    status = Status.CRASHED
    if returncode == -signal.SIGKILL and starved:
        status = Status.OOM
        cause = "the system ran out of memory and killed the worker"
    elif returncode < 0:
        name = signal.Signals(-returncode).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        cause = f"the worker was ended by {name}{hint}"
    else:
        cause = f"the worker ended with exit code {returncode} and no result"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    words = " | ".join(lines[-_LAST_WORDS:])
    return Failure(status=status, reason=without_home(f"{cause}{': ' + words if words else ''}"))


def _keep_or_drop(log: Path, *, failed: bool) -> None:
    if failed:
        text = log.read_text(encoding="utf-8", errors="replace")
        log.write_text(without_home(text), encoding="utf-8")
    else:
        log.unlink()
