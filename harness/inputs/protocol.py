"""Messages from a worker process to the session: progress, then one result or one failure."""

from dataclasses import dataclass
from typing import Any

from harness.inputs.plans import ReadyModel
from harness.results.records import Environment, Sample, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a job: *done* of *total* units of work; *text* is a short note for the terminal."""

    done: int
    total: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Status and reason of a job that gave no result."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line from a worker. Exactly one field is set."""

    progress: Progress | None = None
    failure: Failure | None = None
    sample: Sample | None = None
    ready: ReadyModel | None = None
    environment: Environment | None = None
    facts: dict[str, Any] | None = None
