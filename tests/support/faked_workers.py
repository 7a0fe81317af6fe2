"""pytest plugin whose session has workers that answer at once. Environment variables change some turns.

FAKED_HOLDS=FILE: the second inference process writes its id to FILE and ends only if it is killed; with
FAKED_HOLDS_IN=WORK it is the first one of such work. FAKED_FAILS=N: the N-th fails. FAKED_DIES=N: the session is gone
with the N-th. FAKED_ENDS=CODE: it ends with this exit code.
"""

import functools
import os
import subprocess
import sys

import pytest

from harness.inputs.protocol import Failure, Message
from harness.results.records import Status
from harness.session import worker_process
from tests.support.fakes import FakeWorkers

HOLDS = """import os, signal, sys
print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
while True:
    signal.pause()
"""


def hold(file, job, others):
    """Run a worker that outlives its session."""
    worker_process._start = lambda writer, _: subprocess.Popen(
        [sys.executable, "-c", HOLDS, file], stdin=subprocess.PIPE, pass_fds=(writer,), start_new_session=True
    )
    return worker_process.run(job, **others)


class Workers(FakeWorkers):
    def __call__(self, job, **others):
        if job.work == os.environ.get("FAKED_HOLDS_IN"):
            return hold(os.environ["FAKED_HOLDS"], job, others)
        number = self.work.count("inference") + (job.work == "inference")
        if job.work == "inference":
            if number == 2 and (file := os.environ.get("FAKED_HOLDS")):
                return hold(file, job, others)
            if number == int(os.environ.get("FAKED_DIES", "0")):
                os.write(1, b"the last words\n")
                os._exit(9)
            if number == int(os.environ.get("FAKED_FAILS", "0")):
                self.jobs.append(job)
                return Message(failure=Failure(status=Status.OOM, reason="too large"))
        return super().__call__(job, **others)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main():
    from harness import plugin  # noqa: PLC0415 - pytest wants to import it first
    from harness.session.session import Session  # noqa: PLC0415

    plugin.Session = functools.partial(Session, run_process=Workers())


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    session.exitstatus = int(os.environ.get("FAKED_ENDS", session.exitstatus))
