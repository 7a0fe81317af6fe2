"""Id of a case: SUITE/MODEL/VARIANT, such as training/tinyllama/qv-r16."""

from dataclasses import dataclass
from typing import Self

BASE = "base"  # the variant of a case without an adapter
_PARTS = 3


@dataclass(frozen=True, slots=True)
class CaseId:
    """A case by its parts, none of which contains a slash; its text is what records and pages hold.

    *variant* is the name of the adapter or, without one, `base` or a name that begins with `base-`.
    """

    suite: str
    model: str
    variant: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read SUITE/MODEL/VARIANT.

        Raises:
            ValueError: if the text has not three parts, or one of them is empty.
        """
        parts = text.split("/")
        if len(parts) != _PARTS or not all(parts):
            raise ValueError(f"{text!r} is not SUITE/MODEL/VARIANT")
        return cls(*parts)

    @property
    def configuration(self) -> str:
        """Model and variant, which cases of several suites have in common."""
        return f"{self.model}/{self.variant}"

    @property
    def is_base(self) -> bool:
        """True if the model was measured without an adapter."""
        return self.variant == BASE or self.variant.startswith(f"{BASE}-")

    def __str__(self) -> str:
        return f"{self.suite}/{self.model}/{self.variant}"
