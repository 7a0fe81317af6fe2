"""Options to one frozen Settings. The only place with defaults."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.configs import read_adapter, read_model, read_profile
from harness.errors import BadConfig, UnknownName
from harness.plans import AdapterConfig, ModelConfig, Profile

DEFAULT_MODELS = "smollm2"
DEFAULT_ADAPTERS = "qv-r8"
DEFAULT_PROFILE = "smoke"
DEFAULT_SOURCE = "auto"
DEFAULT_RESULTS_DIR = "results"
_RESERVED = ("latest", "baseline", "published")
SOURCES = ("auto", "hub", "embedded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a session was asked for, checked."""

    models: tuple[ModelConfig, ...]
    adapters: tuple[AdapterConfig, ...]
    profile: Profile
    source: str
    repeats: int
    results_dir: Path
    run_id: str | None
    report: bool


def resolve(
    *,
    models: str,
    adapters: str,
    profile: str,
    source: str,
    repeats: int | None,
    results_dir: str,
    run_id: str | None,
    report: bool,
) -> Settings:
    """Check every option and read the files they name.

    Raises:
        HarnessError: naming what is not known, or not possible, and what is.
    """
    plan = read_profile(profile)
    check_source(source)
    if repeats is not None and repeats < 1:
        raise BadConfig("--repeats", [f"{repeats} processes a case; give a whole number of 1 or more"])
    if run_id in _RESERVED:
        raise BadConfig("--run-id", [f"{run_id!r} has a meaning of its own; give another"])
    if run_id is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run_id):
        raise BadConfig("--run-id", [f"{run_id!r}; use letters, digits, '.', '_' and '-'"])
    return Settings(
        models=tuple(read_model(name) for name in _names("--models", models)),
        adapters=tuple(read_adapter(name) for name in _names("--lora", adapters)),
        profile=plan,
        source=source,
        repeats=repeats or plan.repeats,
        results_dir=Path(results_dir),
        run_id=run_id,
        report=report,
    )


def check_source(source: str) -> None:
    """Refuse a weights source that does not exist.

    Raises:
        UnknownName: naming those that do.
    """
    if source not in SOURCES:
        raise UnknownName("weights source", source, SOURCES)


def _names(option: str, text: str) -> Sequence[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise BadConfig(option, ["nothing is named; give one name or more, with commas between"])
    return names
