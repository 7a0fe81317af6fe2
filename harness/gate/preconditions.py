"""What keeps two runs from being compared at all, and what a reader has to know where they are. Pure.

Stricter than the judge's obstacles: a gate compares a case with itself, so model, weights and adapter have to be the
same. Versions of libraries may be what is tried: they are told, and forbid nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.machine.clock import days_between
from harness.results.records import Bundle, Environment, Key, Kind, Metric, Record, number_in

_OLD_DAYS = 30  # chosen: systems and libraries are updated about once a month
_MOST_SHOWN = 30  # characters of a value
_UNKNOWN = "unknown"
_FOLLOWS = {"quantization.bits_per_weight"}  # from how a model is quantised and from its sizes
_ON_A_MACHINE = {Kind.TIMING, Kind.MEMORY}
_OF_THE_ALLOCATOR = {"peak_active_bytes", "peak_cache_bytes"}
_SYSTEM = ("architecture", "system")
_CONDITIONS = ("on_battery", "low_power_mode", "power_profile", "cpu_governor", "competing_processes")


def differing(baseline: Bundle, candidate: Bundle, a: Record, b: Record, metric: Metric, name: str) -> list[str]:
    """What differs between two records of one case so that *metric* says nothing, each as `field: 'a' -> 'b'`.

    An exact quantity does not depend on the machine, a loss or an answer only on the type of its device, and what MLX's
    allocator holds on that and on the system.
    """
    if a.key is None or b.key is None:
        return ["the case did not get far enough to be identified"]
    found = differing_keys(a.key, b.key)
    if name in _OF_THE_ALLOCATOR:
        found += _differing_machines(baseline.environment, candidate.environment, of=_SYSTEM)
    elif metric.kind in _ON_A_MACHINE:
        named = [_change("device", a.key.device, b.key.device)] if a.key.device != b.key.device else []
        return [*found, *named, *_differing_machines(baseline.environment, candidate.environment)]
    if metric.kind is not Kind.EXACT and (types := [device_type(its) for its in (a.key, b.key)])[0] != types[1]:
        found.append(_change("device", *types))
    return found


def measured_alike(a: Key | None, b: Key | None) -> bool:
    """Whether losses and answers of the two compare."""
    return a is not None and b is not None and not differing_keys(a, b) and device_type(a) == device_type(b)


def device_type(key: Key) -> str:
    """What computes: cpu or gpu."""
    return key.device.partition(":")[0]


def differing_keys(a: Key, b: Key) -> list[str]:
    """What differs between two keys of one case, the device aside. Of weights what is in them counts, not where."""
    same = a.weights.sha256 == b.weights.sha256 != _UNKNOWN
    changes = [] if same else [_change("weights", a.weights.sha256, b.weights.sha256)]
    for part in ("model", "tokenizer", "dtype", "quantization", "adapter", "dataset", "settings"):
        changes += _changes(part, getattr(a, part), getattr(b, part))
    return changes


def _changes(name: str, a: object, b: object) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for field in sorted(a.keys() | b.keys()):
            if f"{name}.{field}" not in _FOLLOWS:
                yield from _changes(f"{name}.{field}", a.get(field), b.get(field))
    elif a != b:
        yield _change(name, a, b)


def _change(name: str, a: object, b: object) -> str:
    shown = [repr(_short(its)) if isinstance(its, str) else _short(its) for its in (a, b)]
    return f"{name}: {shown[0]} -> {shown[1]}"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return _short(value.get("name") or f"{len(value)} fields")
    text = _UNKNOWN if value is None else str(value)
    if re.fullmatch(r"[0-9a-f]{40,64}", text):
        return text[:12]
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _differing_machines(a: Environment | None, b: Environment | None, *, of: Sequence[str] = ()) -> list[str]:
    """What makes two machines two; *of*: but these facts alone. Not their names, clock rates or load, which change."""
    if a is None and b is None:
        return []  # a warning says so
    if a is None or b is None:
        return ["machine: unknown on one side"]
    before, after = _machine(a), _machine(b)
    return [
        _change(f"machine.{fact}", before[fact], after[fact]) for fact in of or before if before[fact] != after[fact]
    ]


def _machine(its: Environment) -> dict[str, Any]:
    cores = ("cores", "threads", "performance_cores", "efficiency_cores", "gpu_cores", "cpu_limit_cores")
    return {
        "device": its.device.get("device_name") or its.device.get("name"),
        "processor": its.os.get("processor"),
        "architecture": its.os.get("machine"),
        "system": _system(its.os),
        **{fact: its.os.get(fact) for fact in cores},
        "memory_gib": _gib(number_in(its.os, "memory_bytes")),
        "memory_limit_gib": _gib(number_in(its.os, "memory_limit_bytes")),
    }


def _gib(size_bytes: float | None) -> int | None:
    return None if size_bytes is None else round(size_bytes / 2**30)


def _system(facts: Mapping[str, Any]) -> str | None:
    """The system with its major version; of its kernel where it has no other name."""
    name = facts.get("name") or " ".join(str(facts[its]) for its in ("system", "release") if facts.get(its))
    found = re.match(r"\D*\d+", name)
    return found[0] if found else name or None


def warnings(baseline: Bundle, candidate: Bundle, today: str) -> tuple[str, ...]:
    """A sentence for each thing that does not forbid the comparison, and may explain what it finds.

    *today* is a date or a time of day in ISO 8601.
    """
    return (
        *_age(baseline, today),
        *_of_run("baseline", baseline),
        *_of_run("candidate", candidate),
        *_of_environments(baseline.environment, candidate.environment),
    )


def _age(baseline: Bundle, today: str) -> Iterator[str]:
    days = days_between(baseline.run.started_at, today)
    if days is None:
        yield f"the baseline does not say when it was measured: {baseline.run.started_at!r}"
    elif days < 0:
        yield f"the baseline was measured on {baseline.run.started_at[:10]}, after today ({today[:10]})"
    elif days > _OLD_DAYS:
        yield f"the baseline is {days} days old; measure it again"


def _of_run(side: str, its: Bundle) -> Iterator[str]:
    if its.run.published is not None:
        yield f"the {side} was read from a report, and not measured by this program"
    elif its.run.finished_at is None:
        yield f"the {side} did not end; tunebench runs shows how to go on with it"
    if its.run.resumed_at:
        yield f"the {side} was interrupted and gone on with, so its cases were not measured in one session"
    if its.run.git is not None and its.run.git.get("dirty"):
        yield f"the {side} was measured with changes that are in no commit"


def _of_environments(a: Environment | None, b: Environment | None) -> Iterator[str]:
    if a is None or b is None:
        yield "the machine of one of the runs is not known"
        return
    names = [name for name in sorted(a.packages | b.packages) if a.packages.get(name) != b.packages.get(name)]
    versions = [(name, *(_short(its.packages.get(name)) for its in (a, b))) for name in names]
    if versions:
        changed = ", ".join(f"{name}: {old} -> {new}" for name, old, new in versions)
        yield f"versions differ: {changed}; a difference may be theirs"
    if (python := [".".join(str(its.os.get("python") or _UNKNOWN).split(".")[:2]) for its in (a, b)])[0] != python[1]:
        yield f"Python differs: {python[0]} -> {python[1]}"
    if a.code != b.code:
        yield "the code that measures differs: a difference may be in how it was measured"
    if changes := [*_changes("", a.os.get("variables") or {}, b.os.get("variables") or {})]:
        yield f"environment variables differ: {_listed(changes)}"
    conditions = [{fact: its.power.get(fact) for fact in _CONDITIONS} for its in (a, b)]
    if changes := [*_changes("", *conditions)]:
        yield f"conditions differ: {_listed(changes)}"


def _listed(changes: Sequence[str]) -> str:
    return ", ".join(change.removeprefix(".") for change in changes)
