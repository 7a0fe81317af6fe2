import getpass
import json
import re
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli import main
from harness.commands.doctor import examination_text
from harness.errors import HarnessError
from harness.machine.doctor import DoctorFinding, DoctorSeverity, Examination, Facts
from harness.results.records import Environment
from tests.support.command_line import output_of
from tests.support.samples import (
    environment,
)

PROBLEM = DoctorSeverity.PROBLEM


@pytest.fixture
def machine(monkeypatch):
    """Replace the machine by a fine one: *facts* of its environment may be changed, *disks* are the paths looked up."""
    disks = []
    machine_facts = {
        "device": {"name": "cpu: One", "type": "cpu"},
        "roofline": {"gemm_flops_per_s": 9e10, "numpy_gemm_flops_per_s": 1e11},
        "packages": {"mlx-lm": "1"},
    }
    monkeypatch.setattr("harness.machine.environment.load_and_power", lambda: {"load_average_1min": 0.1})
    monkeypatch.setattr("harness.session.worker_requests.examine", lambda: environment(**machine_facts))
    monkeypatch.setattr("harness.inputs.hub.unreachable", lambda: "no route")
    monkeypatch.setattr("harness.machine.os_queries.free_bytes", lambda path: disks.append(path) or 9 << 30)
    return SimpleNamespace(facts=machine_facts, disks=disks)


def test_a_fine_machine_exits_with_0_and_notes_do_not_change_that(machine, capsys, tmp_path):
    text = output_of(capsys, "doctor", "--results-dir", tmp_path / "elsewhere")
    assert "note [hub]: no model hub can be reached (no route)" in text
    assert text.endswith("\nfine\n")
    assert machine.disks[0] == tmp_path / "elsewhere"


def test_a_machine_whose_numbers_mislead_exits_with_1_and_the_remedy(machine, capsys):
    machine.facts["blas"] = {"library": "stock", "fast": False, "problem": "TUNEBENCH_BLAS=stock was set"}
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "problem [blas-stock]: MLX uses the BLAS of its wheel (TUNEBENCH_BLAS=stock was set)" in text
    assert "remedy: unset TUNEBENCH_BLAS" in text
    assert text.endswith("\n1 problem: numbers measured here would mislead\n")


def test_a_machine_without_a_working_mlx_gets_a_finding_and_no_traceback(machine, monkeypatch, capsys):
    def refuse():
        raise HarnessError("ImportError: libmlx.so: cannot open shared object file")

    monkeypatch.setattr("harness.session.worker_requests.examine", refuse)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "problem [worker]: nothing can be measured: ImportError: libmlx.so" in captured.out
    assert captured.err == ""


def test_the_real_machine_is_described_in_strict_json_that_names_nobody(capsys):
    """With a real worker: what it says of this machine depends on the machine, but never on who owns it."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    code = main(["doctor", "--json"])
    text = capsys.readouterr().out
    examination = json.loads(text, parse_constant=refuse)
    assert code == (0 if examination["ok"] else 1)
    assert examination["ok"] == all(finding["severity"] == "note" for finding in examination["findings"])
    machine = examination["facts"]["environment"]
    assert examination["facts"]["failure"] is None
    assert machine["device"]["name"]
    assert re.fullmatch("[0-9a-f]{64}", machine["code"])
    values = {str(value) for part in machine.values() if isinstance(part, dict) for value in part.values()}
    assert not {getpass.getuser(), socket.gethostname()} & values
    assert str(Path.home()) == "/" or str(Path.home()) not in text


def facts(machine=None, **changes):
    plain = Facts(
        environment=machine or environment(),
        failure=None,
        hub_problem=None,
        energy_parts=("package", "dram"),
        energy_reason=None,
        results_free_bytes=3 * 2**30,
        cache_free_bytes=None,
    )
    return replace(plain, **changes)


def examined(*findings, given_facts=None):
    return Examination(
        facts=given_facts or facts(), findings=findings, ok=all(f.severity is not PROBLEM for f in findings)
    )


def printed_facts(examination):
    """Return the printed table of facts as a mapping."""
    table = examination_text(examination).partition("\n\n")[0]
    return dict(re.split(r" {2,}", line.rstrip(), maxsplit=1) for line in table.splitlines())


def test_a_machine_that_is_fine_ends_in_fine():
    assert examination_text(examined()).splitlines()[-2:] == ["", "fine"]


def test_each_finding_stands_with_its_remedy_above_the_count_of_problems():
    battery = DoctorFinding(rule="battery", severity=PROBLEM, text="on\x1b battery", remedy="plug it in")
    swap = DoctorFinding(rule="swap", severity=DoctorSeverity.NOTE, text="in swap", remedy="restart")
    text = examination_text(examined(battery, swap))
    assert text.partition("\n\n")[2] == (
        "problem [battery]: on? battery\n  remedy: plug it in\n\n"
        "note [swap]: in swap\n  remedy: restart\n\n"
        "1 problem: numbers measured here would mislead\n"
    )
    assert examination_text(examined(battery, battery)).endswith("\n2 problems: numbers measured here would mislead\n")
    assert examination_text(examined(swap)).endswith("  remedy: restart\n\nfine\n")


def test_the_facts_of_a_machine_are_written_for_a_person():
    machine = replace(
        environment(),
        self_check={"ok": True},
        power={
            "load_average_1min": 0.25,
            "other_cpu_share": 0.125,
            "cpu_steal_share": 0.0,
            "memory_available_bytes": 6 * 2**30,
            "swap_used_bytes": 0,
            "on_battery": False,
            "low_power_mode": True,
            "cpu_governor": "schedutil",
            "thermal_warning": False,
            "temperature_c": 61.5,
        },
    )
    assert printed_facts(examined(given_facts=facts(machine))) == {
        "device": "gpu: One",
        "processor": "One",
        "cores, threads": "2, 4",
        "system": "Linux",
        "versions": "Python 3.12.1, mlx 0.31.0, mlx-lm unknown, numpy unknown",
        "BLAS": "openblas 1",
        "fp32 product": "MLX 2.500 GFLOP/s, NumPy 3.000 TFLOP/s",
        "self-check": "passed",
        "C++ compiler": "g++ 12",
        "memory": "6.000 GiB of 8.000 GiB free, 0 B in swap",
        "disk": "3.000 GiB free for results, unknown for the cache",
        "load": "average 0.25, other programs 12.50 %, stolen 0 %",
        "power": "mains, low power mode on, governor schedutil",
        "heat": "warning no, highest 61.50 °C",
        "model hub": "answers",
        "energy meter": "package, dram",
    }


def test_what_is_not_known_of_a_machine_is_unknown_and_never_none():
    bare = Environment(device={}, os={}, packages={}, blas={}, roofline={}, power={}, compiler=None)
    machine_facts = facts(bare, failure="it died", hub_problem="no route", energy_parts=(), energy_reason="no meter")
    printed = printed_facts(examined(given_facts=machine_facts))
    assert "None" not in examination_text(examined(given_facts=machine_facts))
    assert (printed["device"], printed["self-check"], printed["memory"]) == (
        "unknown",
        "unknown",
        "unknown of unknown free, unknown in swap",
    )
    assert (printed["C++ compiler"], printed["model hub"], printed["energy meter"]) == (
        "none",
        "cannot be reached",
        "none",
    )
