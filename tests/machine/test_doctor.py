import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.machine import doctor
from harness.machine.doctor import DoctorSeverity, Facts
from harness.results import codec
from harness.results.records import Environment

GIB = 1 << 30
PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
FINE = Environment(
    device={"name": "cpu: Some CPU", "type": "cpu"},
    os={"system": "Linux", "cores": 8, "threads": 16, "memory_bytes": 32 * GIB, "cpu_limit_cores": None},
    packages={"mlx": "1", "mlx-lm": "1"},
    blas={"library": "openblas 1", "fast": True, "problem": None},
    roofline={"gemm_flops_per_s": 9e10, "numpy_gemm_flops_per_s": 1e11},
    power={
        "load_average_1min": 0.5,
        "other_cpu_share": 0.01,
        "cpu_steal_share": 0.0,
        "competing_processes": 0,
        "memory_available_bytes": 24 * GIB,
        "swap_used_bytes": 0,
        "on_battery": False,
    },
    compiler="g++ 12",
    self_check={"ok": True},
)
NO_WORKER = replace(FINE, device={}, blas={}, roofline={}, self_check=None)


def facts(environment=FINE, **changes):
    plain = Facts(
        environment=environment,
        failure=None,
        hub_problem=None,
        energy_parts=("package",),
        energy_reason=None,
        results_free_bytes=50 * GIB,
        cache_free_bytes=50 * GIB,
    )
    return replace(plain, **changes)


def changed(part, **values):
    """The machine that is fine, but for some facts of one part."""
    return replace(FINE, **{part: {**getattr(FINE, part), **values}})


def found(machine_facts):
    """The findings as rule and severity, where only these matter."""
    return [(finding.rule, finding.severity.value) for finding in doctor.examine(machine_facts).findings]


def test_a_machine_without_faults_is_fine():
    examination = doctor.examine(facts())
    assert (examination.findings, examination.ok) == ((), True)


def test_of_a_machine_that_tells_nothing_nothing_is_found():
    """But that mlx-lm is installed has to be known: without it nothing runs."""
    unknown = Environment(
        device={}, os={}, packages={"mlx-lm": "1"}, blas={}, roofline={}, power={}, compiler=None, self_check=None
    )
    assert found(facts(unknown, results_free_bytes=None, cache_free_bytes=None)) == []
    keys_without_values = replace(
        unknown,
        device=dict.fromkeys(FINE.device),
        os=dict.fromkeys(FINE.os),
        blas=dict.fromkeys(FINE.blas),
        roofline=dict.fromkeys(FINE.roofline),
        power=dict.fromkeys([*FINE.power, "temperature_c", "cpu_speed_limit_share", "thermal_warning", "cpu_governor"]),
    )
    assert found(facts(keys_without_values)) == []


@pytest.mark.parametrize(
    ("environment", "rule"),
    [
        (changed("packages", **{"mlx-lm": None}), "mlx-lm"),
        (replace(FINE, self_check={"ok": False}), "self-check"),
        (changed("blas", fast=False, problem="because"), "blas-stock"),
        (changed("roofline", gemm_flops_per_s=4.9e10), "blas-slow"),
        (replace(FINE, compiler=None), "compiler"),
        (changed("power", load_average_1min=4.1), "load"),
        (changed("power", other_cpu_share=0.21), "busy"),
        (changed("power", cpu_steal_share=0.06), "steal"),
        (changed("power", on_battery=True), "battery"),
        (changed("power", low_power_mode=True), "low-power"),
        (changed("power", power_profile="low-power"), "low-power"),
        (changed("power", cpu_governor="powersave", cpu_frequency_driver="acpi-cpufreq"), "governor"),
        (changed("power", thermal_warning=True), "thermal"),
        (changed("power", cpu_speed_limit_share=0.99), "thermal"),
        (changed("power", temperature_c=91.0), "thermal"),
        (changed("power", memory_available_bytes=2 * GIB - 1), "memory"),
        (changed("os", memory_limit_bytes=2 * GIB - 1), "memory"),
    ],
)
def test_what_changes_numbers_is_a_problem(environment, rule):
    assert found(facts(environment)) == [(rule, "problem")]
    assert doctor.examine(facts(environment)).ok is False


