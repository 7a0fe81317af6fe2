import pytest

from harness.gate.policy_file import read_gate_policy
from harness.gate.verdicts import GateVerdict
from harness.gate.wording.terms import full_reason
from harness.results import store
from harness.results.records import Status
from harness.session.gate_after_run import GateAfterRun
from harness.session.session import Session
from tests.session.test_session import case_of, options
from tests.support.fakes import FakeWorkers, SlowedWorkers


def measured(tmp_path, workers, run_id):
    """A finished session of one training, five processes."""
    session = Session(
        settings=options(tmp_path, repeats=5, run_id=run_id),
        command=["pytest"],
        on_progress=lambda *_: None,
        run_process=workers,
    )
    case = case_of(session, "training")
    session.start([case], lambda _: None)
    for _ in range(5):
        session.measure(case)
    session.close(case, None)
    session.finish()
    return session, [case]


@pytest.fixture
def judge(tmp_path):
    """Measure a baseline, and a candidate with *workers*; judge it."""
    before, _ = measured(tmp_path, FakeWorkers(), "before")
    stored = store.read_run(before.directory)
    keeper = GateAfterRun(baseline=stored, policy=read_gate_policy(), asked=("before", before.directory))

    def judged(workers):
        session, cases = measured(tmp_path, workers, "after")
        messages = []
        return keeper.judge(session, cases, messages.append), messages

    return judged


def runs(tmp_path):
    return sorted(path.name for path in (tmp_path / "results").iterdir())


def session_options(tmp_path, run_id):
    return store.read_run(tmp_path / "results" / run_id).run.options


def test_a_run_that_did_not_change_is_measured_once(judge, tmp_path):
    result, messages = judge(FakeWorkers())
    assert (result.verdict, messages) == (GateVerdict.PASS, [])
    assert [origin.path for origin in result.origins] == [
        str(tmp_path / "results" / run_id) for run_id in ("before", "after")
    ]
    assert [origin.typed for origin in result.origins] == ["before", None]
    assert runs(tmp_path) == ["after", "before"]


def test_a_slowdown_that_recurs_is_a_regression_and_both_runs_are_stored(judge, tmp_path):
    result, messages = judge(SlowedWorkers(10))
    assert result.verdict is GateVerdict.REGRESSION
    assert "suspected: training/tinyllama/qv-r8" in messages[0]
    assert runs(tmp_path) == ["after", "after-again", "before"]
    second = store.read_run(tmp_path / "results" / "after-again")
    (again,) = second.records
    assert (again.status, again.processes) == (Status.OK, 5)
    assert second.run.options["again_of"] == "after"
    assert "again_of" not in session_options(tmp_path, "after")
    (row,) = [row for row in result.rows if row.verdict is GateVerdict.REGRESSION]
    assert "measured again: ratio 0.500" in full_reason(row)


def test_a_slowdown_that_does_not_recur_does_not_count(judge, tmp_path):
    result, _ = judge(SlowedWorkers(5))
    assert result.verdict is GateVerdict.PASS
    assert any("did not recur" in full_reason(row) for row in result.rows)
    assert runs(tmp_path) == ["after", "after-again", "before"]


def test_a_suspicion_that_cannot_be_measured_again_stays_open(judge, tmp_path):
    class Crashing(SlowedWorkers):
        def __call__(self, job, **others):
            if job.work == "training" and self._slow == 0:
                self._fail["training"] = [("crashed", "SIGKILL")]
            return super().__call__(job, **others)

    result, _ = judge(Crashing(5))
    assert result.verdict is GateVerdict.INCONCLUSIVE
    (again,) = store.read_run(tmp_path / "results" / "after-again").records
    assert again.status is Status.CRASHED
