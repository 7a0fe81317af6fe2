"""Two real sessions whose workers answer at once, and the comparison that has them take turns."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psutil
import pytest

from harness.analysis.judge import Design
from harness.errors import BadConfig, HarnessError
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.results import store
from harness.results.records import Status
from harness.session.ab import compare
from harness.session.ab.arms import PreparedArm
from harness.session.ab.pairs import PairPlan
from harness.session.ab.side import SideLost

ROOT = Path(__file__).parents[3]
ARGUMENTS = ("-p", "tests.support.faked_workers", "-p", "no:cacheprovider", "suites/inference", "--models", "tinyllama")
BASE = "inference/tinyllama/base"


def arm(text="same", **variables):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return PreparedArm(
        text=text,
        python=Path(sys.executable),
        directory=ROOT,
        variables={"PYTHONPATH": path, **variables},
        facts={"kind": text},
    )


class Gate:
    """Answers with these verdicts, the last one again and again, and keeps what it was asked."""

    def __init__(self, *verdicts):
        self.asked, self._verdicts = [], list(verdicts or [GateVerdict.INCONCLUSIVE])

    def __call__(self, baseline, candidate, looks):
        self.asked.append((baseline, candidate, looks))
        next_verdict = self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]
        row = GateRow(case=BASE, metric="m", verdict=next_verdict, reason="because")
        return GateResult(baseline=baseline.run.id, candidate=candidate.run.id, design=Design.PAIRED, rows=(row,))


def compared(tmp_path, gate, *arguments, a=None, b=None, pairs=2, say=lambda _: None, **plan):
    return compare.compare(
        (a or arm(), b or arm()),
        [*ARGUMENTS, *arguments],
        PairPlan(pairs=pairs, budget_s=plan.get("budget_s"), seed=3),
        results_dir=tmp_path,
        gate=gate,
        say=say,
    )


def processes(record):
    return len(record.metrics["decode_tokens_per_s"].samples)


def test_both_sides_are_stored_as_runs_that_name_each_other_and_say_how_they_were_measured(tmp_path):
    gate, messages = Gate(), []
    outcome = compared(tmp_path, gate, b=arm("env:X=1", X="1"), say=messages.append)
    a, b = map(store.read_run, outcome.directories)
    assert (a.run.paired_with, b.run.paired_with) == (b.run.id, a.run.id)
    assert (a.run.id[-2:], b.run.id[-2:], a.run.id[:-2]) == ("-a", "-b", b.run.id[:-2])
    for side, run, text in (("A", a, "same"), ("B", b, "env:X=1")):
        assert run.run.finished_at is not None
        assert {record.status for record in run.records} == {Status.OK}
        assert {record.case: processes(record) for record in run.records} == dict.fromkeys(outcome.pairs, 2)
        entry = run.run.options["ab"]
        assert (entry["side"], entry["arm"], entry["facts"], entry["seed"]) == (side, text, {"kind": text}, 3)
        assert list(entry["orders"]) == list(outcome.pairs)
        assert [sorted(orders) for orders in entry["orders"].values()] == [["AB", "BA"]] * 2
        assert entry["ended"] == outcome.ended == "all 2 pairs are measured"
    assert a.run.order == b.run.order
    assert outcome.pairs == {BASE: 2, "inference/tinyllama/qv-r8": 2}
    asked, last = gate.asked[0], gate.asked[-1]
    assert asked[1].run.paired_with == asked[0].run.id  # at a look the records are those of the processes so far
    assert [processes(record) for record in asked[0].records] == [2, 2]
    assert asked[1].records[0].identity == b.records[0].identity
    assert last == (a, b, len(PairPlan(pairs=2, budget_s=None, seed=3).looks))
    assert messages[0].startswith("warning: 2 of 6 pairs that a verdict on speed takes")
    for line in ("A: looking at the machine", "B: preparing tinyllama"):
        assert line in messages
    assert messages.count("A: training the adapter of inference/tinyllama/qv-r8 first, unmeasured") == 1
    log = (outcome.directories[1] / "logs" / "session.log").read_text(encoding="utf-8")
    assert "2 passed" in log
    assert not any((outcome.directories[0] / "processes").iterdir())


def test_a_clear_verdict_ends_it_with_as_many_processes_on_either_side(tmp_path):
    outcome = compared(tmp_path, Gate(GateVerdict.PASS), "-k", "base", pairs=20)
    runs = [store.read_run(directory) for directory in outcome.directories]
    assert [[processes(record) for record in run.records] for run in runs] == [[10], [10]]
    assert outcome.ended == "the verdict is clear"
    assert outcome.result.exit_code == 0
    assert [run.run.options["ab"]["looked"] for run in runs] == [[10], [10]]


def test_a_case_that_one_side_loses_ends_on_both_and_is_a_failed_record_there(tmp_path):
    outcome = compared(tmp_path, Gate(), "-k", "base", b=arm(FAKED_FAILS="3"), pairs=8)
    (a,), (b,) = (store.read_run(directory).records for directory in outcome.directories)
    assert (a.status, processes(a)) == (Status.OK, 2)
    assert (b.status, b.reason) == (Status.OOM, "too large")
    assert outcome.pairs == {BASE: 2}
    assert outcome.ended == "no case is left"


def test_a_session_that_cannot_begin_is_told_by_its_last_words_and_leaves_nothing(tmp_path):
    with pytest.raises(SideLost, match=r"side A \(same\)[\s\S]*exit code 4[\s\S]*unknown model 'tinylama'"):
        compared(tmp_path, Gate(), "--models", "tinylama")
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_dies_ends_the_other_whose_readings_stay(tmp_path):
    with pytest.raises(SideLost, match=r"side B \(env:D\)[\s\S]*exit code 9\n[\s\S]*the last words"):
        compared(tmp_path, Gate(), "-k", "base", b=arm("env:D", FAKED_DIES="2"), pairs=4)
    (a,) = (store.read_run(path) for path in tmp_path.glob("*-a"))
    assert (processes(a.records[0]), a.run.paired_with) == (1, None)


def test_a_session_that_does_not_end_in_order_makes_no_pair(tmp_path):
    with pytest.raises(SideLost, match=r"side B \(same\)[\s\S]*exit code 5"):
        compared(tmp_path, Gate(), "-k", "base", b=arm(FAKED_ENDS="5"))
    assert [store.read_run(path).run.paired_with for path in tmp_path.iterdir()] == [None, None]


def test_sides_with_other_cases_are_refused(tmp_path):
    with pytest.raises(HarnessError, match="inference/tinyllama/qv-r8 is not in both"):
        compared(tmp_path, Gate(), b=arm(PYTEST_ADDOPTS="-k base"))
    assert list(tmp_path.iterdir()) == []


def test_who_interrupts_before_a_pair_is_measured_finds_nothing_stored(tmp_path):
    def say(text):
        if text.startswith("preparing B"):
            raise KeyboardInterrupt

    outcome = compared(tmp_path, Gate(), say=say)
    assert (outcome.result, outcome.interrupted) == (None, True)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def held_on_side_b(tmp_path, *variables, after="pair 1 of 8"):
    """A comparison whose side B has a worker that never ends, and all processes of it: two sessions and the worker."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [
        sys.executable,
        "-m",
        "harness",
        "ab",
        "same",
        ",".join([f"env:FAKED_HOLDS={tmp_path / 'held'}", *variables]),
    ]
    command += ["--results-dir", str(tmp_path / "results"), "--pairs", "8", "--", *ARGUMENTS, "-k", "base"]
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as comparison:
        for line in comparison.stderr:
            if line.startswith(after):
                break
        held = tmp_path / "held"
        while not (held.exists() and held.read_text(encoding="ascii").endswith("\n")):
            assert comparison.poll() is None
            os.sched_yield()
        family = psutil.Process(comparison.pid).children(recursive=True)
        assert int(held.read_text(encoding="ascii")) in {process.pid for process in family}
        assert len(family) == 3
        try:
            yield comparison, family
        finally:
            for process in filter(runs, family):
                process.kill()


