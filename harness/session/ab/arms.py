"""The two environments of an A/B comparison, as they are typed: `same`, `pip:…`, `git:…`, `env:…`. Pure.

What a text means is decided here, in full, before anything is made of it; `making` makes it.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from harness.errors import BadArm

_FORMS = "same, pip:REQUIREMENT[,REQUIREMENT], git:REV or env:NAME=VALUE[,NAME=VALUE]"
_REQUIREMENT = "pip: takes names with versions from the package index, as in pip:mlx-lm==0.31.3,mlx>=0.30,<0.32"
_VARIABLE = "env: takes NAME=VALUE[,NAME=VALUE]; a name is of letters, digits and _, and a value holds no comma"
_REVISION = "git: takes a branch, a tag or a commit, as in git:HEAD~1"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GOES_ON = tuple("<>=!~")  # what follows a comma inside one requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """The environment here, as it is."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Versions of packages. *requirements* are normalised and sorted, so that equal wishes are equal."""

    text: str
    requirements: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The packages, without their versions."""
        return tuple(canonicalize_name(Requirement(its).name) for its in self.requirements)

    def unmet(self, versions: Mapping[str, str]) -> list[str]:
        """What of *versions* (by name; without what is not installed) is not as required."""
        return [
            f"{name} {versions[name]}" if name in versions else f"no {name}"
            for name, its in zip(self.names, map(Requirement, self.requirements), strict=True)
            if name not in versions or not its.specifier.contains(versions[name], prereleases=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The code of a commit of the repository here; *revision* as typed, not looked up yet."""

    text: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Environment variables on top of those that are set."""

    text: str
    variables: Mapping[str, str]


Spec = Same | Packages | Revision | Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """An environment that is ready to be measured: `python -m pytest` with *python* in *directory*.

    *variables* come on top of the environment of whoever starts it. *facts* is what a stored run says of it.
    """

    text: str
    python: Path
    directory: Path
    variables: Mapping[str, str]
    facts: Mapping[str, Any]


def parse(text: str) -> Spec:
    """Read one environment as it is typed.

    Raises:
        BadArm: if it is of no known form, or something in it is not what that form takes.
    """
    if text == "same":
        return Same(text=text)
    kind, _, rest = text.partition(":")
    forms: dict[str, Callable[[str, str], Spec]] = {"pip": _packages, "git": _revision, "env": _variables}
    if (read := forms.get(kind)) is None:
        raise BadArm(f"environment {text!r}: unknown form; write {_FORMS}")
    if not rest.strip():
        raise BadArm(f"environment {text!r}: nothing after {kind}:; write {_FORMS}")
    return read(text, rest)


def _packages(text: str, rest: str) -> Packages:
    return Packages(text=text, requirements=tuple(sorted(_requirement(text, its) for its in _split(rest))))


def _split(rest: str) -> Sequence[str]:
    """The requirements between commas; a comma before an operator or inside brackets belongs to one of them."""
    whole: list[str] = []
    for piece in map(str.strip, rest.split(",")):
        if whole and (piece.startswith(_GOES_ON) or whole[-1].count("[") > whole[-1].count("]")):
            whole[-1] += f",{piece}"
        else:
            whole.append(piece)
    return whole


def _requirement(text: str, written: str) -> str:
    """One requirement, normalised."""
    where = f"environment {text!r}: {written!r}"
    if written.startswith("-"):
        raise BadArm(f"{where} is an option of pip; {_REQUIREMENT}; options belong into pip's configuration")
    try:
        requirement = Requirement(written)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise BadArm(f"{where} is no requirement ({reason}); {_REQUIREMENT}") from error
    if requirement.url is not None:
        raise BadArm(f"{where} is a direct reference; {_REQUIREMENT}; for code of a repository write git:REV")
    if requirement.marker is not None:
        raise BadArm(f"{where} has a condition, which pip may drop without a word; {_REQUIREMENT}")
    name = canonicalize_name(requirement.name)
    if name == "tunebench":
        raise BadArm(f"{where} is what measures; {_REQUIREMENT}; to compare its own revisions write git:REV")
    extras = f"[{','.join(sorted(map(canonicalize_name, requirement.extras)))}]" if requirement.extras else ""
    return f"{name}{extras}{requirement.specifier}"


def _revision(text: str, rest: str) -> Revision:
    if rest.startswith("-") or any(its.isspace() for its in rest):
        raise BadArm(f"environment {text!r}: {rest!r} is no revision; {_REVISION}")
    return Revision(text=text, revision=rest)


def _variables(text: str, rest: str) -> Variables:
    pairs = [piece.partition("=") for piece in rest.split(",")]
    for name, equals, value in pairs:
        if not equals or not _NAME.fullmatch(name) or "\0" in value:
            raise BadArm(f"environment {text!r}: {name + equals + value!r} is no variable; {_VARIABLE}")
    if twice := [name for name, count in Counter(name for name, _, _ in pairs).items() if count > 1]:
        raise BadArm(f"environment {text!r}: {', '.join(twice)} is set twice; {_VARIABLE}; keep one of them")
    return Variables(text=text, variables={name: value for name, _, value in pairs})
