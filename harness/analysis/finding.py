"""A finding of a report: one thing that a rule detected in the numbers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Severity of a finding."""

    CONTRADICTION = "contradiction"  # the figures of a report refute its own text
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding for a report. *rule* is the id in docs/rules.md."""

    rule: str
    level: Level
    subject: str  # the case or run it is about
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
