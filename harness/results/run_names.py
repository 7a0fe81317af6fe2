"""What may name a run or a baseline."""

import re

from harness.errors import BadConfig

_RESERVED = ("latest", "baseline", "published")


def check_name(option: str, name: str) -> None:
    """Refuse what cannot name a run or a baseline.

    Raises:
        BadConfig: naming the *option* and what a name is made of.
    """
    if name in _RESERVED:
        raise BadConfig(option, [f"{name!r} has a meaning of its own; give another"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise BadConfig(option, [f"{name!r}; use letters, digits, '.', '_' and '-'"])
