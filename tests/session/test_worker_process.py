import os
import select
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness.inputs.config_files import read_adapter
from harness.inputs.plans import Job, Work
from harness.inputs.protocol import Message, Progress
from harness.results import codec
from harness.results.records import Status
from harness.session import worker_process

ROOT = Path(worker_process.__file__).parents[2]
JOB = Job(work=Work.ENVIRONMENT)
RESULT = 'tell(b\'{"facts": {"total_parameters": 7}}\\n\')'


@pytest.fixture
def worker_that(tmp_path, monkeypatch):
    """Put a program in the place of Python that is started as a worker is, and does what the test says."""
    interpreter = sys.executable

    def put(code):
        script = tmp_path / "python"
        lines = ["import os, sys, subprocess", "line = int(sys.argv[3])", "tell = lambda text: os.write(line, text)"]
        script.write_text("\n".join([f"#!{interpreter} -I", *lines, code]))
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "it.log"


def run(log, *, timeout_s=60.0, on_progress=lambda _: None, job=JOB, memory_limit_bytes=None):
    return worker_process.run(
        job, log=log, timeout_s=timeout_s, on_progress=on_progress, memory_limit_bytes=memory_limit_bytes
    )


def test_the_result_comes_back_and_the_log_of_a_success_is_dropped(worker_that, log):
    worker_that(f"print('hello')\n{RESULT}")
    assert run(log) == Message(facts={"total_parameters": 7})
    assert log.parent.is_dir()
    assert not log.exists()


def test_a_worker_is_this_package_s_and_gets_its_job_on_a_line(worker_that, log):
    worker_that("print(sys.argv[1:3], sys.stdin.readline(), os.getsid(0) == os.getpid())\nsys.exit(1)")
    run(log, job=Job(work=Work.PREPARE, source="hub"))
    argv, job, own_session = log.read_text().splitlines()[0].partition("] ")[0], log.read_text(), log.read_text()
    assert argv == "['-m', 'harness.worker'"
    assert codec.decode(job[job.index("{") : job.rindex("}") + 1].encode(), Job) == Job(work=Work.PREPARE, source="hub")
    assert own_session.endswith("True\n")


def test_a_worker_finds_this_package_first_and_is_told_to_be_quiet(worker_that, log, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    worker_that(
        "print(*(os.environ[name] for name in ('PYTHONPATH', 'TOKENIZERS_PARALLELISM', 'NO_COLOR')))\nsys.exit(1)"
    )
    run(log)
    assert log.read_text().split() == [f"{ROOT}{os.pathsep}/somewhere/else", "false", "1"]


def test_progress_is_passed_on_in_order_before_the_result(worker_that, log):
    step = 'tell(b\'{"progress": {"done": %d, "total": 3, "text": "t"}}\\n\' % n)'
    worker_that(f"for n in (1, 2, 3):\n    {step}\n{RESULT}")
    seen = []
    assert run(log, on_progress=seen.append).facts == {"total_parameters": 7}
    assert seen == [Progress(done=n, total=3, text="t") for n in (1, 2, 3)]


def test_a_message_longer_than_the_pipe_arrives_whole(worker_that, log):
    worker_that(
        "text = b'{\"facts\": {\"long\": \"' + b'x' * 1_000_000 + b'\"}}\\n'\nwhile text:\n    text = text[tell(text):]"
    )
    assert run(log).facts == {"long": "x" * 1_000_000}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "the worker was ended by SIGKILL; the system may have run out of memory"),
        ("os.kill(os.getpid(), 11)", "the worker was ended by SIGSEGV"),
        ("sys.exit(7)", "the worker ended with exit code 7 and no result"),
        ('tell(b\'{"facts": {"half\')', "the worker ended with exit code 0 and no result"),
        (
            'tell(b\'{"progress": {"done": 1, "total": 3, "text": ""}}\\n\'); sys.exit(1)',
            "the worker ended with exit code 1 and no result",
        ),
    ],
)
def test_a_worker_that_ends_without_a_result_is_a_crash_that_says_how(worker_that, log, code, reason):
    worker_that(code)
    failure = run(log).failure
    assert failure.status is Status.CRASHED
    assert failure.reason == reason
    assert log.exists()


@pytest.fixture
def counter(tmp_path, monkeypatch):
    """The kernel's count of what it killed for memory: 3 by now, in a file like the real ones."""
    path = tmp_path / "vmstat"
    path.write_text("nr_free_pages 9\noom_kill_group 8\noom_kill 3\n")
    monkeypatch.setattr(worker_process, "_OOM_COUNTERS", (tmp_path / "none", path))
    return path


