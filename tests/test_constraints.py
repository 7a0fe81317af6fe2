"""The versions that are pinned under `constraints/` are of every package that pyproject.toml asks for, and allowed."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
REQUIREMENTS = [Requirement(text) for text in [*PYPROJECT["project"]["dependencies"], *EXTRAS["dev"]]]
TOOLS = [Requirement(text) for text in PYPROJECT["dependency-groups"]["tox"]]


def machine(system, processor, python):
    """What markers ask for; no extra is chosen."""
    return {
        "sys_platform": system,
        "platform_machine": processor,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }


SYSTEMS = [("darwin", "arm64"), ("linux", "x86_64"), ("linux", "aarch64")]
SUPPORTED = [machine(*system, python) for system in SYSTEMS for python in ["3.11", "3.12", "3.13", "3.14"]]
OLDEST = [machine(*system, "3.11") for system in SYSTEMS]


def name_of_machine(environment):
    return "-".join(environment[key] for key in ["sys_platform", "platform_machine", "python_version"])


def lines(file_name):
    text = (ROOT / "constraints" / file_name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def applies(requirement, environment):
    return requirement.marker is None or requirement.marker.evaluate(environment)


def direct_pins(file_name, requirements, environment):
    """Those of the requirements that hold on this machine, each with its pinned version: there is exactly one."""
    pins = [Requirement(line.partition("#")[0]) for line in lines(file_name)]
    pins = [pin for pin in pins if applies(pin, environment)]
    for requirement in requirements:
        if not applies(requirement, environment):
            continue
        name = canonicalize_name(requirement.name)
        specifiers = [str(pin.specifier) for pin in pins if canonicalize_name(pin.name) == name]
        assert len(specifiers) == 1, f"{file_name} does not pin {requirement}; run: python3 -m tox -e constraints"
        assert specifiers[0].startswith("==")
        yield requirement, Version(specifiers[0].removeprefix("=="))


@pytest.mark.parametrize("environment", SUPPORTED, ids=name_of_machine)
def test_every_package_has_a_tested_version_that_is_allowed(environment):
    pairs = list(direct_pins("tested.txt", REQUIREMENTS + TOOLS, environment))
    assert [f"{requirement}: {version}" for requirement, version in pairs if version not in requirement.specifier] == []
    assert len(pairs) > 30


@pytest.mark.parametrize("environment", OLDEST, ids=name_of_machine)
def test_every_lower_bound_is_the_version_that_is_tested_as_the_lowest(environment):
    for requirement, version in direct_pins("lowest.txt", REQUIREMENTS, environment):
        (bound,) = [Version(part.version).release for part in requirement.specifier if part.operator == ">="]
        assert version.release[: len(bound)] == bound, f"{requirement} is tested with {version}"


def test_a_package_has_the_same_bounds_wherever_it_is_asked_for():
    texts = [*PYPROJECT["build-system"]["requires"], *EXTRAS["datasets"], *EXTRAS["history"]]
    repeated = [Requirement(text) for text in texts]
    names = {requirement.name for requirement in repeated}
    assert names == {"hatchling", "pyarrow", "ruptures"}
    for name in names:
        assert len({str(each.specifier) for each in [*REQUIREMENTS, *TOOLS, *repeated] if each.name == name}) == 1, name


@pytest.mark.parametrize("file_name", ["tested.txt", "lowest.txt"])
def test_a_pinned_version_names_no_index_and_no_path(file_name):
    assert len(lines(file_name)) > len(REQUIREMENTS)
    for line in lines(file_name):
        assert re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+( ; [\w.'<>=! ()]+)? +# via [a-z0-9-, ().:]+", line), line
