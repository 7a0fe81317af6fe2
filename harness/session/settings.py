"""Settings of a session: its options, checked, with defaults for those that were not given."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import BadConfig, UnknownName
from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.inputs.datasets import check_plan, on_the_hub
from harness.inputs.plans import AdapterConfig, AdapterKind, ModelConfig, Profile, Quantization
from harness.results.records import RunInfo
from harness.results.run_names import check_name

DEFAULT_MODELS = "smollm2"
DEFAULT_ADAPTERS = "qv-r8"
DEFAULT_PROFILE = "smoke"
DEFAULT_SOURCE = "auto"
DEFAULT_RESULTS_DIR = "results"
SOURCES = ("auto", "hub", "embedded", "random")
QUANTIZE = ("none", "8", "4")
_Default = TypeVar("_Default", str, None)
_Value = TypeVar("_Value")
_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Options of a session, checked and read."""

    models: tuple[ModelConfig, ...]
    adapters: tuple[AdapterConfig, ...]
    adapter_names: tuple[str, ...]  # as typed
    quantization: Quantization | None
    profile: Profile
    source: str
    repeats: int
    cooldown_s: float
    memory_limit_bytes: int | None  # None: nearly all of the machine's
    results_dir: Path
    options: dict[str, Any]  # as typed, those that change what is measured; a run that resumes this one reads them
    run_id: str | None
    resume: Path | None  # the directory of a run to resume
    report: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Options as they were typed, unchecked. None stands for an option that was not given."""

    models: str | None
    adapters: str | None
    profile: str | None
    source: str | None
    quantize: str | None = None
    dataset: str | None = None
    iters: int | None = None
    repeats: int | None
    cooldown_s: float | None
    memory_limit: str | None
    results_dir: str
    run_id: str | None
    resume: Path | None = None  # the directory of a run to resume
    resumed: RunInfo | None = None  # the head of that run
    report: bool


def resolve(options: SessionOptions) -> Settings:
    """Check every option and read the files they name.

    An option that was not given is as it was in the resumed run, else the default.

    Raises:
        HarnessError: naming what is not known, or not possible, and what is.
    """
    stored = _StoredOptions(options.resumed)
    profile = _profile(options)
    source = stored.text("weights", DEFAULT_SOURCE) if options.source is None else options.source
    check_source(source)
    _check_run(options)
    quantize = _given(options.quantize, stored.values.get("quantize"))
    base_quantization = quantization(quantize)
    overrides = {
        "dataset": _given(options.dataset, stored.values.get("dataset")),
        "iters": _given(options.iters, stored.values.get("iters")),
    }
    profile = _overridden(profile, overrides)
    default_adapters = ",".join(profile.lora) or DEFAULT_ADAPTERS
    adapter_names = _names("--lora", _given(options.adapters, stored.text("lora", default_adapters)))
    models_were_named = stored.values.get("models_named", True)
    models = _given(options.models, stored.text("models", None) if models_were_named else None)
    model_names, adapters = _pair_with_models(models, [read_adapter(name) for name in adapter_names])
    _check_fit(adapters, profile, quantize)
    _check_data(adapters, profile)
    limit = options.memory_limit
    return Settings(
        models=tuple(read_model(name) for name in model_names),
        adapters=tuple(adapters),
        adapter_names=tuple(adapter_names),
        quantization=base_quantization,
        profile=profile,
        source=source,
        repeats=options.repeats or stored.values.get("repeats") or profile.repeats,
        cooldown_s=_given(options.cooldown_s, stored.values.get("cooldown_s", profile.cooldown_s)),
        memory_limit_bytes=(
            stored.values.get("memory_limit_bytes") if limit is None else _bytes("--memory-limit", limit)
        ),
        results_dir=Path(options.results_dir),
        options={"models_named": models is not None, "quantize": quantize, **overrides},
        run_id=options.run_id,
        resume=options.resume,
        report=options.report,
    )


class _StoredOptions:
    """Options of the resumed run, as they were typed; none if no run is resumed."""

    def __init__(self, run: RunInfo | None) -> None:
        self.values = run.options if run else {}

    def text(self, name: str, default: _Default) -> str | _Default:
        """Return an option as text; a list as names with commas between."""
        value = self.values.get(name, default)
        return ",".join(value) if isinstance(value, list) else value


def _given(value: _Value | None, fallback: _Value) -> _Value:
    return fallback if value is None else value


def _profile(options: SessionOptions) -> Profile:
    """Read the profile: the one given, else that of the resumed run, else the default.

    Raises:
        HarnessError: if it cannot be read, or is not that of the resumed run.
    """
    resumed = options.resumed
    stored_name = DEFAULT_PROFILE if resumed is None else resumed.profile
    profile = read_profile(_given(options.profile, stored_name))
    if resumed is not None and profile.name != resumed.profile:
        problem = f"the run is of the profile {resumed.profile!r}; measure {profile.name!r} as a run of its own"
        raise BadConfig("--profile", [problem])
    return profile


def _check_run(options: SessionOptions) -> None:
    """Check the options about the run as a whole: its repeats, its name and its pauses.

    Raises:
        HarnessError: naming the first one that is not possible.
    """
    if options.repeats is not None and options.repeats < 1:
        raise BadConfig("--repeats", [f"{options.repeats} processes a case; give a whole number of 1 or more"])
    if options.run_id is not None:
        check_name("--run-id", options.run_id)
        if options.resume is not None:
            problem = "a run that is gone on with keeps its name; leave out --run-id or --resume"
            raise BadConfig("--run-id", [problem])
    if options.cooldown_s is not None and not 0 <= options.cooldown_s < math.inf:
        raise BadConfig("--cooldown", [f"{options.cooldown_s} seconds; give a number of 0 or more"])


def _overridden(profile: Profile, overrides: Mapping[str, Any]) -> Profile:
    """Apply *overrides* (None: not given) to every training of *profile*.

    Raises:
        BadConfig: if there would be no iteration.
    """
    iters = overrides["iters"]
    if iters is not None and iters < 1:
        raise BadConfig("--iters", [f"{iters} iterations; give a whole number of 1 or more"])
    return replace(profile, over={name: value for name, value in overrides.items() if value is not None})


def _pair_with_models(
    models: str | None, adapters: Sequence[AdapterConfig]
) -> tuple[Sequence[str], Sequence[AdapterConfig]]:
    """Return the models to measure, and the adapter configs with the models that each goes with.

    If *models* are named, every config goes with all of them. Otherwise each config goes with the models it lists
    itself, else with the default, and all of these are measured.
    """
    if models is not None:
        return _names("--models", models), [replace(adapter, models=()) for adapter in adapters]
    paired = [replace(adapter, models=adapter.models or (DEFAULT_MODELS,)) for adapter in adapters]
    return list(dict.fromkeys(name for adapter in paired for name in adapter.models)), paired


def _check_fit(adapters: Sequence[AdapterConfig], profile: Profile, quantize: str | None) -> None:
    """Reject configs that contradict the options or themselves, before anything is fetched.

    Raises:
        BadConfig: naming all of them.
    """
    problems = []
    for adapter in adapters:
        plan, bits = profile.training_of(adapter), adapter.quantization and str(adapter.quantization.bits)
        if quantize is not None and bits is not None and bits != quantize:
            problems.append(
                f"{adapter.name} has a base of {bits} bit, --quantize says {quantize}; leave one of them out"
            )
        if adapter.kind is AdapterKind.FULL and quantize not in {None, "none"}:
            problems.append(
                f"{adapter.name} trains the matrices themselves; quantised ones have no gradient: no --quantize"
            )
        if plan.iters < plan.grad_accumulation_steps:
            problems.append(
                f"{adapter.name}: {plan.iters} iterations make no update, as gradients are accumulated over "
                f"{plan.grad_accumulation_steps}; give --iters {plan.grad_accumulation_steps} or more"
            )
    if problems:
        raise BadConfig("--lora", problems)


def _check_data(adapters: Sequence[AdapterConfig], profile: Profile) -> None:
    """Reject datasets that cannot be read or do not fit the training; those that have to be fetched are checked later.

    Raises:
        HarnessError: naming what is wrong with the first dataset that is refused.
    """
    for plan in map(profile.training_of, adapters):
        if not on_the_hub(plan.dataset):
            check_plan(plan)


def _bytes(option: str, text: str) -> int:
    """Read a size: 8GiB, 512MiB, or a number of bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?", text.strip(), re.IGNORECASE)
    size = float(match[1]) * _SIZES[(match[2] or "").lower()] if match else 0
    if size < 1:
        raise BadConfig(option, [f"{text!r} is no size; give one such as 8GiB, 512MiB or 1000000"])
    return int(size)


def quantization(text: str | None) -> Quantization | None:
    """Return the quantization that a value of --quantize stands for; None for no quantization.

    Raises:
        UnknownName: naming those there are.
    """
    if text is not None and text not in QUANTIZE:
        raise UnknownName("quantisation", text, QUANTIZE)
    return None if text is None or text == "none" else Quantization(bits=int(text))


def check_source(source: str) -> None:
    """Reject an unknown source of weights.

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
