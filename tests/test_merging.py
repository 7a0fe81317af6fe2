from dataclasses import replace

from harness.merging import merge_readings, merge_series
from harness.records import Readings, Series


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