@pytest.mark.parametrize(
    ("kills", "signal", "status", "reason"),
    [
        (4, 9, Status.OOM, "the system ran out of memory and killed the worker"),
        (3, 9, Status.CRASHED, "the worker was ended by SIGKILL; the system may have run out of memory"),
        (4, 11, Status.CRASHED, "the worker was ended by SIGSEGV"),
    ],
)
def test_the_kernel_s_count_tells_whether_memory_ran_out(worker_that, log, counter, kills, signal, status, reason):
    worker_that(f"open({str(counter)!r}, 'w').write('oom_kill {kills}\\n')\nos.kill(os.getpid(), {signal})")
    failure = run(log).failure
    assert (failure.status, failure.reason) == (status, reason)


def test_a_kill_for_memory_keeps_the_worker_s_last_words(worker_that, log, counter):
    worker_that(
        f"print('step 9', flush=True)\nopen({str(counter)!r}, 'w').write('oom_kill 9')\nos.kill(os.getpid(), 9)"
    )
    assert run(log).failure.reason == "the system ran out of memory and killed the worker: step 9"


# The real worker with other work in the place of its own, so that MLX need not be imported.
STAND_IN = """
from types import SimpleNamespace
sys.path[:0] = [{root!r}, *{site!r}]
from harness import errors
from harness.inputs import protocol
from harness.worker import main
from harness.worker.failure_status import Diverged
def do(job, blas, progress):
    {work}
sys.modules["harness.worker.jobs"] = SimpleNamespace(run_job=do)
main.load_fast_blas = lambda: None
sys.exit(main.main(sys.argv[2:]))
"""


@pytest.fixture
def real_worker_that(worker_that):
    def put(work):
        worker_that(STAND_IN.format(root=str(ROOT), site=[p for p in sys.path if p], work=work))

    return put


@pytest.mark.parametrize(
    ("work", "status", "reason"),
    [
        ("raise errors.BadWeights('no weights')", Status.FAILED, "no weights"),
        ("[][0]", Status.FAILED, "IndexError: list index out of range"),
        ("raise MemoryError('of 9 GB')", Status.OOM, "out of memory: of 9 GB"),
        (
            "raise RuntimeError('[malloc] Unable to allocate 9 bytes.')",
            Status.OOM,
            "RuntimeError: [malloc] Unable to al",
        ),
        ("raise Diverged('the loss is nan')", Status.DIVERGED, "the loss is nan"),
        ("raise NotImplementedError('no fp4')", Status.SKIPPED, "NotImplementedError: no fp4"),
        ("raise RuntimeError('[X::vjp] NYI')", Status.SKIPPED, "RuntimeError: [X::vjp] NYI"),
        ("os.abort()", Status.CRASHED, "the worker was ended by SIGABRT"),
        ("os._exit(7)", Status.CRASHED, "the worker ended with exit code 7 and no result"),
    ],
)
def test_each_way_a_worker_ends_has_its_status(real_worker_that, log, work, status, reason):
    real_worker_that(work)
    failure = run(log).failure
    assert failure.status is status
    assert failure.reason.startswith(reason)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's order of victims is Linux's")
def test_a_worker_is_the_first_that_the_kernel_kills_when_memory_runs_out(real_worker_that, log):
    real_worker_that("return protocol.Message(facts={'order': open('/proc/self/oom_score_adj').read()})")
    assert run(log).facts == {"order": "1000\n"}
    assert Path("/proc/self/oom_score_adj").read_text() != "1000\n"


def test_a_worker_that_aborts_leaves_a_traceback_in_its_log(worker_that, log, tmp_path, monkeypatch):
    """Through the environment, so with a Python that reads it."""
    worker_that("os.abort()")
    script = Path(sys.executable)
    script.write_text(script.read_text().replace(" -I\n", "\n", 1))
    failure = run(log).failure
    assert failure.status is Status.CRASHED
    assert failure.reason.startswith("the worker was ended by SIGABRT: ")
    assert "Fatal Python error: Aborted" in log.read_text()


def test_the_reason_of_a_crash_ends_with_the_last_three_lines_of_the_log(worker_that, log):
    worker_that("print('one\\ntwo\\n\\n  three  \\n', flush=True)\nprint('four', file=sys.stderr)\nsys.exit(1)")
    assert run(log).failure.reason == "the worker ended with exit code 1 and no result: two | three | four"
    assert log.read_text().split() == ["one", "two", "three", "four"]


