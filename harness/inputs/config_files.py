"""TOML files under fixtures/, read into typed plans. The door to tomllib; `config_rules` has the rules for each key."""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from harness.analysis.report_policy import CardText, Limit, Policy, Rank, Rating, RatingStep, UseCase
from harness.errors import BadConfig, UnknownName
from harness.inputs import config_rules
from harness.inputs.plans import (
    ALL_LAYERS,
    AdapterConfig,
    AdapterKind,
    Chat,
    InferencePlan,
    ModelConfig,
    Profile,
    PypiWeights,
    Quantization,
    Schedule,
    TrainingPlan,
)
from harness.paths import bundled

ADAPTER_WEIGHTS = "adapters.safetensors"  # in a directory that mlx-lm's trainer leaves
_ALPHA = ("alpha", "lora_alpha")  # the scale of other tools, times the rank
_LOW_RANK_KEYS = ("rank", "scale", "dropout", "keys")  # a full fine-tune has none of them
_OPTIONAL = {
    "adapter": ("kind", "dropout", "quantize", "models", "resume", "training"),
    "training": tuple(
        field.name
        for field in fields(TrainingPlan)
        if field.default is not MISSING or field.default_factory is not MISSING
    ),
    "quantize": ("group_size", "mode"),
    "schedule": ("arguments", "warmup", "warmup_init"),
}
_ARGUMENTS_OPTIONAL = ("cosine_decay", "linear_schedule")  # schedules that can end with the training


def known(kind: str) -> dict[str, Path]:
    """Return the configs of a *kind* ("models", "lora", "profiles") that ship, by name, with their files."""
    return {path.stem: path for path in sorted((bundled("fixtures") / kind).glob("*.toml"))}


def read_adapter(name: str) -> AdapterConfig:
    """Read an adapter config by its name under fixtures/lora/, or from a path to a TOML file."""
    path = Path(name).expanduser() if name.endswith(".toml") else known("lora").get(name)
    if path is not None and not path.is_file():
        raise BadConfig(name, ["there is no such file; give a name under fixtures/lora/ or a path to a .toml file"])
    if path is None:
        raise UnknownName("adapter config", name, known("lora"), "A path to a .toml file works too.")
    table = {"kind": "lora", **_load(path)}
    problems = _adapter_problems(table)
    resume, resumed = _resumed(table, path)
    if resume is not None and resumed is None:
        problems.append(f"resume: there is no {resume / ADAPTER_WEIGHTS}; give a directory that holds an adapter")
    if problems:
        raise BadConfig(str(path), problems)
    quantize, keys = table.get("quantize"), table.get("keys", {})
    if isinstance(keys, list):
        keys = {"default": keys}
    return AdapterConfig(
        name=re.sub(r"[^a-z0-9._-]+", "--", path.stem.lower()),
        kind=AdapterKind(table["kind"]),
        layers=None if table["layers"] == ALL_LAYERS else table["layers"],
        rank=table.get("rank"),
        scale=float(table["scale"]) if "scale" in table else None,
        dropout=float(table.get("dropout", 0.0)),
        keys=keys if isinstance(keys, str) else {model_type: tuple(names) for model_type, names in keys.items()},
        quantization=None if quantize is None else _quantization(quantize),
        models=tuple(table.get("models", ())),
        resume=None if resume is None else str(resume),
        resume_sha256=resumed,
        training=_training(table.get("training", {})),
    )


def _adapter_problems(table: dict[str, Any]) -> list[str]:
    full = table["kind"] == AdapterKind.FULL
    without_alpha = {key: value for key, value in table.items() if key not in _ALPHA}
    optional = [*_OPTIONAL["adapter"], *(_LOW_RANK_KEYS if full else ())]
    alpha = next((key for key in _ALPHA if key in table), None)
    problems = [] if alpha is None else [_conversion(alpha, table)]
    optional += [] if alpha is None else ["scale"]
    problems += config_rules.problems(without_alpha, config_rules.ADAPTER, optional=optional)
    if isinstance(table.get("quantize"), dict):
        problems += config_rules.problems(
            table["quantize"], config_rules.QUANTIZATION, part="quantize", optional=_OPTIONAL["quantize"]
        )
    training = table.get("training")
    problems += _training_problems(training, optional=tuple(config_rules.TRAINING))
    if full:
        problems += [f"{key}: a full fine-tune has none; leave it out" for key in _LOW_RANK_KEYS if key in table]
        if "quantize" in table:
            problems.append("quantize: quantised weights have no gradient; use kind lora or dora, or leave it out")
    return problems


