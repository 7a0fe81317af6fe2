"""Preconditions of comparing two runs: differences that forbid it, and warnings about those that do not.

They are stricter than the judge's obstacles: a gate compares a case with itself, so model, weights and adapter must be
the same. Versions of libraries may be what is being tested, so a difference in them is only a warning.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.judge import DERIVED_FIELDS
from harness.machine.clock import days_between
from harness.plain_text import cut_short
from harness.results.records import Bundle, Environment, Key, Kind, Metric, Record, number_in

_OLD_DAYS = 30  # chosen: systems and libraries are updated about once a month
_MOST_SHOWN = 30  # characters of a value
_UNKNOWN = "unknown"
_ON_A_MACHINE = {Kind.TIMING, Kind.MEMORY}
_OF_THE_ALLOCATOR = {"peak_active_bytes", "peak_cache_bytes"}
_SYSTEM = ("architecture", "system")
_CONDITIONS = ("on_battery", "low_power_mode", "power_profile", "cpu_governor", "competing_processes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Difference between two records that keeps them from being compared.

    *text* describes it, as `field: 'a' -> 'b'` where both values are known. *field* is None where they are not.
    """

    text: str
    field: str | None = None


def differing(baseline: Bundle, candidate: Bundle, a: Record, b: Record, metric: Metric, name: str) -> list[Difference]:
    """List the differences between two records of one case that make the metric *name* incomparable.

    An exact quantity does not depend on the machine. A loss or an answer depends on the device type alone, and memory
    held by MLX's allocator on the device type and the system.
    """
    if a.key is None or b.key is None:
        return [Difference(text="the case did not get far enough to be identified")]
    differences = differing_keys(a.key, b.key)
    if name in _OF_THE_ALLOCATOR:
        differences += _differing_machines(baseline.environment, candidate.environment, facts=_SYSTEM)
    elif metric.kind in _ON_A_MACHINE:
        devices = [_difference("device", a.key.device, b.key.device)] if a.key.device != b.key.device else []
        return [*differences, *devices, *_differing_machines(baseline.environment, candidate.environment)]
    if metric.kind is not Kind.EXACT and (types := [device_type(key) for key in (a.key, b.key)])[0] != types[1]:
        differences.append(_difference("device", *types))
    return differences


def measured_alike(a: Key | None, b: Key | None) -> bool:
    """Tell whether losses and answers of the two cases can be compared."""
    return a is not None and b is not None and not differing_keys(a, b) and device_type(a) == device_type(b)


def device_type(key: Key) -> str:
    """Return the type of the computing device: cpu or gpu."""
    return key.device.partition(":")[0]


def differing_keys(a: Key, b: Key) -> list[Difference]:
    """List the differences between two keys of one case, except the device. Weights are compared by content."""
    same = a.weights.sha256 == b.weights.sha256 != _UNKNOWN
    differences = [] if same else [_difference("weights", a.weights.sha256, b.weights.sha256)]
    for part in ("model", "tokenizer", "dtype", "quantization", "adapter", "dataset", "settings"):
        differences += _differences(part, getattr(a, part), getattr(b, part))
    return differences


def _differences(name: str, a: object, b: object) -> Iterator[Difference]:
    """Compare two values of *name*, field by field where both have fields."""
    if isinstance(a, dict) and isinstance(b, dict):
        for field in sorted(a.keys() | b.keys()):
            if f"{name}.{field}" not in DERIVED_FIELDS:
                yield from _differences(f"{name}.{field}", a.get(field), b.get(field))
    elif a != b:
        yield _difference(name, a, b)


def _difference(field: str, a: object, b: object) -> Difference:
    old, new = (repr(_short(value)) if isinstance(value, str) else _short(value) for value in (a, b))
    return Difference(text=f"{field}: {old} -> {new}", field=field)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return _short(value.get("name") or f"{len(value)} fields")
    text = _UNKNOWN if value is None else str(value)
    if re.fullmatch(r"[0-9a-f]{40,64}", text):
        return text[:12]
    return cut_short(text, _MOST_SHOWN)


