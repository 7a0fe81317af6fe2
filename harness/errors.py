"""Errors that stop a command. Each message names the place, what was found, what is accepted, and a remedy."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_SHOWN = 10  # problems of one file


class HarnessError(Exception):
    """Base class of these errors. The command line prints the message and exits with 2."""


class BadRecord(HarnessError, ValueError):
    """A value that no measurement can have."""


class BadResultFile(HarnessError):
    """A result file that this version cannot read."""


class BadConfig(HarnessError):
    """A file or an option with all the problems found in it."""

    def __init__(self, place: str, problems: Sequence[str]) -> None:
        super().__init__("\n  ".join(_listed(place, problems)))


def _listed(place: str, problems: Sequence[str]) -> list[str]:
    """List the problems of *place*, one per line; beyond the first _SHOWN they are only counted."""
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    remaining = len(problems) - _SHOWN
    return [f"{place}: {count}", *problems[:_SHOWN], *([f"and {remaining} more"] if remaining > 0 else [])]


class UnknownName(HarnessError):
    """A model, adapter, profile or run that is not known."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        listing = ", ".join(names) if names else "none"
        super().__init__(f"unknown {kind} {name!r}.{guess} Known: {listing}.{' ' + hint if hint else ''}")


class BadData(HarnessError):
    """Training rows that a model cannot learn from, or from which it would learn the wrong thing."""

    def __init__(self, findings: Sequence[str], rules: Sequence[str]) -> None:
        named = ", ".join(f'"{rule}"' for rule in rules)
        accept = f"to train all the same: accept = [{named}] under [training] of the config"
        super().__init__("\n  ".join(["the pre-flight stops this training", *findings, accept]))


class BadWeights(HarnessError):
    """Weights that could not be obtained, or differ from the expected ones."""


class Unwritable(HarnessError):
    """A file or directory that cannot be written."""


class BadReport(HarnessError):
    """A report that cannot be verified, since its sources are not stated or cannot be found."""


class BadArm(HarnessError):
    """A side of `tunebench ab` that is not valid, or whose environment cannot be set up."""


class NotABaseline(HarnessError):
    """A run that must not become a baseline. This is a finding, not wrong usage: the command line exits with 1."""

    def __init__(self, place: str, problems: Sequence[str], remedy: str = "") -> None:
        super().__init__("\n  ".join([*_listed(place, problems), *([remedy] if remedy else [])]))


def first_line(error: object) -> str:
    """Return the first line of an error's message that is not blank; the name of its type if there is none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
