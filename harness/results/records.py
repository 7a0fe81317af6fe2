"""What a session measures: metrics, series, texts, records and runs.

Every value is frozen and true by construction: if it exists, it is valid. These types are the
result files too (`store` writes and reads them field by field), so a name here is a name there.
Nothing here knows of pytest, JSON, clocks or files.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from harness.errors import BadRecord


class Status(Enum):
    """How a case ended."""

    OK = "ok"
    FAILED = "failed"
    CRASHED = "crashed"
    OOM = "oom"
    TIMEOUT = "timeout"
    DIVERGED = "diverged"
    SKIPPED = "skipped"
    INVALID = "invalid"


class Better(Enum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


class Kind(Enum):
    """How a metric varies, and so how two values of it are compared."""

    TIMING = "timing"
    MEMORY = "memory"
    EXACT = "exact"
    LOSS = "loss"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What one process read of one metric.

    *labels* tells what each reading belongs to (a scenario, a phase); None where all readings are
    of the same thing. An empty *values* needs a *reason*.
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
    """All readings of one metric in one case: a tuple a process.

    *samples* is None where nothing was measured, and *reason* says why. *labels*, where given,
    names each reading of every process.
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
        """Split into label -> samples, in the order of the labels; {} where nothing was measured."""
        if self.samples is None:
            return {}
        if self.labels is None:
            return {None: self.samples}
        places: dict[str, list[int]] = {}
        for place, label in enumerate(self.labels):
            places.setdefault(label, []).append(place)
        return {
            label: tuple(tuple(process[place] for place in its) for process in self.samples)
            for label, its in places.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A quantity over the course of one process, e.g. the training loss by iteration."""

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
    """One generated text, whole. What a published report does not say of it is "unknown", or None."""

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
    """A file a case left in its run directory; *path* is relative to it."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Which weights were measured. *sha256* is over the weight files, in the order of their names.

    Random ones have no files: the hash is over what determines them, and there are 0 bytes.
    """

    source: str  # hub, path, pypi, nano, random
    sha256: str  # "unknown" of a published report's
    bytes: int | None  # None where a published report does not say
    repository: str | None = None
    revision: str | None = None
    origin_quantization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What must be equal for two records to be comparable."""

    model: str
    weights: Weights
    tokenizer: str  # sha256 of its files
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
    """Everything one worker process measured of one case."""

    key: Key
    readings: dict[str, Readings]
    series: dict[str, Series] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    data: dict[str, Any] | None = None  # the rows as the model sees them, by split; None where none were used
    invalid: str | None = None  # why these readings cannot be true; None where nothing speaks against them
    started_at: str | None = None  # UTC, ISO 8601, and
    wall_s: float = 0.0  # of the process, as the session saw it


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case of one run, as it is stored.

    *identity* names what the readings depend on, each part by a hash or a version: a case whose identity
    is no longer this one has to be measured again.
    """

    case: str
    suite: str
    status: Status
    reason: str | None
    started_at: str  # UTC, ISO 8601; of a published report as far as it says, else "unknown"
    wall_s: float | None  # None where a published report does not say
    key: Key | None  # None where the case ended before the model was known
    metrics: dict[str, Metric]
    series: dict[str, Series] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    identity: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] | None = None  # of the first process

    @property
    def processes(self) -> int:
        """How many processes measured the case."""
        return max((len(metric.samples) for metric in self.metrics.values() if metric.samples), default=0)

    def __post_init__(self) -> None:
        _check_finite("wall_s", () if self.wall_s is None else (self.wall_s,))
        suite, _, rest = self.case.partition("/")
        if suite != self.suite or rest.count("/") != 1 or not all(rest.split("/")):
            raise BadRecord(f"the case {self.case!r} is not {self.suite}/MODEL/ADAPTER")
        if (self.status is Status.OK) == bool(self.reason):
            raise BadRecord(f"{self.case}: a record has a reason if, and only if, it is not ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement a published report makes of its own figures, for a rule to check.

    *check* names the rule's function, *cases* the records it is about, *numbers* what is claimed.
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
    """Where figures come from that were read in a report, and not measured by this program."""

    source: str
    date: str | None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One session: what was asked for, when, and with which code.

    *order* lists the processes as they were measured, each as CASE#NUMBER, counted from 1.
    """

    id: str
    started_at: str
    finished_at: str | None  # None while it runs, and for ever if it was killed
    command: tuple[str, ...]
    profile: str
    git: dict[str, Any] | None
    paired_with: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    resumed_at: tuple[str, ...] = ()  # UTC, ISO 8601, once for each time the run was gone on with
    published: Published | None = None  # None: measured by this program

    def __post_init__(self) -> None:
        _check_facts("run", (self.git, self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine as the measuring process saw it. Unknown is None, never absent.

    *power* is how it was before the first case, *power_after* after the last; None while the session runs.
    *code* is a hash of the source of every module that measures.
    """

    device: dict[str, Any]
    os: dict[str, Any]
    packages: dict[str, str | None]
    blas: dict[str, Any]
    roofline: dict[str, Any]
    power: dict[str, Any]
    compiler: str | None
    power_after: dict[str, Any] | None = None
    self_check: dict[str, Any] | None = None  # products of the device against NumPy's
    code: str | None = None

    def __post_init__(self) -> None:
        facts = (self.device, self.os, self.blas, self.roofline, self.power, self.power_after, self.self_check)
        _check_facts("environment", facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A run with its records: what every command after the session reads."""

    schema: int
    run: RunInfo
    environment: Environment | None  # None if the session ended before it was known
    records: tuple[Record, ...]
    earlier_environments: tuple[Environment, ...] = ()  # of the sessions before the last one, oldest first

    def __post_init__(self) -> None:
        cases = [record.case for record in self.records]
        if twice := sorted({case for case in cases if cases.count(case) > 1}):
            raise BadRecord(f"more than one record of {', '.join(twice)}; keep one")


def number_in(facts: Any, *names: str) -> float | None:
    """The number under *names* in free-form facts, one level a name; None where there is none, or something else."""
    for name in names:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return float(facts) if isinstance(facts, int | float) and not isinstance(facts, bool) else None


def _check_finite(what: str, values: Iterable[float]) -> None:
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        raise BadRecord(f"{what} hold {odd[0]}, which is not a number that can be measured")


def _check_facts(what: str, value: object) -> None:
    """Refuse a number that JSON cannot hold, however deep it lies."""
    if isinstance(value, float):
        _check_finite(what, (value,))
    elif isinstance(value, dict):
        _check_facts(what, tuple(value.values()))
    elif isinstance(value, list | tuple):
        for its in value:
            _check_facts(what, its)
