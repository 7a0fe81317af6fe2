"""Kills sessions and workers at random moments and goes on with the runs: nothing lost, nothing torn, all complete.

Each round starts a session over a stand-in, kills the session itself (even rounds) or the worker that is measuring
(odd rounds) with SIGKILL at a moment drawn from a seed, looks at what is on disk, and goes on with `--resume` until
pytest says that every case is ok.

    python benchmarks/kill.py [--rounds 20]
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.results import store
from harness.results.records import Status

ROOT = Path(__file__).parents[1]
MOST_RESUMPTIONS = 3
ARGUMENTS = ["suites/", "--models", "tinyllama", "--weights", "embedded", "--repeats", "2", "--no-report", "-q"]


def session(results: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start pytest over the suites."""
    command = [sys.executable, "-m", "pytest", *ARGUMENTS, "--results-dir", results, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finished(results: str) -> dict[str, bytes]:
    """The records on disk that are ok, each of them read whole."""
    records = {}
    for path in Path(results).glob("run/*+*.json"):
        text = path.read_bytes()
        if json.loads(text)["record"]["status"] == "ok":
            records[path.name] = text
    return records


def kill(victim: subprocess.Popen[bytes], *, worker: bool) -> str:
    """Kill the session, or the worker it waits for; say which it was."""
    if not worker:
        victim.kill()
        victim.wait()
        return "session"
    try:
        children = [child for child in psutil.Process(victim.pid).children() if "harness.worker" in child.cmdline()]
        for child in children:
            child.send_signal(signal.SIGKILL)
    except psutil.Error:
        children = []
    victim.wait()
    return "worker" if children else "nothing (no worker was running)"


def orphans() -> set[int]:
    """Workers that are still there, adopted by the system, after a moment to notice that their session is gone."""
    deadline = time.monotonic() + 10
    while (left := _adopted()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _adopted() -> set[int]:
    running = psutil.process_iter(["cmdline", "ppid"])
    return {
        process.pid
        for process in running
        if process.info["ppid"] == 1 and "harness.worker" in (process.info["cmdline"] or [])
    }


def play(moment_s: float, case_ids: set[str], *, worker: bool) -> tuple[bool, str]:
    """Start, kill at that moment, look, go on; say whether all is as it should be, and what happened."""
    with tempfile.TemporaryDirectory() as results:
        victim = session(results, "--run-id", "run")
        try:
            victim.wait(moment_s)
        except subprocess.TimeoutExpired:
            target = kill(victim, worker=worker)
        else:
            target = "nothing (it had ended)"
        left = orphans()
        finished_cases = finished(results)
        code, resumptions = 1, 0
        while code and resumptions < MOST_RESUMPTIONS:
            resumptions += 1
            started = Path(results, "run", store.RUN_FILE).exists()
            code = session(results, *(["--resume", "run"] if started else ["--run-id", "run"])).wait()
        after = finished(results)
        kept = all(after.get(name) == text for name, text in finished_cases.items())
        statuses = {record.status for record in store.read_run(Path(results, "run")).records}
        ok = kept and set(after) == case_ids and statuses == {Status.OK} and code == 0 and not left
        words = (
            f"killed {target} after {moment_s:.1f} s: {len(finished_cases)} records kept, {resumptions} resumption(s)"
        )
        return ok, words + (f", orphans {left}" if left else "")


def main() -> None:
    """Run the rounds; exit with 1 if anything was lost, torn, or left undone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments = random.Random(options.seed)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as results:
        start = time.monotonic()
        session(results, "--run-id", "run").wait()
        whole_s = time.monotonic() - start
        case_ids = set(finished(results))
    print(f"undisturbed: {len(case_ids)} cases ok in {whole_s:.0f} s", flush=True)
    good = 0
    for number in range(options.rounds):
        ok, words = play(moments.uniform(0.5, whole_s), case_ids, worker=number % 2 == 1)
        good += ok
        print(f"{number + 1:2}. {words}: {'complete' if ok else 'NOT AS IT SHOULD BE'}", flush=True)
    print(f"{good} of {options.rounds} rounds lost nothing and were completed")
    sys.exit(good < options.rounds)


if __name__ == "__main__":
    main()
