"""What a worker process tells the session: how far it is, and at its end one result or one failure."""

from dataclasses import dataclass
from typing import Any

from harness.inputs.plans import ReadyModel
from harness.results.records import Environment, Sample, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """*done* of *total* units of work; *text* is what is known so far."""

    done: int
    total: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no result."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line from a worker: exactly one field is given."""

    progress: Progress | None = None
    failure: Failure | None = None
    sample: Sample | None = None
    ready: ReadyModel | None = None
    environment: Environment | None = None
    facts: dict[str, Any] | None = None
