"""Runs, settings and machines, as the comparison shows them."""

from tests.support.comparisons import page
from tests.support.samples import (
    RUN_ID,
    bundle,
    environment,
    failed,
    grid,
    key,
    markdown,
    measured,
    record,
    row,
    titles,
)


def test_a_setting_of_any_kind_is_words():
    settings = {"flag": True, "other": False, "none": None, "list": ["a", 1], "table": {"x": 1, "y": 2}, "number": 0.5}
    report = page(bundle(record(key=key(settings=settings))))
    facts = {cells[""].removeprefix("inference "): cells["tiny/base"] for cells in grid(report, "Configuration")}
    assert {name: facts[name] for name in settings} == {
        "flag": "yes",
        "other": "no",
        "none": "none",
        "list": "a, 1",
        "table": "x 1, y 2",
        "number": "0.5",
    }


def test_a_case_that_failed_before_its_model_was_known_says_so_in_its_column():
    report = page(bundle(failed(reason="no room")))
    assert row(report, "Configuration", "inference case") == {"": "inference case", "tiny/base": "failed: no room"}


def test_a_run_without_checkout_or_environment_says_so():
    report = page(bundle(record(), environment=None, git=None))
    assert row(report, "Runs", RUN_ID)["commit"] == "not in a checkout"
    assert "Environment" not in titles(report)


def test_a_package_of_one_machine_is_unknown_on_the_other():
    other = bundle(record(), id="other", environment=environment(packages={}))
    assert row(page(bundle(record()), other), "Environment", "mlx") == {"": "mlx", RUN_ID: "0.31.0", "other": "unknown"}


def test_a_machine_of_which_nothing_is_known_is_unknown_and_not_none():
    facts = dict.fromkeys(("system", "release", "machine", "python", "processor", "cores", "threads", "memory_bytes"))
    blank = environment(
        device={}, os=facts, packages={}, blas={"library": None}, power={"load_average_1min": None}, compiler=None
    )
    report = page(bundle(environment=blank))
    values = {cells[""]: cells[RUN_ID] for cells in grid(report, "Environment")}
    for name in ("device", "processor", "memory", "Python", "BLAS", "products against NumPy's"):
        assert values[name] == "unknown", name
    assert values["C++ compiler"] == "none"
    assert "None" not in markdown(report)


def test_what_the_machine_was_doing_is_shown_before_and_after():
    machine = environment(
        power={"load_average_1min": 0.25, "memory_available_bytes": 2**30, "on_battery": False, "temperature_c": None},
        power_after={"load_average_1min": 2.5, "memory_available_bytes": 2**29},
        self_check={"ok": True},
        code="f" * 64,
    )
    facts = {row[""]: row[RUN_ID] for row in grid(page(bundle(environment=machine)), "Environment")}
    assert (facts["load average 1min before"], facts["load average 1min after"]) == ("0.25", "2.5")
    assert (facts["memory available before"], facts["memory available after"]) == ("1.000 GiB", "512.0 MiB")
    assert (facts["on battery before"], facts["products against NumPy's"]) == ("no", "equal within tolerance")
    assert facts["measuring code sha256"] == "f" * 12
    assert not any("temperature" in name for name in facts)


def test_a_device_that_reckons_wrong_is_shouted_about():
    page_of_it = markdown(page(bundle(environment=environment(self_check={"ok": False}))))
    assert "NOT EQUAL: these numbers mean nothing" in page_of_it


def test_a_drift_of_the_machine_is_shown_with_its_interval():
    rates = (100.0, 101.0, 99.0, 100.0, 90.0, 91.0, 89.0, 90.0)
    case = "inference/tiny/base"
    case_record = record(case, metrics={"probe_gemm_flops_per_s": measured("probe_gemm_flops_per_s", *rates)})
    run = bundle(case_record, order=tuple(f"{case}#{number}" for number in range(1, 9)))
    facts = {row[""]: row[RUN_ID] for row in grid(page(run), "Environment")}
    assert facts["drift, matrix products"].startswith("-10.00 % from the first to the second half, ratio in")
    assert facts["drift, moving memory"] == "0 processes are too few to tell a drift, or a probe read 0"
