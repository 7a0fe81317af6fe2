"""Rules for the names of runs and baselines."""

import re

from harness.errors import BadConfig

_RESERVED = ("latest", "baseline", "published")


def check_name(option: str, name: str) -> None:
    """Refuse a reserved *name*, or one with characters that a folder's name should not hold.

    Raises:
        BadConfig: naming the *option* and the accepted characters.
    """
    if name in _RESERVED:
        raise BadConfig(option, [f"{name!r} has a meaning of its own; give another"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise BadConfig(option, [f"{name!r}; use letters, digits, '.', '_' and '-'"])
