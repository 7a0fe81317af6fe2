"""A run in the forms of pytest-benchmark and github-action-benchmark, for the tools that read those. Pure.

One entry a case, metric and label, of cases that ended ok; its values are the processes' medians. Those forms have
no room for more: who wants every reading exports `json` or `csv`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median, stdev
from typing import Any

import pytest_benchmark
from pytest_benchmark.stats import Stats

from harness.analysis.stats.estimates import process_values
from harness.errors import HarnessError, UnknownName
from harness.results import codec
from harness.results.records import Better, Bundle, Kind, Metric, Record, Status

# Rates of the work, whose inverse is a time that a person can read; those of the machine's probes are picoseconds.
_RATES = {"token/s", "step/s", "row/s"}
DIRECTIONS = (Better.LOWER.value, Better.HIGHER.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One label of a metric of a case."""

    record: Record
    name: str
    label: str | None
    metric: Metric
    values: tuple[float, ...]  # the processes' medians
    readings: int

    def title(self, name: str) -> str:
        """A name with the label, as pytest writes parameters."""
        return f"{name}[{self.label}]" if self.label else name


def _entries(bundle: Bundle) -> Iterator[_Entry]:
    for record in bundle.records:
        if record.status is not Status.OK:
            continue
        for name, metric in record.metrics.items():
            for label, samples in metric.parts().items():
                values, readings = tuple(process_values(samples)), sum(map(len, samples))
                yield _Entry(record=record, name=name, label=label, metric=metric, values=values, readings=readings)


def pytest_benchmark_json(bundle: Bundle) -> str:
    """The file that `pytest-benchmark compare` and `pytest --benchmark-compare` read.

    It knows times in seconds alone, so a rate becomes the time of one: `decode_tokens_per_s` is `decode_s_per_token`.
    Its statistics are computed by its own library, over processes.

    Raises:
        HarnessError: if the run holds no times; the tool would compare nothing and say so to nobody.
    """
    benchmarks = [its for entry in _entries(bundle) if (its := _benchmark(bundle, entry)) is not None]
    if not benchmarks:
        raise HarnessError(f"run {bundle.run.id} holds no time of a case that ended ok; --format csv has all it holds")
    whole = {
        "machine_info": _machine(bundle),
        "commit_info": _commit(bundle),
        "benchmarks": benchmarks,
        "datetime": bundle.run.started_at.replace("Z", "+00:00"),
        "version": pytest_benchmark.__version__,
    }
    return codec.encode(whole, indent=1).decode()


def _benchmark(bundle: Bundle, entry: _Entry) -> dict[str, Any] | None:
    """None of what is neither a time nor a rate; a rate of 0 has no time."""
    unit = entry.metric.unit
    rate = unit in _RATES and min(entry.values) > 0
    if entry.metric.kind is not Kind.TIMING or not (rate or unit == "s"):
        return None
    title = entry.title(_time_of_one(entry.name, unit) if rate else entry.name)
    stats = Stats()
    for value in entry.values:
        stats.update(1 / value if rate else value)
    about = {"run": bundle.run.id, "case": entry.record.case, "metric": entry.name, "label": entry.label}
    name = f"{entry.record.case}::{title}"
    return {
        "group": title,  # a table a metric: its columns are relative to the best
        "name": name,
        "fullname": name,
        "params": {"label": entry.label} if entry.label else None,
        "param": entry.label,
        "extra_info": {**about, "stored_unit": unit, "readings": entry.readings},
        "options": {},
        "stats": {**stats.as_dict(), "data": stats.data, "iterations": 1},
    }


def _time_of_one(name: str, unit: str) -> str:
    """How a rate is called that became a time: decode_tokens_per_s becomes decode_s_per_token."""
    prefix, _, _ = name.removesuffix("_per_s").rpartition("_")
    return f"{prefix or name}_s_per_{unit.removesuffix('/s')}"


def _machine(bundle: Bundle) -> dict[str, Any]:
    its = bundle.environment
    if its is None:
        return {}
    known = {name: its.os.get(name) for name in ("machine", "processor", "release", "system")}
    cpu = {"brand_raw": its.os.get("processor"), "count": its.os.get("threads")}
    return {**known, "python_version": its.os.get("python"), "cpu": cpu, "device": its.device.get("name")}


def _commit(bundle: Bundle) -> dict[str, Any]:
    its = bundle.run.git or {}
    times = {"time": None, "author_time": None}
    where = {"project": "tunebench", "branch": "(unknown)"}
    return {"id": its.get("commit") or "unversioned", **times, "dirty": bool(its.get("dirty")), **where}


def github_action_benchmark_json(bundle: Bundle, better: str) -> str:
    """The array that github-action-benchmark reads as customSmallerIsBetter, or as customBiggerIsBetter.

    One file has one direction: metrics that get better by being *better* ("lower" or "higher").

    Raises:
        UnknownName: if there is no such direction.
        HarnessError: if there is no such metric; the tool refuses an empty array.
    """
    if better not in DIRECTIONS:
        raise UnknownName("direction", better, DIRECTIONS)
    found = [_bench(bundle, entry) for entry in _entries(bundle) if entry.metric.better.value == better]
    if not found:
        raise HarnessError(f"run {bundle.run.id} holds no metric of a case that ended ok with --better {better}")
    return codec.encode(found, indent=1).decode()


def _bench(bundle: Bundle, entry: _Entry) -> dict[str, Any]:
    values = entry.values
    spread = {"range": f"± {stdev(values)!r}"} if len(values) > 1 else {}
    kind = entry.metric.kind.value
    return {
        "name": f"{entry.record.case} {entry.title(entry.name)}",
        "unit": entry.metric.unit,
        "value": median(values),
        **spread,
        "extra": f"kind: {kind}\nprocesses: {len(values)}\nreadings: {entry.readings}\nrun: {bundle.run.id}",
    }