def runs(process):
    """Return whether *process* runs; a process that has ended but was not waited for does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left(processes):
    """Those that still run after as long as they may take."""
    deadline = monotonic() + 20
    while (remaining := list(filter(runs, processes))) and monotonic() < deadline:
        os.sched_yield()
    return remaining


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_who_has_it_stop_breaks_off_the_process_that_is_measured_and_stores_the_pairs(tmp_path, number, code):
    with held_on_side_b(tmp_path) as (comparison, family):
        comparison.send_signal(number)
        printed, _ = comparison.communicate(timeout=60)
        assert left(family) == []
    assert comparison.returncode == code
    assert f"pairs: 1 of {BASE}; interrupted" in printed
    runs = [store.read_run(path) for path in sorted((tmp_path / "results").iterdir())]
    assert [processes(run.records[0]) for run in runs] == [1, 1]
    assert [run.run.paired_with for run in runs] == [run.run.id for run in reversed(runs)]


def test_who_kills_it_in_the_middle_of_a_turn_leaves_no_process_of_it(tmp_path):
    with held_on_side_b(tmp_path) as (comparison, family):
        comparison.kill()
        assert left(family) == []
    heads = [store.read_head(path) for path in (tmp_path / "results").iterdir()]
    assert [head.run.finished_at for head in heads] == [None, None]


def test_who_kills_it_while_weights_are_fetched_leaves_no_process_of_it(tmp_path):
    with held_on_side_b(tmp_path, "FAKED_HOLDS_IN=prepare", after="B: preparing tinyllama") as (comparison, family):
        comparison.kill()
        assert left(family) == []


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "--repeats",
            "--repeats=3",
            "--run-id=x",
            "--results-dir",
            "--resume",
            "--gate=x",
            "--turnstile",
            "-x",
            "-vxs",
        ),
        *("--exitfirst", "--maxfail=2", "--collect-only", "--co", "--stepwise"),
    ],
)
def test_what_the_comparison_sets_itself_is_refused(argument):
    with pytest.raises(BadConfig, match="arguments for pytest: 1 problem"):
        compare.check(["suites", argument])


@pytest.mark.parametrize("argument", ["--profile", "--models=x", "-v", "-rx", "-kx", "-k", "x", "--lora=x", "-"])
def test_everything_else_is_pytest_s(argument):
    compare.check(["suites", argument])


def test_nothing_to_measure_is_refused():
    with pytest.raises(BadConfig, match="nothing is to be measured"):
        compare.check([])


def test_a_plan_is_as_asked_for_and_else_of_thirty_pairs():
    assert compare.plan(None, None, 42) == PairPlan(pairs=30, budget_s=None, seed=42)
    assert compare.plan(7, 1.5, 1) == PairPlan(pairs=7, budget_s=1.5, seed=1)


@pytest.mark.parametrize(("pairs", "budget_s"), [(0, None), (-1, None), (None, 0.0), (None, float("nan"))])
def test_a_plan_of_nothing_is_refused(pairs, budget_s):
    with pytest.raises(BadConfig, match="ab: 1 problem"):
        compare.plan(pairs, budget_s, 1)
