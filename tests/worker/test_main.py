import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import BadWeights
from harness.inputs.config_files import read_adapter, read_model
from harness.inputs.plans import Job, ModelConfig, Work
from harness.inputs.protocol import Message
from harness.results import codec
from harness.results.records import Status
from harness.session import worker_process
from harness.worker import jobs, main
from harness.worker.blas_shim import Blas
from harness.worker.failure_status import Diverged

ROOT = Path(main.__file__).parents[2]


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Run the worker's main in this process with *do* for its work; give how it ended and what it told."""
    monkeypatch.setattr(main, "_end_with_session", lambda: None)  # it would end the tests with the session
    monkeypatch.setattr(main, "_OOM_SCORE_FILE", tmp_path / "no such system" / "oom_score_adj")

    def run(do):
        job = codec.encode(Job(work=Work.ENVIRONMENT)) + b"\n"
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(job)))
        monkeypatch.setattr(jobs, "run_job", do)
        line = tmp_path / "line"
        try:
            ended = main.main(["worker", str(os.open(line, os.O_WRONLY | os.O_CREAT))])
        except (ArithmeticError, RuntimeError, ValueError) as error:
            ended = type(error)
        return ended, [codec.decode(text, Message) for text in line.read_bytes().splitlines()]

    return run


# A worker leaves the closing of its line to the end of its process, which is right there.
closed_by_the_end = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@closed_by_the_end
def test_progress_comes_before_the_result_and_each_is_a_line(told):
    def do(job, blas, progress):
        assert job == Job(work=Work.ENVIRONMENT)
        assert isinstance(blas, Blas)
        progress(1, 2, "half\nway")
        return Message(facts={"total_parameters": 7})

    ended, (first, last) = told(do)
    assert ended == 0
    assert (first.progress.done, first.progress.total, first.progress.text) == (1, 2, "half\nway")
    assert last == Message(facts={"total_parameters": 7})


@closed_by_the_end
@pytest.mark.parametrize(
    ("error", "status", "reason", "ended"),
    [
        (BadWeights("x: no weights"), Status.FAILED, "x: no weights", 0),
        (Diverged("the training loss is nan"), Status.DIVERGED, "the training loss is nan", 0),
        (MemoryError("of 9 GB"), Status.OOM, "out of memory: of 9 GB", 0),
        (
            RuntimeError("[malloc] Unable to allocate 9 bytes."),
            Status.OOM,
            "RuntimeError: [malloc] Unable",
            RuntimeError,
        ),
        (
            RuntimeError("[metal::malloc] Attempting to allocate 9 bytes"),
            Status.OOM,
            "RuntimeError: [metal",
            RuntimeError,
        ),
        (RuntimeError("CUDA error: out of memory"), Status.OOM, "RuntimeError: CUDA error", RuntimeError),
        (NotImplementedError("fp4"), Status.SKIPPED, "NotImplementedError: fp4", NotImplementedError),
        (RuntimeError("[X::vmap] NYI"), Status.SKIPPED, "RuntimeError: [X::vmap] NYI", RuntimeError),
        (ValueError("shapes do not match"), Status.FAILED, "ValueError: shapes do not match", ValueError),
        (ZeroDivisionError("division by zero"), Status.FAILED, "ZeroDivisionError: division", ZeroDivisionError),
    ],
)
def test_each_way_to_fail_has_its_status(told, error, status, reason, ended):
    """What the harness refuses needs no traceback; what it did not expect is raised on, for the log."""

    def do(job, blas, progress):
        raise error

    how, (message,) = told(do)
    assert (how, message.failure.status) == (ended, status)
    assert message.failure.reason.startswith(reason)


def in_a_process(job, tmp_path):
    log = tmp_path / "logs" / "it.log"
    message = worker_process.run(job, log=log, timeout_s=120.0, on_progress=lambda _: None)
    return message, log.read_text() if log.exists() else None


def test_counting_gives_the_facts(tmp_path):
    odd = replace(read_model("gpt2"), name="odd", config={})
    job = Job(work=Work.COUNT, models=(read_model("qwen"), odd), adapter=read_adapter("all-r8"))
    message, log = in_a_process(job, tmp_path)
    assert message.facts["qwen"]["total_parameters"] == 1_543_714_304
    assert message.facts["qwen"]["trainable_parameters"] == 5_275_648
    assert "its sizes are neither in the registry nor on this machine" in message.facts["odd"]["problem"]
    assert log is None


def test_a_stand_in_is_the_same_whichever_process_builds_it(nano, tmp_path, monkeypatch):
    here = nano("gpt2").weights
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
    message, _ = in_a_process(Job(work=Work.PREPARE, model=read_model("gpt2"), source="embedded"), tmp_path)
    assert message.ready.weights == here
    assert Path(message.ready.directory).is_relative_to(tmp_path / "cache")


def test_a_refusal_comes_back_as_its_message(tmp_path):
    job = Job(work=Work.PREPARE, model=ModelConfig(name="hf:a/b", repository="a/b"), source="embedded")
    message, log = in_a_process(job, tmp_path)
    assert message.failure.status is Status.FAILED
    assert message.failure.reason.startswith("hf:a/b: there are no embedded weights for it")
    assert "Traceback" not in log


def test_what_nobody_expected_leaves_its_traceback_in_the_log(nano, tmp_path):
    message, log = in_a_process(Job(work=Work.TRAINING, ready=nano("gpt2")), tmp_path)
    assert message.failure.status is Status.FAILED
    assert message.failure.reason == "AssertionError: the job lacks a profile"
    assert "Traceback (most recent call last)" in log
    assert "the job lacks a profile" in log


def test_a_worker_ends_when_its_standard_input_closes(nano, tiny_profile):
    """It is in the midst of a long job: the first step is done, and a million are to come."""
    profile = replace(tiny_profile, training=replace(tiny_profile.training, iters=10**6))
    job = Job(work=Work.TRAINING, ready=nano("gpt2"), adapter=read_adapter("qv-r8"), profile=profile)
    reader, writer = os.pipe()
    with (
        subprocess.Popen(
            [sys.executable, "-m", "harness.worker", str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            cwd=ROOT,
        ) as running,
        os.fdopen(reader, "rb") as lines,
    ):
        os.close(writer)
        try:
            running.stdin.write(codec.encode(job) + b"\n")
            running.stdin.flush()
            assert codec.decode(lines.readline(), Message).progress.done == 1
            running.stdin.close()
            assert running.wait(60) == 3
        finally:
            running.kill()


def test_an_empty_job_is_refused_and_the_worker_ends():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "harness.worker", str(writer)],
        input=b"",
        capture_output=True,
        pass_fds=(writer,),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert b"Malformed" in done.stderr