def test_no_home_directory_stays_in_a_reason_or_a_log(worker_that, log, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    worker_that("print('no room in /home/someone/models')\nsys.exit(1)")
    assert run(log).failure.reason.endswith(": no room in ~/models")
    assert log.read_text() == "no room in ~/models\n"


def test_a_failure_that_the_worker_tells_itself_keeps_the_log(worker_that, log):
    worker_that('print("why")\ntell(b\'{"failure": {"status": "oom", "reason": "out of memory"}}\\n\')')
    failure = run(log).failure
    assert (failure.status, failure.reason) == (Status.OOM, "out of memory")
    assert log.read_text() == "why\n"


# The worker and a child of its own both hold one end of a FIFO; the other end tells when both are gone.
WITH_A_CHILD = """
fifo = os.open({fifo!r}, os.O_WRONLY)
subprocess.Popen(["sleep", "60"], pass_fds=(fifo,))
tell(b'{{"progress": {{"done": 1, "total": 2, "text": ""}}}}\\n')
sys.stdin.read()
"""


@pytest.fixture
def family(worker_that, tmp_path):
    """A worker that has a child, tells so, and hangs; give the end of the line that both of them hold."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    worker_that(WITH_A_CHILD.format(fifo=str(fifo)))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield reader
    os.close(reader)


def test_a_worker_that_hangs_is_killed_with_all_its_children_when_its_time_is_up(family, log, monkeypatch):
    """The clock stands still until the worker hangs, and is then past the deadline."""
    now_s = 1000.0
    monkeypatch.setattr(worker_process, "monotonic_s", lambda: now_s)
    seen = []

    def time_passes(progress):
        nonlocal now_s
        seen.append(progress.done)
        now_s += 31.0

    failure = run(log, timeout_s=30.0, on_progress=time_passes).failure
    assert seen == [1]
    assert (failure.status, failure.reason) == (Status.TIMEOUT, "no result within 30 s; the worker was killed")
    assert hung_up(family)
    assert log.exists()


def test_a_worker_that_never_reads_its_job_is_killed_when_its_time_is_up(worker_that, log, monkeypatch):
    """The job is longer than a pipe holds; the clock stands still until the worker is there, and jumps then."""
    now_s = 1000.0
    monkeypatch.setattr(worker_process, "monotonic_s", lambda: now_s)

    def time_passes(progress):
        nonlocal now_s
        now_s += 30.0

    worker_that('tell(b\'{"progress": {"done": 1, "total": 2, "text": ""}}\\n\')\nos.read(os.pipe()[0], 1)')
    job = Job(work=Work.TRAINING, adapter_dir="x" * 1_000_000)
    failure = run(log, job=job, timeout_s=30.0, on_progress=time_passes).failure
    assert (failure.status, failure.reason) == (Status.TIMEOUT, "no result within 30 s; the worker was killed")


def test_a_worker_that_uses_more_than_its_limit_is_killed_with_all_its_children(family, log, monkeypatch):
    """It is at its limit until it hangs; the second look after that is one byte over."""
    looks = [2**33]
    monkeypatch.setattr(worker_process, "_LOOK_S", 0.0)
    monkeypatch.setattr(worker_process.memory, "used_bytes", lambda pid: looks.pop() if len(looks) > 1 else looks[0])

    def grow(progress):
        looks[:] = [2**33 + 1, 2**33]

    failure = run(log, memory_limit_bytes=2**33, on_progress=grow).failure
    assert failure.status is Status.OOM
    assert failure.reason == "the worker used 8.000 GiB, over the limit of 8.000 GiB; it was killed"
    assert hung_up(family)
    assert log.exists()


def test_a_worker_s_own_memory_counts_in_bytes(worker_that, log):
    worker_that("held = b'x' * 300_000_000\nsys.stdin.readline()\nos.read(os.pipe()[0], 1)")
    failure = run(log, memory_limit_bytes=250_000_000).failure
    assert failure.status is Status.OOM
    used_mib = float(failure.reason.removeprefix("the worker used ").partition(" MiB")[0])
    assert 238.4 < used_mib < 400
    assert failure.reason.endswith("over the limit of 238.4 MiB; it was killed")


def test_a_worker_whose_memory_nobody_knows_is_left_alone(worker_that, log, monkeypatch):
    monkeypatch.setattr(worker_process.memory, "used_bytes", lambda pid: None)
    worker_that(RESULT)
    assert run(log, memory_limit_bytes=1).facts == {"total_parameters": 7}


def test_without_a_limit_nobody_looks(worker_that, log, monkeypatch):
    monkeypatch.setattr(worker_process, "_LOOK_S", 0.0)
    monkeypatch.setattr(worker_process.memory, "used_bytes", lambda pid: pytest.fail("looked"))
    worker_that(RESULT)
    assert run(log).facts == {"total_parameters": 7}


def test_memory_is_looked_at_four_times_a_second_and_the_worker_s_alone(monkeypatch):
    now_s, looked = 1000.0, []
    monkeypatch.setattr(worker_process, "monotonic_s", lambda: now_s)
    monkeypatch.setattr(worker_process.memory, "used_bytes", lambda pid: looked.append((now_s, pid)))
    watch = worker_process._Watch(worker=SimpleNamespace(pid=7), timeout_s=0.6, memory_limit_bytes=1)
    left_s = []
    while watch.excess() is None:
        left_s.append(watch.left_s())
        now_s += 0.125
    assert looked == [(1000.0, 7), (1000.25, 7), (1000.5, 7)]
    assert left_s == pytest.approx([0.25, 0.125, 0.25, 0.125, 0.1])
    assert watch.left_s() == 0.0


def test_a_worker_does_not_outlive_an_interrupted_session(family, log):
    interrupted(log)
    assert hung_up(family)


def test_nothing_stays_open_after_an_interruption(family, log):
    before = open_files()
    interrupted(log)
    assert open_files() == before


def hung_up(reader):
    """Whether nobody holds the other end any more. A killed process takes a moment to be gone."""
    ready, _, _ = select.select([reader], [], [], 10)
    return bool(ready) and os.read(reader, 1) == b""


def interrupted(log):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(log, on_progress=interrupt)


def open_files():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_a_worker_that_does_not_end_after_its_result_is_killed_and_its_result_counts(worker_that, log, monkeypatch):
    monkeypatch.setattr(worker_process, "_GRACE_S", 0.05)
    worker_that(f"{RESULT}\nsys.stdin.read()")
    assert run(log).facts == {"total_parameters": 7}
    assert not log.exists()


def test_a_real_worker_that_is_killed_at_work_is_a_crash(nano, tiny_profile, log):
    """As the system does it when memory runs out: after the first step, from outside."""
    job = Job(work=Work.TRAINING, ready=nano("gpt2"), adapter=read_adapter("qv-r8"), profile=tiny_profile)
    killed = []

    def kill(progress):
        for child in psutil.Process().children():
            if "harness.worker" in child.cmdline() and not killed:
                killed.append(progress.done)
                child.kill()

    failure = run(log, job=job, on_progress=kill).failure
    assert killed == [1]
    assert failure.status is Status.CRASHED
    assert failure.reason.startswith("the worker was ended by SIGKILL; the system may have run out of memory")
    assert "iter" in log.read_text()  # the head of the trainer's table


def test_nothing_stays_open_after_a_success_or_a_crash(worker_that, log):
    before = open_files()
    worker_that(RESULT)
    run(log)
    worker_that("sys.exit(1)")
    run(log)
    assert open_files() == before


def test_a_worker_that_dies_before_it_has_read_a_long_job_is_a_crash_too(worker_that, log):
    """A job too long for a pipe: writing it waits for a reader that never comes."""
    worker_that("sys.exit(5)")
    failure = run(log, job=Job(work=Work.TRAINING, adapter_dir="x" * 1_000_000)).failure
    assert failure.status is Status.CRASHED
    assert failure.reason == "the worker ended with exit code 5 and no result"


def test_a_worker_that_dies_before_it_is_given_its_job_is_a_crash_too(worker_that, log, monkeypatch):
    """Its end is waited for, and not collected, before the job is written."""

    def encode(job):
        (child,) = psutil.Process().children()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return b"{}"

    worker_that("sys.exit(5)")
    monkeypatch.setattr(codec, "encode", encode)
    failure = run(log).failure
    assert failure.status is Status.CRASHED
    assert failure.reason == "the worker ended with exit code 5 and no result"


def test_a_line_that_is_no_message_is_a_crash_too(worker_that, log):
    worker_that("tell(b'what?\\n')\nsys.stdin.read()")
    failure = run(log).failure
    assert failure.status is Status.CRASHED
    assert failure.reason.startswith("the worker sent a line that is no message")
