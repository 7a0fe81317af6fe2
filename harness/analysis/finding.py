"""What a rule found in the numbers. A value."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found in the numbers. *rule* is its id in docs/rules.md."""

    rule: str
    level: str  # "contradiction", "warning" or "note"
    subject: str  # the case or run it is about
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
