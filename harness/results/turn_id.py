"""Name of a turn in a run's order: CASE#NUMBER, where the processes of a case are counted from 1."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class TurnId:
    """One process of a case; its text is what a run stores."""

    case: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read CASE#NUMBER.

        Raises:
            ValueError: if it does not end in a number.
        """
        case, _, number = text.rpartition("#")
        return cls(case=case, number=int(number))

    def __str__(self) -> str:
        return f"{self.case}#{self.number}"