def _conversion(alpha: str, table: dict[str, Any]) -> str:
    """Say what to write in place of alpha. Source: Hu et al. (2021), arXiv:2106.09685, section 4.1."""
    formula = "scale = alpha / rank"
    with suppress(KeyError, TypeError, ZeroDivisionError):  # the rule of the rank says what is wrong with it
        formula += f" = {table[alpha] / table['rank']:g}"
    return f"{alpha!r} is not used here: mlx-lm scales B @ A by 'scale'; write {formula}"


def _resumed(table: dict[str, Any], path: Path) -> tuple[Path | None, str | None]:
    """Return the directory of the adapter to train on, relative to the config file, and the hash of the weights."""
    if not isinstance(table.get("resume"), str):
        return None, None
    directory = (path.parent / Path(table["resume"]).expanduser()).resolve()
    try:
        with (directory / ADAPTER_WEIGHTS).open("rb") as stream:
            return directory, hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return directory, None


def _quantization(value: int | dict[str, Any]) -> Quantization:
    return Quantization(**value) if isinstance(value, dict) else Quantization(bits=value)


def _training_problems(table: object, *, optional: Sequence[str]) -> list[str]:
    problems = config_rules.problems(table, config_rules.TRAINING, part="training", optional=optional)
    schedule = table.get("schedule") if isinstance(table, dict) else None
    part = "training.schedule"
    problems += config_rules.problems(schedule, config_rules.SCHEDULE, part=part, optional=_OPTIONAL["schedule"])
    if isinstance(schedule, dict) and schedule.get("name") in config_rules.SCHEDULES:
        name = schedule["name"]
        if name not in _ARGUMENTS_OPTIONAL and not schedule.get("arguments"):
            problems.append(f"{part}.arguments is missing: {name} does not know how far to go without")
    return problems


