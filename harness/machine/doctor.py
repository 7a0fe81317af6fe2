"""Rules of `doctor`: they detect what on this machine would distort measurements, and name the remedy.

A problem distorts measurements; a note only limits what can be done. Unknown facts give no finding. Every rule is
described in docs/doctor.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.results.records import Environment
from harness.units import format_number, format_percent, format_value

# Each limit is chosen so that an effect below it is lost in the spread of readings on a quiet machine, and an effect
# above it is not.
MIN_BLAS_RATIO = 0.5  # of NumPy's own product: the reference BLAS is at 0.02, another good one within a third
MAX_LOAD_PER_CORE = 0.5  # runnable tasks a core in the last minute: half of what would queue behind every case
MAX_OTHER_CPU_SHARE = 0.2  # of all cores, right now: products on all cores wait for the slowest core
MAX_STEAL_SHARE = 0.05  # of the time the host gave to others: more than the spread of a good reading
MAX_TEMPERATURE_C = 90.0  # processors slow themselves down from 95 to 105
MIN_MEMORY_BYTES = 2 << 30  # a model of 135 M parameters in float32 trains in about 2 GiB
MIN_DISK_BYTES = 2 << 30  # a converted model of that size, twice, with room for adapters and logs
MAX_SWAP_BYTES = 1 << 30  # pages in swap are read back at the first touch, inside some case
_SLOW_PROFILES = {"low-power", "quiet", "cool"}  # Documentation/ABI/testing/sysfs-platform_profile of Linux
# Under these drivers "powersave" is the usual governor, and raises the clock with the load.
_OWN_GOVERNORS = {"intel_pstate", "amd-pstate-epp"}


class DoctorSeverity(StrEnum):
    """Consequence of a finding for numbers that are measured now."""

    PROBLEM = "problem"  # they would be distorted
    NOTE = "note"  # they are valid


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """One finding: the rule, what was detected and why it matters, and the remedy."""

    rule: str
    severity: DoctorSeverity
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that the rules judge. With a *failure*, a worker failed, and device, BLAS and rates are empty."""

    environment: Environment
    failure: str | None
    hub_problem: str | None  # None if a hub answers
    energy_parts: tuple[str, ...]
    energy_reason: str | None  # why there are no parts
    results_free_bytes: int | None
    cache_free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Facts and findings, as `tunebench doctor --json` writes them."""

    facts: Facts
    findings: tuple[DoctorFinding, ...]
    ok: bool


def examine(facts: Facts) -> Examination:
    """Apply every rule; problems come first."""
    findings = (*_software(facts), *_load(facts.environment), *_power(facts.environment), *_room(facts), *_reach(facts))
    problems = tuple(finding for finding in findings if finding.severity is DoctorSeverity.PROBLEM)
    notes = tuple(finding for finding in findings if finding.severity is DoctorSeverity.NOTE)
    return Examination(facts=facts, findings=problems + notes, ok=not problems)


def _software(facts: Facts) -> Iterator[DoctorFinding]:
    """Check that work runs, gives correct results, and takes the fast paths."""
    environment = facts.environment
    if facts.failure is not None:
        yield _problem(
            "worker",
            f"nothing can be measured: {facts.failure}",
            "see that this works: python -c 'import mlx.core, mlx_lm' (Linux: pip install 'mlx[cpu]')",
        )
    if environment.packages.get("mlx-lm") is None:
        yield _problem("mlx-lm", "mlx-lm is missing: no model can be loaded", "install it with: pip install mlx-lm")
    check = environment.self_check or {}
    if check.get("ok") is False:
        yield _problem(
            "self-check",
            check.get("problem") or "products on this device differ from NumPy's: losses and texts would be wrong",
            "install another version of mlx, and report this one to its makers",
        )
    if environment.device.get("type") != "cpu":
        return
    speed, reference = (environment.roofline.get(f"{name}gemm_flops_per_s") for name in ("", "numpy_"))
    if environment.blas.get("fast") is False:
        yield _problem(
            "blas-stock",
            f"MLX uses the BLAS of its wheel ({environment.blas.get('problem') or 'no other was found'}): "
            "matrix products are many times slower than this machine can",
            "unset TUNEBENCH_BLAS, and have a C compiler (cc) or the package libopenblas0 installed",
        )
    elif speed and reference and speed < MIN_BLAS_RATIO * reference:
        yield _problem(
            "blas-slow",
            f"MLX multiplies at {format_percent(speed / reference)} of NumPy's speed on the same processor",
            "look again when the machine is quiet; if it stays, install libopenblas0",
        )
    if environment.compiler is None and environment.os.get("system") == "Linux":
        yield _problem(
            "compiler",
            "there is no g++: mx.compile runs its functions unfused, without a word, and training is slower",
            "install g++ (apt install g++, dnf install gcc-c++)",
        )


def _load(environment: Environment) -> Iterator[DoctorFinding]:
    """Check that no other programs use the machine."""
    now, os = environment.power, environment.os
    cores, average = os.get("cores") or os.get("threads"), now.get("load_average_1min")
    if cores and average is not None and average / cores > MAX_LOAD_PER_CORE:
        yield _problem(
            "load",
            f"the load average is {format_number(average)} on {cores} cores before anything runs: "
            "cases would wait for other programs",
            "end other programs, and wait a minute",
        )
    if (share := now.get("other_cpu_share") or 0.0) > MAX_OTHER_CPU_SHARE:
        yield _problem(
            "busy",
            f"other programs are using {format_percent(share)} of the processor "
            f"({now.get('competing_processes')} of them more than a fifth of a core): timings would include them",
            "end other programs, indexing and backups included",
        )
    if (stolen := now.get("cpu_steal_share") or 0.0) > MAX_STEAL_SHARE:
        yield _problem(
            "steal",
            f"the host gives {format_percent(stolen)} of this virtual machine's time to others: timings would jump",
            "measure on a machine with processors of its own, or compare interleaved runs only",
        )
    if (limit := os.get("cpu_limit_cores")) is not None and cores and limit < cores:
        yield _note(
            "cpu-limit",
            f"the container may use {format_number(limit)} of {cores} cores: "
            "threads are started for all of them and stopped in turn",
            "set OPENBLAS_NUM_THREADS to the limit, or lift it",
        )


def _power(environment: Environment) -> Iterator[DoctorFinding]:
    """Check that the machine does not lower its own speed."""
    now = environment.power
    if now.get("on_battery"):
        yield _problem("battery", "the machine runs on its battery, which lowers clock rates", "plug it in")
    if now.get("low_power_mode") or now.get("power_profile") in _SLOW_PROFILES:
        yield _problem(
            "low-power",
            "a mode that saves power is on, and lowers clock rates",
            "turn Low Power Mode off, or choose the power profile balanced or performance",
        )
    if now.get("cpu_governor") == "powersave":
        finding = _note if now.get("cpu_frequency_driver") in _OWN_GOVERNORS else _problem
        yield finding(
            "governor",
            "the processor's frequency governor is powersave",
            "choose another with: sudo cpupower frequency-set -g performance",
        )
    temperature_c, speed = now.get("temperature_c") or 0.0, now.get("cpu_speed_limit_share")
    if now.get("thermal_warning") or (speed is not None and speed < 1) or temperature_c > MAX_TEMPERATURE_C:
        yield _problem(
            "thermal",
            "the machine is hot and slows itself down: later cases would look worse than earlier ones",
            "let it cool down, and give it air",
        )


def _room(facts: Facts) -> Iterator[DoctorFinding]:
    """Check that there is enough memory and disk space."""
    now, os = facts.environment.power, facts.environment.os
    sizes = (now.get("memory_available_bytes"), os.get("memory_limit_bytes"))
    known_bytes = [size for size in sizes if size is not None]
    if known_bytes and min(known_bytes) < MIN_MEMORY_BYTES:
        yield _problem(
            "memory",
            f"{format_value(min(known_bytes), 'byte')} of memory can be had: cases would swap, or be killed",
            f"end other programs, or allow the container more; {format_value(MIN_MEMORY_BYTES, 'byte')} is the least",
        )
    for purpose, free_bytes in (("results", facts.results_free_bytes), ("cache", facts.cache_free_bytes)):
        if free_bytes is not None and free_bytes < MIN_DISK_BYTES:
            yield _problem(
                "disk",
                f"{format_value(free_bytes, 'byte')} of disk are free for the {purpose}: "
                "weights would not fit, and a full disk ends a run",
                f"free {format_value(MIN_DISK_BYTES, 'byte')}, or choose another place with "
                + ("--results-dir" if purpose == "results" else "TUNEBENCH_CACHE"),
            )
    if (swap_bytes := now.get("swap_used_bytes") or 0) > MAX_SWAP_BYTES:
        yield _note(
            "swap",
            f"{format_value(swap_bytes, 'byte')} are in swap: what is touched again is read from disk",
            "end programs that hold much memory, or restart the machine",
        )


def _reach(facts: Facts) -> Iterator[DoctorFinding]:
    """Note what is not available on this machine, which does not harm other measurements."""
    if facts.hub_problem is not None:
        yield _note(
            "hub",
            f"no model hub can be reached ({facts.hub_problem}): weights come from the cache, "
            "the package index or a stand-in",
            "check the network, HF_ENDPOINT, HF_HUB_OFFLINE and proxies",
        )
    if facts.energy_reason is not None:
        yield _note("energy", facts.energy_reason, "nothing has to be done: energy is reported as not measured")


def _problem(rule: str, text: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(rule=rule, severity=DoctorSeverity.PROBLEM, text=text, remedy=remedy)


def _note(rule: str, text: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(rule=rule, severity=DoctorSeverity.NOTE, text=text, remedy=remedy)