@pytest.mark.parametrize(
    "environment",
    [
        changed("roofline", gemm_flops_per_s=5.0e10),
        changed("power", load_average_1min=4.0),
        changed("power", other_cpu_share=0.2),
        changed("power", cpu_steal_share=0.05),
        changed("power", temperature_c=90.0),
        changed("power", memory_available_bytes=2 * GIB),
        changed("power", swap_used_bytes=GIB),
        changed("power", cpu_speed_limit_share=1.0),
        changed("power", low_power_mode=False, power_profile="balanced", cpu_governor="schedutil"),
        changed("os", cpu_limit_cores=8.0),
        replace(FINE, compiler=None, os={**FINE.os, "system": "Darwin"}),
    ],
)
def test_up_to_its_threshold_nothing_is_found(environment):
    assert found(facts(environment)) == []


@pytest.mark.parametrize(
    ("machine_facts", "rule"),
    [
        (facts(changed("os", cpu_limit_cores=7.5)), "cpu-limit"),
        (facts(changed("power", cpu_governor="powersave", cpu_frequency_driver="intel_pstate")), "governor"),
        (facts(changed("power", swap_used_bytes=GIB + 1)), "swap"),
        (facts(hub_problem="no route"), "hub"),
        (facts(energy_parts=(), energy_reason="no meter"), "energy"),
    ],
)
def test_what_changes_no_number_is_a_note_and_all_is_fine(machine_facts, rule):
    assert found(machine_facts) == [(rule, "note")]
    assert doctor.examine(machine_facts).ok is True


@pytest.mark.parametrize(("place", "option"), [("results", "--results-dir"), ("cache", "TUNEBENCH_CACHE")])
def test_a_full_disk_is_named_by_what_should_go_there(place, option):
    for size, count in ((2 * GIB - 1, 1), (2 * GIB, 0)):
        findings = doctor.examine(facts(**{f"{place}_free_bytes": size})).findings
        assert [finding.rule for finding in findings] == ["disk"] * count
        assert all(f"free for the {place}" in finding.text and option in finding.remedy for finding in findings)


def test_a_worker_that_fails_is_a_problem_with_its_reason():
    (finding,) = doctor.examine(facts(NO_WORKER, failure="ImportError: libmlx.so")).findings
    assert (finding.rule, finding.severity) == ("worker", DoctorSeverity.PROBLEM)
    assert "ImportError: libmlx.so" in finding.text


def test_the_wheel_s_blas_is_one_finding_with_its_reason_and_not_two():
    slow = replace(FINE, blas={"library": "stock", "fast": False, "problem": "no compiler"})
    slow = replace(slow, roofline={"gemm_flops_per_s": 2e9, "numpy_gemm_flops_per_s": 1e11})
    (finding,) = doctor.examine(facts(slow)).findings
    assert finding.rule == "blas-stock"
    assert "no compiler" in finding.text
    assert "TUNEBENCH_BLAS" in finding.remedy


def test_a_self_check_that_fails_says_what_is_wrong():
    (finding,) = doctor.examine(facts(replace(FINE, self_check={"ok": False, "problem": "wrong at M=8"}))).findings
    assert finding.text == "wrong at M=8"


def test_a_gpu_needs_neither_a_blas_nor_a_compiler():
    gpu = replace(changed("blas", fast=False), device={"type": "gpu"}, compiler=None)
    assert found(facts(replace(gpu, roofline={"gemm_flops_per_s": 1.0, "numpy_gemm_flops_per_s": 9.0}))) == []


def test_cores_that_are_not_told_are_as_many_as_threads():
    environment = replace(changed("power", load_average_1min=8.1), os={**FINE.os, "cores": None})
    assert found(facts(environment)) == [("load", "problem")]
    environment = replace(environment, power={**FINE.power, "load_average_1min": 8.0})
    assert found(facts(environment)) == []


def test_problems_come_before_notes():
    machine_facts = facts(changed("power", swap_used_bytes=9 * GIB, on_battery=True), hub_problem="no route")
    assert found(machine_facts) == [("battery", "problem"), ("swap", "note"), ("hub", "note")]


def test_numbers_stand_in_the_finding():
    machine_facts = facts(changed("power", load_average_1min=6.5, other_cpu_share=0.5, competing_processes=3))
    load, busy = (finding.text for finding in doctor.examine(machine_facts).findings)
    assert "6.500 on 8 cores" in load
    assert "50.00 % of the processor (3 of them" in busy


def test_the_whole_answer_is_strict_json():
    text = codec.encode(doctor.examine(facts(hub_problem="no route")), indent=1)
    read = codec.decode(text, doctor.Examination)
    assert read == doctor.examine(facts(hub_problem="no route"))


def test_every_rule_stands_on_its_page_and_no_other():
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    rules = set(re.findall(r"""(?:_problem|_note|finding)\(\s*"([a-z-]+)",""", source))
    assert len(rules) == 19
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)) == rules
