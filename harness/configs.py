"""TOML under fixtures/ to typed plans. The only module that imports tomllib."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import BadConfig, UnknownName
from harness.paths import bundled
from harness.plans import (
    ALL_LAYERS,
    AdapterConfig,
    Chat,
    InferencePlan,
    ModelConfig,
    Profile,
    PypiWeights,
    TrainingPlan,
)

_Rules = Mapping[str, tuple[Callable[[Any], bool], str]]


def _count(value: object) -> bool:
    return type(value) is int and value >= 1


def _count_or_0(value: object) -> bool:
    return type(value) is int and value >= 0


def _rising(value: object, *, least: int) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(v) is int and v >= least for v in value)
        and value == sorted(set(value))
    )


def _number_above_0(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(v) for v in value)


# One row a key: what holds for it, and how to say so. A key that has a default stands in _DEFAULTS.
_ADAPTER: _Rules = {
    "rank": (_count, "a whole number of 1 or more"),
    "scale": (_number_above_0, "a number above 0"),
    "dropout": (lambda v: type(v) in (int, float) and 0 <= v < 1, "a number from 0 to below 1"),
    "layers": (lambda v: v == ALL_LAYERS or _count(v), 'a whole number of 1 or more, or "all"'),
    "keys": (
        lambda v: _names(v) or (isinstance(v, dict) and bool(v) and all(_names(k) for k in v.values())),
        "a list of module names, or a table of such lists by model_type and 'default'",
    ),
}
_PROFILE: _Rules = {
    "repeats": (_count, "a whole number of 1 or more"),
    "timeout_s": (_number_above_0, "a number of seconds above 0"),
    "cooldown_s": (lambda v: v == 0 or _number_above_0(v), "a number of seconds, 0 for none"),
    "training": (lambda v: isinstance(v, dict), "a table"),
    "evaluation": (lambda v: isinstance(v, dict), "a table"),
    "inference": (lambda v: isinstance(v, dict), "a table"),
}
_TRAINING: _Rules = {
    "dataset": (_text, "the name of a folder under fixtures/data/"),
    "iters": (_count, "a whole number of 1 or more"),
    "batch_size": (_count, "a whole number of 1 or more"),
    "learning_rate": (_number_above_0, "a number above 0"),
    "max_seq_length": (_count, "a whole number of 1 or more"),
    "val_every": (_count, "a whole number of 1 or more"),
    "warmup_iters": (_count, "a whole number of 1 or more: the first iteration holds compilation"),
    "grad_accumulation_steps": (_count, "a whole number of 1 or more"),
    "seed": (_count_or_0, "a whole number of 0 or more"),
}
_EVALUATION: _Rules = {"max_answer_tokens": (_count, "a whole number of 1 or more")}
_INFERENCE: _Rules = {
    "prompts_per_scenario": (_count, "a whole number of 1 or more"),
    "warmup_prompts": (_count_or_0, "a whole number of 0 or more"),
    "output_tokens": (lambda v: _count(v) and v > 1, "a whole number of 2 or more"),
    "stability_repeats": (lambda v: _count(v) and v > 1, "a whole number of 2 or more"),
    "context_depths": (lambda v: _rising(v, least=0), "a list of whole numbers of 0 or more, rising"),
    "context_tokens": (lambda v: _count(v) and v > 1, "a whole number of 2 or more"),
    "batch_sizes": (lambda v: _rising(v, least=1), "a list of whole numbers of 1 or more, rising"),
}
_MODEL: _Rules = {
    "repository": (_text, "a repository ORG/NAME"),
    "license": (_text, "the licence's name"),
    "gated": (lambda v: isinstance(v, bool), "true or false"),
    "config": (lambda v: isinstance(v, dict) and _text(v.get("model_type")), "a table with a model_type"),
    "chat": (lambda v: isinstance(v, dict), "a table"),
    "nano": (lambda v: isinstance(v, dict), "a table"),
    "pypi": (lambda v: v is None or isinstance(v, dict), "a table"),
}
_CHAT: _Rules = {
    "family": (_text, "the name of a template under fixtures/chat/"),
    "eos": (_text, "a token"),
    "pad": (_text, "a token"),
    "bos": (lambda v: v is None or _text(v), "a token"),
    "unk": (lambda v: v is None or _text(v), "a token"),
    "special": (_names, "a list of tokens"),
}
_PYPI_KEYS = ("distribution", "version", "wheel", "wheel_sha256", "member", "origin_quantization")
_PYPI: _Rules = dict.fromkeys(_PYPI_KEYS, (_text, "a text"))
_ALPHA = "'alpha' is not used here: mlx-lm scales B @ A by 'scale'; write scale = alpha / rank"


def known(kind: str) -> dict[str, Path]:
    """Name every config of a *kind* ("models", "lora", "profiles") that ships, with its file."""
    return {path.stem: path for path in sorted((bundled("fixtures") / kind).glob("*.toml"))}


def read_adapter(name: str) -> AdapterConfig:
    """Read an adapter config by its name under fixtures/lora/, or from a path to a TOML file."""
    path = Path(name).expanduser() if name.endswith(".toml") else known("lora").get(name)
    if path is not None and not path.is_file():
        raise BadConfig(name, ["there is no such file; give a name under fixtures/lora/ or a path to a .toml file"])
    if path is None:
        raise UnknownName("adapter config", name, known("lora"), "A path to a .toml file works too.")
    table = {"dropout": 0.0, **_load(path)}
    extra = [_ALPHA] if "alpha" in table else []
    _check(path, {"": ({k: v for k, v in table.items() if k != "alpha"}, _ADAPTER)}, extra)
    keys = table["keys"] if isinstance(table["keys"], dict) else {"default": table["keys"]}
    return AdapterConfig(
        name=re.sub(r"[^a-z0-9._-]+", "--", path.stem.lower()),
        rank=table["rank"],
        scale=float(table["scale"]),
        dropout=float(table["dropout"]),
        layers=None if table["layers"] == ALL_LAYERS else table["layers"],
        keys={model_type: tuple(names) for model_type, names in keys.items()},
    )


def read_profile(name: str) -> Profile:
    """Read a profile by its name under fixtures/profiles/."""
    path = known("profiles").get(name)
    if path is None:
        raise UnknownName("profile", name, known("profiles"))
    table = _load(path)
    parts = {"training": _TRAINING, "evaluation": _EVALUATION, "inference": _INFERENCE}
    tables = {part: (table.get(part, {}), rules) for part, rules in parts.items()}
    _check(path, {"": (table, _PROFILE), **tables}, [])
    inference = table["inference"]
    lists = {key: tuple(inference[key]) for key in ("context_depths", "batch_sizes")}
    return Profile(
        name=name,
        repeats=table["repeats"],
        timeout_s=float(table["timeout_s"]),
        cooldown_s=float(table["cooldown_s"]),
        training=TrainingPlan(**table["training"]),
        **table["evaluation"],
        inference=InferencePlan(**{**inference, **lists}),
    )


def read_model(name: str) -> ModelConfig:
    """Read a model: a registry name, hf:ORG/REPO[@REV], or path:DIR in the layout of mlx-lm."""
    kind, _, rest = name.partition(":")
    if kind == "hf" and rest:
        repository, _, revision = rest.partition("@")
        if not re.fullmatch(r"[^/\s]+/[^/\s]+", repository):
            raise BadConfig(name, [f"{repository!r} is no repository; give hf:ORG/REPO or hf:ORG/REPO@REV"])
        return ModelConfig(name=name, repository=repository, revision=revision or None)
    if kind == "path" and rest:
        directory = Path(rest).expanduser().resolve()
        if not (directory / "config.json").is_file():
            raise BadConfig(name, [f"{directory} holds no config.json; give a directory saved by mlx-lm"])
        return ModelConfig(name=name, directory=str(directory))
    path = known("models").get(name)
    if path is None:
        hint = "hf:ORG/REPO and path:DIR work too."
        raise UnknownName("model", name, known("models"), hint)
    table = {"pypi": None, **_load(path)}
    chat = table.get("chat", {})
    if isinstance(chat, dict):
        chat = {"bos": None, "unk": None, **chat}
    tables = {"": (table, _MODEL), "chat": (chat, _CHAT)}
    if table["pypi"] is not None:
        tables["pypi"] = (table["pypi"], _PYPI)
    _check(path, tables, [])
    return ModelConfig(
        name=name,
        repository=table["repository"],
        license=table["license"],
        gated=table["gated"],
        config=table["config"],
        chat=Chat(**{**chat, "special": tuple(chat["special"])}),
        nano=table["nano"],
        pypi=PypiWeights(**table["pypi"]) if table["pypi"] else None,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(str(path), [f"cannot be read as TOML: {error}"]) from error


def _check(path: Path, tables: Mapping[str, tuple[dict[str, Any], _Rules]], problems: list[str]) -> None:
    """Report everything that is wrong with one file at once."""
    problems = list(problems)
    for part, (table, rules) in tables.items():
        if not isinstance(table, dict):
            continue  # its own rule, one level up, says that it has to be a table
        prefix = f"{part}." if part else ""
        for key in sorted(table.keys() - rules):
            problems.append(f"unknown key {prefix + key!r}; known: {', '.join(rules)}")
        for key, (holds, accepted) in rules.items():
            if key not in table:
                problems.append(f"{prefix}{key} is missing; give {accepted}")
            elif not holds(table[key]):
                problems.append(f"{prefix}{key} is {table[key]!r}; give {accepted}")
    if problems:
        raise BadConfig(str(path), problems)
