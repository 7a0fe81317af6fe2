from dataclasses import replace

from harness.inputs.config_files import read_model, read_profile
from harness.inputs.plans import Job, ReadyModel, Work
from harness.results.merge import merge_readings, merge_samples, merge_series
from harness.results.records import Readings, Series, Status
from tests.support.fakes import WEIGHTS, sample

READY = ReadyModel(config=read_model("gpt2"), directory="/models/x", weights=WEIGHTS, tokenizer="cd" * 32)


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
    merged = merge_series([{"step_s": series}, {"step_s": series}])
    assert merged == {"step_s": series, "step_s.2": replace(series, process=2)}


def test_labels_that_all_processes_have_survive_and_the_others_have_a_reason():
    cold = Readings(values=(9.0, 1.0), labels=("cold", "warm"))
    warm = Readings(values=(2.0,), labels=("warm",), reason="no cold")
    merged = merge_readings([{"load_s": cold}, {"load_s": warm}])["load_s"]
    assert (merged.samples, merged.labels, merged.reason) == (((1.0,), (2.0,)), ("warm",), "no cold")


def test_labels_that_one_process_has_more_often_are_left_out():
    once, twice = (Readings(values=(1.0,) * len(labels), labels=labels) for labels in (("a", "b"), ("b", "a", "a")))
    merged = merge_readings([{"itl_s": once}, {"itl_s": twice}])["itl_s"]
    assert (merged.samples, merged.labels) == (((1.0,), (1.0,)), ("b",))


def test_a_metric_that_one_process_lacks_altogether_does_not_shift_the_others():
    merged = merge_readings([{}, {"load_s": Readings(values=(1.0,))}])["load_s"]
    assert (merged.samples, merged.reason) == (None, "one of the processes did not read it")


def test_a_record_holds_what_all_processes_measured_and_what_the_first_one_said():
    job = Job(work=Work.INFERENCE, ready=READY, adapter=None, adapter_dir=None, profile=read_profile("smoke"))
    first = replace(sample(job), started_at="2026-01-02T03:04:05Z", wall_s=1.25, notes=("one", "both"))
    second = replace(sample(job), started_at="2026-01-02T03:04:07Z", wall_s=2.5, notes=("both",), outputs=(), data=None)
    record = merge_samples("inference/gpt2/base", [first, second], started_at="now")
    assert (record.case, record.suite, record.status) == ("inference/gpt2/base", "inference", Status.OK)
    assert (record.started_at, record.wall_s) == ("2026-01-02T03:04:05Z", 3.75)
    assert record.metrics["ttft_s"].samples == ((0.5,), (0.5,))
    assert {"step_s", "step_s.2"} <= set(record.series)
    assert (record.key, record.outputs, record.data) == (first.key, first.outputs, first.data)
    assert record.notes == ("one", "both")


def test_the_record_of_no_process_is_empty_and_has_a_beginning():
    record = merge_samples("inference/gpt2/base", [], started_at="2026-01-02T03:04:05Z")
    assert (record.started_at, record.key, record.metrics, record.outputs) == ("2026-01-02T03:04:05Z", None, {}, ())
