"""Arms of an A/B comparison: the two environments, as typed (`same`, `pip:…`, `git:…`, `env:…`) and as prepared.

A text is read and checked here in full, before anything is prepared; `prepare` does the preparing.
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
_CONTINUES = tuple("<>=!~")  # characters that follow a comma inside one requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """Unchanged current environment."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Versions of packages. *requirements* are normalized and sorted, so that equal sets compare equal."""

    text: str
    requirements: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the packages."""
        return tuple(canonicalize_name(Requirement(requirement).name) for requirement in self.requirements)

    def unmet(self, versions: Mapping[str, str]) -> list[str]:
        """Return the packages that are missing from *versions* (installed version by name) or not as required there."""
        return [
            f"{name} {versions[name]}" if name in versions else f"no {name}"
            for name, requirement in zip(self.names, map(Requirement, self.requirements), strict=True)
            if name not in versions or not requirement.specifier.contains(versions[name], prereleases=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Code of a commit of the current repository; *revision* is as typed and may not exist."""

    text: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Environment variables on top of those already set."""

    text: str
    variables: Mapping[str, str]


ArmSpec = Same | Packages | Revision | Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedArm:
    """An environment that is ready to be measured: `python -m pytest` with *python* in *directory*.

    *variables* are added to the environment of the process that starts it. *facts* are stored with the run.
    """

    text: str
    python: Path
    directory: Path
    variables: Mapping[str, str]
    facts: Mapping[str, Any]


def parse(text: str) -> ArmSpec:
    """Read one environment as typed.

    Raises:
        BadArm: if its form is unknown, or it contains something that the form does not accept.
    """
    if text == "same":
        return Same(text=text)
    kind, _, rest = text.partition(":")
    forms: dict[str, Callable[[str, str], ArmSpec]] = {"pip": _packages, "git": _revision, "env": _variables}
    if (read := forms.get(kind)) is None:
        raise BadArm(f"environment {text!r}: unknown form; write {_FORMS}")
    if not rest.strip():
        raise BadArm(f"environment {text!r}: nothing after {kind}:; write {_FORMS}")
    return read(text, rest)


def _packages(text: str, rest: str) -> Packages:
    return Packages(text=text, requirements=tuple(sorted(_requirement(text, part) for part in _split(rest))))


def _split(rest: str) -> Sequence[str]:
    """Split at commas, except before an operator and inside brackets, where a comma is part of the requirement."""
    requirements: list[str] = []
    for piece in map(str.strip, rest.split(",")):
        in_brackets = requirements and requirements[-1].count("[") > requirements[-1].count("]")
        if requirements and (in_brackets or piece.startswith(_CONTINUES)):
            requirements[-1] += f",{piece}"
        else:
            requirements.append(piece)
    return requirements


def _requirement(text: str, written: str) -> str:
    """Normalize one requirement.

    Raises:
        BadArm: if it is anything but a package with versions.
    """
    subject = f"environment {text!r}: {written!r}"
    if written.startswith("-"):
        raise BadArm(f"{subject} is an option of pip; {_REQUIREMENT}; options belong into pip's configuration")
    try:
        requirement = Requirement(written)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise BadArm(f"{subject} is no requirement ({reason}); {_REQUIREMENT}") from error
    if requirement.url is not None:
        raise BadArm(f"{subject} is a direct reference; {_REQUIREMENT}; for code of a repository write git:REV")
    if requirement.marker is not None:
        raise BadArm(f"{subject} has a condition, which pip may drop without a word; {_REQUIREMENT}")
    name = canonicalize_name(requirement.name)
    if name == "tunebench":
        raise BadArm(f"{subject} is what measures; {_REQUIREMENT}; to compare its own revisions write git:REV")
    extras = f"[{','.join(sorted(map(canonicalize_name, requirement.extras)))}]" if requirement.extras else ""
    return f"{name}{extras}{requirement.specifier}"


def _revision(text: str, rest: str) -> Revision:
    if rest.startswith("-") or any(character.isspace() for character in rest):
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