def _differing_machines(a: Environment | None, b: Environment | None, *, facts: Sequence[str] = ()) -> list[Difference]:
    """List the differences between two machines, in *facts* alone if given.

    Names, clock rates and load are left out: they change on one machine.
    """
    if a is None and b is None:
        return []  # a warning says so
    if a is None or b is None:
        return [Difference(text="machine: unknown on one side")]
    old, new = _machine_facts(a), _machine_facts(b)
    return [_difference(f"machine.{fact}", old[fact], new[fact]) for fact in facts or old if old[fact] != new[fact]]


def _machine_facts(environment: Environment) -> dict[str, Any]:
    cores = ("cores", "threads", "performance_cores", "efficiency_cores", "gpu_cores", "cpu_limit_cores")
    return {
        "device": environment.device.get("device_name") or environment.device.get("name"),
        "processor": environment.os.get("processor"),
        "architecture": environment.os.get("machine"),
        "system": _system(environment.os),
        **{fact: environment.os.get(fact) for fact in cores},
        "memory_gib": _gib(number_in(environment.os, "memory_bytes")),
        "memory_limit_gib": _gib(number_in(environment.os, "memory_limit_bytes")),
    }


def _gib(size_bytes: float | None) -> int | None:
    return None if size_bytes is None else round(size_bytes / 2**30)


def _system(facts: Mapping[str, Any]) -> str | None:
    """Return the system with its major version; the kernel and its version where the system has no name."""
    name = facts.get("name") or " ".join(str(facts[part]) for part in ("system", "release") if facts.get(part))
    match = re.match(r"\D*\d+", name)
    return match[0] if match else name or None


def warnings(baseline: Bundle, candidate: Bundle, today: str) -> tuple[str, ...]:
    """Describe each difference that does not forbid the comparison but may explain its result.

    *today* is a date, or a date with a time, in ISO 8601.
    """
    return (
        *_age_warnings(baseline, today),
        *_run_warnings("baseline", baseline),
        *_run_warnings("candidate", candidate),
        *_environment_warnings(baseline.environment, candidate.environment),
    )


def _age_warnings(baseline: Bundle, today: str) -> Iterator[str]:
    days = days_between(baseline.run.started_at, today)
    if days is None:
        yield f"the baseline does not say when it was measured: {baseline.run.started_at!r}"
    elif days < 0:
        yield f"the baseline was measured on {baseline.run.started_at[:10]}, after today ({today[:10]})"
    elif days > _OLD_DAYS:
        yield f"the baseline is {days} days old; measure it again"


def _run_warnings(side: str, bundle: Bundle) -> Iterator[str]:
    if bundle.run.published is not None:
        yield f"the {side} was read from a report, and not measured by this program"
    elif bundle.run.finished_at is None:
        yield f"the {side} did not end; tunebench runs shows how to go on with it"
    if bundle.run.resumed_at:
        yield f"the {side} was interrupted and gone on with, so its cases were not measured in one session"
    if bundle.run.git is not None and bundle.run.git.get("dirty"):
        yield f"the {side} was measured with changes that are in no commit"


def _environment_warnings(a: Environment | None, b: Environment | None) -> Iterator[str]:
    if a is None or b is None:
        yield "the machine of one of the runs is not known"
        return
    names = [name for name in sorted(a.packages | b.packages) if a.packages.get(name) != b.packages.get(name)]
    versions = [(name, *(_short(environment.packages.get(name)) for environment in (a, b))) for name in names]
    if versions:
        changed = ", ".join(f"{name}: {old} -> {new}" for name, old, new in versions)
        yield f"versions differ: {changed}; a difference may be theirs"
    python = [".".join(str(environment.os.get("python") or _UNKNOWN).split(".")[:2]) for environment in (a, b)]
    if python[0] != python[1]:
        yield f"Python differs: {python[0]} -> {python[1]}"
    if a.code != b.code:
        yield "the code that measures differs: a difference may be in how it was measured"
    if differences := [*_differences("", a.os.get("variables") or {}, b.os.get("variables") or {})]:
        yield f"environment variables differ: {_listed(differences)}"
    conditions = [{fact: environment.power.get(fact) for fact in _CONDITIONS} for environment in (a, b)]
    if differences := [*_differences("", *conditions)]:
        yield f"conditions differ: {_listed(differences)}"


def _listed(differences: Sequence[Difference]) -> str:
    return ", ".join(difference.text.removeprefix(".") for difference in differences)
