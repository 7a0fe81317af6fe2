"""The ways the harness refuses to go on. Each one names a place, what was found and a remedy."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_SHOWN = 10  # problems of one file


class HarnessError(Exception):
    """Base of every refusal. The command line prints it and exits with 2."""


class BadRecord(HarnessError, ValueError):
    """A value that no measurement can have."""


class BadResultFile(HarnessError):
    """A result file that this version cannot read."""


class BadConfig(HarnessError):
    """One file, every problem in it."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        super().__init__("\n  ".join(_listed(where, problems)))


def _listed(where: str, problems: Sequence[str]) -> list[str]:
    """What is wrong with *where*, a line each; who has the first ones right sees the others."""
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    more = len(problems) - _SHOWN
    return [f"{where}: {count}", *problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


class UnknownName(HarnessError):
    """A model, adapter, profile or run that nothing is known of."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        listing = ", ".join(names) if names else "none"
        super().__init__(f"unknown {what} {name!r}.{guess} Known: {listing}.{' ' + hint if hint else ''}")


class BadData(HarnessError):
    """Rows that a model cannot learn from, or would learn the wrong thing from."""

    def __init__(self, findings: Sequence[str], rules: Sequence[str]) -> None:
        named = ", ".join(f'"{rule}"' for rule in rules)
        accept = f"to train all the same: accept = [{named}] under [training] of the config"
        super().__init__("\n  ".join(["the pre-flight stops this training", *findings, accept]))


class BadWeights(HarnessError):
    """Weights that could not be had, or are not what they should be."""


class Unwritable(HarnessError):
    """A directory that results or caches should go to, and cannot."""


class BadReport(HarnessError):
    """A report that does not say what it was made from."""


class BadArm(HarnessError):
    """An environment to compare that is not understood, or cannot be had."""


class NotABaseline(HarnessError):
    """A run that must not become a baseline: a finding, and no wrong usage. The command line exits with 1."""

    def __init__(self, where: str, problems: Sequence[str], remedy: str = "") -> None:
        super().__init__("\n  ".join([*_listed(where, problems), *([remedy] if remedy else [])]))
