"""`tunebench doctor`: tell whether numbers measured on this machine can be trusted."""

import sys
from typing import TYPE_CHECKING, Any

from harness.commands.arguments import Arguments, Parser, add_results_dir
from harness.commands.table import name_value_lines, plain
from harness.units import count_of, format_percent, format_value

if TYPE_CHECKING:
    from harness.machine.doctor import Examination, Facts


def add_options(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="facts and findings as JSON")
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """Print facts and findings; return 1 if a finding is a problem."""
    from harness.commands import doctor_facts
    from harness.machine import doctor
    from harness.results import codec

    examination = doctor.examine(doctor_facts.gather(arguments.results_dir))
    text = codec.encode(examination, indent=1).decode() if arguments.json else examination_text(examination)
    sys.stdout.write(text)
    return 0 if examination.ok else 1


def examination_text(examination: "Examination") -> str:
    """Return the facts, each finding with its remedy, and the conclusion in the last line."""
    from harness.machine.doctor import DoctorSeverity

    table = name_value_lines(list(_facts(examination.facts).items()))
    findings = [
        f"{finding.severity.value} [{finding.rule}]: {plain(finding.text)}\n  remedy: {plain(finding.remedy)}\n"
        for finding in examination.findings
    ]
    problems = sum(finding.severity is DoctorSeverity.PROBLEM for finding in examination.findings)
    misled = f"{count_of(problems, 'problem')}: numbers measured here would mislead"
    conclusion = "fine" if examination.ok else misled
    return "\n".join([table, *findings, conclusion, ""])


def _facts(facts: "Facts") -> dict[str, str]:
    """Return each fact by the name that a person looks for; a fact that the system does not give is unknown."""
    environment = facts.environment
    os, rates, now = environment.os, environment.roofline, environment.power
    packages = {name: environment.packages.get(name) for name in ("mlx", "mlx-lm", "numpy")}
    versions = {"Python": os.get("python"), **packages}
    check_passed = None if environment.self_check is None else environment.self_check.get("ok")
    return {
        "device": _known(environment.device.get("name")),
        "processor": _known(os.get("processor")),
        "cores, threads": f"{_known(os.get('cores'))}, {_known(os.get('threads'))}",
        "system": _known(os.get("name") or os.get("system")),
        "versions": ", ".join(f"{name} {_known(version)}" for name, version in versions.items()),
        "BLAS": _known(environment.blas.get("library")),
        "fp32 product": f"MLX {_quantity(rates.get('gemm_flops_per_s'), 'FLOP/s')}, "
        f"NumPy {_quantity(rates.get('numpy_gemm_flops_per_s'), 'FLOP/s')}",
        "self-check": _choice(check_passed, "passed", "failed"),
        "C++ compiler": environment.compiler or "none",
        "memory": f"{_quantity(now.get('memory_available_bytes'), 'byte')} of "
        f"{_quantity(os.get('memory_bytes'), 'byte')} free, {_quantity(now.get('swap_used_bytes'), 'byte')} in swap",
        "disk": f"{_quantity(facts.results_free_bytes, 'byte')} free for results, "
        f"{_quantity(facts.cache_free_bytes, 'byte')} for the cache",
        "load": f"average {_known(now.get('load_average_1min'))}, "
        f"other programs {_share(now.get('other_cpu_share'))}, stolen {_share(now.get('cpu_steal_share'))}",
        "power": f"{_choice(now.get('on_battery'), 'battery', 'mains')}, low power mode "
        f"{_choice(now.get('low_power_mode'), 'on', 'off')}, governor {_known(now.get('cpu_governor'))}",
        "heat": f"warning {_choice(now.get('thermal_warning'), 'yes', 'no')}, "
        f"highest {_quantity(now.get('temperature_c'), '°C')}",
        "model hub": "cannot be reached" if facts.hub_problem else "answers",
        "energy meter": ", ".join(facts.energy_parts) or "none",
    }


def _known(value: Any) -> str:
    """Write a fact as text, "unknown" if there is none."""
    return "unknown" if value is None else str(value)


def _choice(value: bool | None, true_text: str, false_text: str) -> str:  # noqa: FBT001 - the value is printed
    return "unknown" if value is None else true_text if value else false_text


def _quantity(value: float | None, unit: str) -> str:
    return "unknown" if value is None else format_value(value, unit)


def _share(value: float | None) -> str:
    return "unknown" if value is None else format_percent(value)