def _training(table: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of TrainingPlan that a table sets, converted to their types."""
    typed = dict(table)
    if schedule := table.get("schedule"):
        typed["schedule"] = Schedule(**{**schedule, "arguments": tuple(map(float, schedule.get("arguments", ())))})
    for name in ("split_rows", "accept"):
        if name in table:
            typed[name] = tuple(table[name])
    return typed


def read_profile(name: str) -> Profile:
    """Read a profile by its name under fixtures/profiles/."""
    path = known("profiles").get(name)
    if path is None:
        raise UnknownName("profile", name, known("profiles"))
    table = _load(path)
    problems = [
        *config_rules.problems(table, config_rules.PROFILE, optional=("lora",)),
        *_training_problems(table.get("training"), optional=_OPTIONAL["training"]),
        *config_rules.problems(table.get("evaluation"), config_rules.EVALUATION, part="evaluation"),
        *config_rules.problems(table.get("inference"), config_rules.INFERENCE, part="inference"),
    ]
    if problems:
        raise BadConfig(str(path), problems)
    inference = table["inference"]
    lists = {key: tuple(inference[key]) for key in ("context_depths", "batch_sizes")}
    return Profile(
        name=name,
        repeats=table["repeats"],
        timeout_s=float(table["timeout_s"]),
        cooldown_s=float(table["cooldown_s"]),
        training=TrainingPlan(**_training(table["training"])),
        **table["evaluation"],
        inference=InferencePlan(**{**inference, **lists}),
        lora=tuple(table.get("lora", ())),
    )


def read_model(name: str) -> ModelConfig:
    """Read a model: a registry name, hf:ORG/REPO[@REV], or path:DIR in the layout of mlx-lm."""
    kind, _, location = name.partition(":")
    if kind == "hf" and location:
        repository, _, revision = location.partition("@")
        if not re.fullmatch(r"[^/\s]+/[^/\s]+", repository):
            raise BadConfig(name, [f"{repository!r} is no repository; give hf:ORG/REPO or hf:ORG/REPO@REV"])
        return ModelConfig(name=name, repository=repository, revision=revision or None)
    if kind == "path" and location:
        directory = Path(location.replace("\0", "?")).expanduser().resolve()
        if "\0" in location or not (directory / "config.json").is_file():
            raise BadConfig(name, [f"{directory} holds no config.json; give a directory saved by mlx-lm"])
        return ModelConfig(name=name, directory=str(directory))
    path = known("models").get(name)
    if path is None:
        hint = "hf:ORG/REPO and path:DIR work too."
        raise UnknownName("model", name, known("models"), hint)
    table = _load(path)
    problems = [
        *config_rules.problems(table, config_rules.MODEL, optional=("pypi",)),
        *config_rules.problems(table.get("chat"), config_rules.CHAT, part="chat", optional=("also_eos", "bos", "unk")),
        *config_rules.problems(table.get("pypi"), config_rules.PYPI, part="pypi"),
    ]
    if problems:
        raise BadConfig(str(path), problems)
    chat, pypi = table["chat"], table.get("pypi")
    return ModelConfig(
        name=name,
        repository=table["repository"],
        license=table["license"],
        gated=table["gated"],
        config=table["config"],
        chat=Chat(**{**chat, **{key: tuple(chat[key]) for key in ("special", "also_eos") if key in chat}}),
        nano=table["nano"],
        pypi=PypiWeights(**pypi) if pypi else None,
    )


def read_policy(path: Path | None) -> Policy:
    """Read a report policy; without a path, the one that ships."""
    source = bundled("fixtures") / "policies" / "default.toml" if path is None else path
    table = _load(source)
    if path is not None:  # keys that the user leaves out are as shipped
        shipped = _load(bundled("fixtures") / "policies" / "default.toml")
        table = {**{key: value for key, value in shipped.items() if key != "cards"}, **table}
    if problems := _policy_problems(table):
        raise BadConfig(str(source), problems)
    rating = table["rating"]
    return Policy(
        name=source.name,
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        rating=Rating(steps=tuple(RatingStep(**step) for step in rating["steps"]), otherwise=rating["otherwise"]),
        use_cases=tuple(
            UseCase(
                name=name,
                rank=Rank(**use_case["rank"]),
                limits=tuple(Limit(**limit) for limit in use_case.get("limits", ())),
            )
            for name, use_case in table["use_case"].items()
        ),
        cards=CardText(**table.get("cards", {})),
    )


def read_gate_table(name: str) -> tuple[Path, dict[str, Any]]:
    """Return the file of a gate policy, named under fixtures/policies/gate/ or by a path, and its unchecked table.

    Raises:
        BadConfig: if it cannot be read.
        UnknownName: if nothing ships under that name.
    """
    shipped = known("policies/gate")
    path = Path(name).expanduser() if name.endswith(".toml") else shipped.get(name)
    if path is None:
        raise UnknownName("gate policy", name, shipped, "A path to a .toml file works too.")
    return path, _load(path)


def _policy_problems(table: dict[str, Any]) -> list[str]:
    problems = [
        *config_rules.problems(table, config_rules.POLICY, optional=("cards",)),
        *config_rules.problems(table.get("rating"), config_rules.RATING, part="rating"),
        *config_rules.problems(
            table.get("cards"), config_rules.CARDS, part="cards", optional=tuple(config_rules.CARDS)
        ),
    ]
    for number, step in _numbered(table.get("rating"), "steps"):
        problems += config_rules.problems(step, config_rules.STEP, part=f"rating.steps[{number}]")
    use_cases = table.get("use_case")
    for name, use_case in use_cases.items() if isinstance(use_cases, dict) else ():
        part = f"use_case.{name}"
        problems += config_rules.problems(use_case, config_rules.USE_CASE, part=part, optional=("limits",))
        rank = use_case.get("rank") if isinstance(use_case, dict) else None
        problems += config_rules.problems(rank, config_rules.RANK, part=f"{part}.rank", optional=("label", "suite"))
        for number, limit in _numbered(use_case, "limits"):
            optional = ("at_most", "at_least", "label", "suite")
            problems += config_rules.problems(
                limit, config_rules.LIMIT, part=f"{part}.limits[{number}]", optional=optional
            )
            if isinstance(limit, dict) and not {"at_most", "at_least"} & limit.keys():
                problems.append(f"{part}.limits[{number}] has no bound; give at_most or at_least")
    return problems


def _numbered(table: object, key: str) -> list[tuple[int, object]]:
    """Return the members of a list in a table, numbered from 1; [] if it is no list, which its own rule reports."""
    members = table.get(key) if isinstance(table, dict) else None
    return list(enumerate(members, start=1)) if isinstance(members, list) else []


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(str(path), [f"cannot be read: {error.strerror or error}"]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(str(path), [f"cannot be read as TOML: {error}"]) from error
