import pytest

from harness.commands import doctor_facts
from harness.errors import HarnessError
from harness.inputs import hub
from harness.inputs.plans import Job, Work
from harness.inputs.protocol import Failure, Message
from harness.machine import energy, environment, os_queries
from harness.results.records import Status
from harness.session import worker_process, worker_requests
from tests.support.samples import environment as sample_environment


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of which every part is made up; gives the order in which they were looked at."""
    looked = []

    def told(name, value):
        def look(*arguments):
            looked.append(name)
            return value(*arguments) if callable(value) else value

        return look

    monkeypatch.setattr(environment, "load_and_power", told("power", {"load_average_1min": 0.5}))
    monkeypatch.setattr(
        worker_requests, "examine", told("worker", sample_environment(power={"load_average_1min": 9.0}))
    )
    monkeypatch.setattr(hub, "unreachable", told("hub", "no route"))
    monkeypatch.setattr(energy, "open_meter", told("energy", energy.Unreadable(reason="no meter")))
    monkeypatch.setattr(os_queries, "free_bytes", told("disk", lambda path: {"results": 5, "cache": 7}[path.name]))
    monkeypatch.setattr(doctor_facts, "cache_dir", lambda: tmp_path / "cache")
    return looked


def test_all_facts_come_together(machine, tmp_path):
    facts = doctor_facts.gather(tmp_path / "results")
    assert facts.environment == sample_environment(power={"load_average_1min": 0.5})
    assert (facts.failure, facts.hub_problem) == (None, "no route")
    assert (facts.energy_parts, facts.energy_reason) == ((), "no meter")
    assert (facts.results_free_bytes, facts.cache_free_bytes) == (5, 7)


def test_load_is_looked_at_before_the_worker_makes_its_own(machine, tmp_path):
    doctor_facts.gather(tmp_path / "results")
    assert machine[:2] == ["power", "worker"]


def test_a_meter_that_reads_tells_its_parts(machine, monkeypatch, tmp_path):
    meter = energy.Counters(read_mj=lambda: {"cpu": 1, "gpu": 2})
    monkeypatch.setattr(energy, "open_meter", lambda: meter)
    facts = doctor_facts.gather(tmp_path / "results")
    assert (facts.energy_parts, facts.energy_reason) == (("cpu", "gpu"), None)


def refuse():
    raise HarnessError("no module in /home/somebody/lib")


def test_a_worker_that_fails_leaves_what_can_be_known_without_one(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setattr(worker_requests, "examine", refuse)
    facts = doctor_facts.gather(tmp_path / "results")
    assert facts.failure == "no module in ~/lib"
    assert facts.environment.device == facts.environment.blas == facts.environment.roofline == {}
    assert facts.environment.power == {"load_average_1min": 0.5}
    assert facts.environment.packages == environment.packages()
    assert facts.environment.os["memory_bytes"] > 0


def test_a_session_examines_the_machine_in_a_worker(monkeypatch):
    jobs = []

    def run(job, **options):
        jobs.append(job)
        return Message(environment=sample_environment())

    monkeypatch.setattr(worker_process, "run", run)
    assert worker_requests.examine() == sample_environment()
    assert jobs == [Job(work=Work.ENVIRONMENT)]


def test_a_worker_that_fails_refuses_with_its_reason(monkeypatch):
    failure = Failure(status=Status.CRASHED, reason="it died")
    monkeypatch.setattr(worker_process, "run", lambda job, **options: Message(failure=failure))
    with pytest.raises(HarnessError, match="it died"):
        worker_requests.examine()
