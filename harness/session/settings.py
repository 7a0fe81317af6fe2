"""Options to one frozen Settings. The only place with defaults."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import BadConfig, UnknownName
from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.inputs.datasets import check_plan, on_the_hub
from harness.inputs.plans import AdapterConfig, ModelConfig, Profile, Quantization
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
_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a session was asked for, checked."""

    models: tuple[ModelConfig, ...]
    adapters: tuple[AdapterConfig, ...]
    adapter_names: tuple[str, ...]  # as typed
    quantization: Quantization | None
    profile: Profile
    source: str
    repeats: int
    cooldown_s: float
    memory_limit_bytes: int | None  # None: nearly all the machine has
    results_dir: Path
    options: dict[str, Any]  # those that change what is measured, as they were typed, for going on with the run
    run_id: str | None
    resume: Path | None  # the directory of a run to go on with
    report: bool


def resolve(
    *,
    models: str | None,
    adapters: str | None,
    profile: str | None,
    source: str | None,
    quantize: str | None = None,
    dataset: str | None = None,
    iters: int | None = None,
    repeats: int | None,
    cooldown_s: float | None,
    memory_limit: str | None,
    results_dir: str,
    run_id: str | None,
    resume: Path | None = None,
    resumed: RunInfo | None = None,
    report: bool,
) -> Settings:
    """Check every option and read the files they name.

    None stands for an option that was not given: it is as it was in the run that is gone on with
    (*resume*, with its head *resumed*), else the default.

    Raises:
        HarnessError: naming what is not known, or not possible, and what is.
    """
    was = _Was(resumed)
    plan = read_profile((resumed.profile if resumed else DEFAULT_PROFILE) if profile is None else profile)
    if resumed is not None and plan.name != resumed.profile:
        problem = f"the run is of the profile {resumed.profile!r}; measure {plan.name!r} as a run of its own"
        raise BadConfig("--profile", [problem])
    source = was.text("weights", DEFAULT_SOURCE) if source is None else source
    check_source(source)
    if repeats is not None and repeats < 1:
        raise BadConfig("--repeats", [f"{repeats} processes a case; give a whole number of 1 or more"])
    if run_id is not None:
        check_name("--run-id", run_id)
    if run_id is not None and resume is not None:
        raise BadConfig("--run-id", ["a run that is gone on with keeps its name; leave out --run-id or --resume"])
    if cooldown_s is not None and not 0 <= cooldown_s < math.inf:
        raise BadConfig("--cooldown", [f"{cooldown_s} seconds; give a number of 0 or more"])
    quantize = was.options.get("quantize") if quantize is None else quantize
    quantised = quantization(quantize)
    dataset = was.options.get("dataset") if dataset is None else dataset
    iters = was.options.get("iters") if iters is None else iters
    over = {"dataset": dataset, "iters": iters}
    if iters is not None and iters < 1:
        raise BadConfig("--iters", [f"{iters} iterations; give a whole number of 1 or more"])
    plan = replace(plan, over={name: value for name, value in over.items() if value is not None})
    usual_adapters = ",".join(plan.lora) or DEFAULT_ADAPTERS
    adapter_names = _names("--lora", was.text("lora", usual_adapters) if adapters is None else adapters)
    configs = [read_adapter(name) for name in adapter_names]
    models_were_named = was.options.get("models_named", True)
    models = was.text("models", None) if models is None and models_were_named else models
    model_names, configs = _pair(models, configs)
    _check_fit(configs, plan, quantize)
    _check_data(configs, plan)
    limit = was.options.get("memory_limit_bytes") if memory_limit is None else _bytes("--memory-limit", memory_limit)
    return Settings(
        models=tuple(read_model(name) for name in model_names),
        adapters=tuple(configs),
        adapter_names=tuple(adapter_names),
        quantization=quantised,
        profile=plan,
        source=source,
        repeats=repeats or was.options.get("repeats") or plan.repeats,
        cooldown_s=was.options.get("cooldown_s", plan.cooldown_s) if cooldown_s is None else cooldown_s,
        memory_limit_bytes=limit,
        results_dir=Path(results_dir),
        options={"models_named": models is not None, "quantize": quantize, **over},
        run_id=run_id,
        resume=resume,
        report=report,
    )


class _Was:
    """The options of a run that is gone on with, as they were typed; without one, there are none."""

    def __init__(self, run: RunInfo | None) -> None:
        self.options = run.options if run else {}

    def text(self, name: str, default: _Default) -> str | _Default:
        """An option as text; a list as names with commas between."""
        value = self.options.get(name, default)
        return ",".join(value) if isinstance(value, list) else value


def _pair(models: str | None, adapters: list[AdapterConfig]) -> tuple[Sequence[str], list[AdapterConfig]]:
    """The models to measure, and the configs with those they go with: all of them, where models are named.

    Where none are, a config that has models of its own brings them, and goes with them alone.
    """
    if models is not None:
        return _names("--models", models), [replace(its, models=()) for its in adapters]
    names = [name for its in adapters for name in its.models or (DEFAULT_MODELS,)]
    return list(dict.fromkeys(names)), [replace(its, models=its.models or (DEFAULT_MODELS,)) for its in adapters]


def _check_fit(adapters: Sequence[AdapterConfig], profile: Profile, quantize: str | None) -> None:
    """Refuse configs that contradict the options or themselves, before anything is fetched.

    Raises:
        BadConfig: naming all of them.
    """
    problems = []
    for its in adapters:
        plan, bits = profile.training_of(its), its.quantization and str(its.quantization.bits)
        if quantize is not None and bits is not None and bits != quantize:
            problems.append(f"{its.name} has a base of {bits} bit, --quantize says {quantize}; leave one of them out")
        if its.kind == "full" and quantize not in {None, "none"}:
            problems.append(
                f"{its.name} trains the matrices themselves; quantised ones have no gradient: no --quantize"
            )
        if plan.iters < plan.grad_accumulation_steps:
            problems.append(
                f"{its.name}: {plan.iters} iterations make no update, as gradients are accumulated over "
                f"{plan.grad_accumulation_steps}; give --iters {plan.grad_accumulation_steps} or more"
            )
    if problems:
        raise BadConfig("--lora", problems)


def _check_data(adapters: Sequence[AdapterConfig], profile: Profile) -> None:
    """Refuse data that cannot be read or do not fit the training, but for those that have to be fetched.

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
    """What an option for the bits of a weight means.

    Raises:
        UnknownName: naming those there are.
    """
    if text is not None and text not in QUANTIZE:
        raise UnknownName("quantisation", text, QUANTIZE)
    return None if text is None or text == "none" else Quantization(bits=int(text))


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
