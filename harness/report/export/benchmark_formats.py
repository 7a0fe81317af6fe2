"""Export a run in the formats of pytest-benchmark and github-action-benchmark.

There is one entry per case, metric and label, for cases that ended ok; its values are the medians of the processes.
These formats cannot hold every reading: `json` and `csv` do.
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

# Rates of the work, whose inverse is a readable time; the inverse of the machine probes' rates would be picoseconds.
_RATES = {"token/s", "step/s", "row/s"}
DIRECTIONS = (Better.LOWER.value, Better.HIGHER.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Values of one case, metric and label."""

    record: Record
    name: str
    label: str | None
    metric: Metric
    values: tuple[float, ...]  # the processes' medians
    readings: int

    def title(self, name: str) -> str:
        """Append the label to *name*, as pytest writes parameters: NAME[LABEL]."""
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
    """Write the JSON file that `pytest-benchmark compare` and `pytest --benchmark-compare` read.

    The format holds only times in seconds, so a rate becomes a time per unit: `decode_tokens_per_s` is written as
    `decode_s_per_token`. pytest-benchmark's own code computes the statistics, over processes.

    Raises:
        HarnessError: if the run holds no times; the tool would compare nothing and not report that.
    """
    benchmarks = [benchmark for entry in _entries(bundle) if (benchmark := _benchmark(bundle, entry)) is not None]
    if not benchmarks:
        raise HarnessError(f"run {bundle.run.id} holds no time of a case that ended ok; --format csv has all it holds")
    content = {
        "machine_info": _machine(bundle),
        "commit_info": _commit(bundle),
        "benchmarks": benchmarks,
        "datetime": bundle.run.started_at.replace("Z", "+00:00"),
        "version": pytest_benchmark.__version__,
    }
    return codec.encode(content, indent=1).decode()


def _benchmark(bundle: Bundle, entry: _Entry) -> dict[str, Any] | None:
    """Make one benchmark entry; None for a metric that is neither a time nor a rate, and for a rate of 0."""
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
    """Name the inverse of a rate: decode_tokens_per_s becomes decode_s_per_token."""
    prefix, _, _ = name.removesuffix("_per_s").rpartition("_")
    return f"{prefix or name}_s_per_{unit.removesuffix('/s')}"


def _machine(bundle: Bundle) -> dict[str, Any]:
    environment = bundle.environment
    if environment is None:
        return {}
    known = {name: environment.os.get(name) for name in ("machine", "processor", "release", "system")}
    cpu = {"brand_raw": environment.os.get("processor"), "count": environment.os.get("threads")}
    return {
        **known,
        "python_version": environment.os.get("python"),
        "cpu": cpu,
        "device": environment.device.get("name"),
    }


def _commit(bundle: Bundle) -> dict[str, Any]:
    git = bundle.run.git or {}
    times = {"time": None, "author_time": None}
    project = {"project": "tunebench", "branch": "(unknown)"}
    return {"id": git.get("commit") or "unversioned", **times, "dirty": bool(git.get("dirty")), **project}


def github_action_benchmark_json(bundle: Bundle, better: str) -> str:
    """Write the array that github-action-benchmark reads as customSmallerIsBetter, or as customBiggerIsBetter.

    A file holds the metrics of one direction: those that improve by getting *better* ("lower" or "higher").

    Raises:
        UnknownName: if there is no such direction.
        HarnessError: if there is no such metric; the tool refuses an empty array.
    """
    if better not in DIRECTIONS:
        raise UnknownName("direction", better, DIRECTIONS)
    benches = [_bench(bundle, entry) for entry in _entries(bundle) if entry.metric.better.value == better]
    if not benches:
        raise HarnessError(f"run {bundle.run.id} holds no metric of a case that ended ok with --better {better}")
    return codec.encode(benches, indent=1).decode()


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
