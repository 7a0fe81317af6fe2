"""The texts that ship with the package: datasets, prompts and chat templates. Read only, no tokenizer here."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadConfig, UnknownName
from harness.paths import bundled

SPLITS = ("train", "valid", "test")
PLAIN_FAMILY = "plain"  # the chat family of a model whose tokenizer has no template
SCENARIOS = ("short", "medium", "long", "code", "creative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Conversations in three splits. A row is a dict with `messages`: role and content of each turn."""

    name: str
    sha256: str
    splits: dict[str, tuple[dict[str, Any], ...]]

    def facts(self) -> dict[str, Any]:
        """What identifies the dataset in a record's key."""
        rows = {split: len(rows) for split, rows in self.splits.items()}
        return {"name": self.name, "sha256": self.sha256, "rows": rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One user turn to answer."""

    id: str
    text: str


def read_dataset(name: str) -> Dataset:
    """Read the folder fixtures/data/*name*: train, valid and test in JSON Lines, chat form."""
    folder = bundled("fixtures") / "data"
    directory = folder / name
    if not name or not directory.is_dir():
        raise UnknownName("dataset", name, (path.name for path in folder.iterdir() if path.is_dir()))
    digest = hashlib.sha256()
    splits = {}
    for split in SPLITS:
        path = directory / f"{split}.jsonl"
        digest.update(path.read_bytes())
        splits[split] = tuple(_rows(path))
    return Dataset(name=name, sha256=digest.hexdigest(), splits=splits)


def read_prompts(name: str) -> tuple[Prompt, ...]:
    """Read fixtures/prompts/*name*.jsonl."""
    path = _named("prompt set", bundled("fixtures") / "prompts", name, ".jsonl")
    return tuple(Prompt(id=row["id"], text=row["prompt"]) for row in _rows(path))


def read_chat_template(family: str) -> str:
    """Read the chat template of a model family."""
    return _named("chat family", bundled("fixtures") / "chat", family, ".jinja").read_text(encoding="utf-8")


def learnable_texts() -> Iterator[str]:
    """Training rows and scenario prompts, in a fixed order: what a stand-in's tokenizer is learnt from."""
    data = bundled("fixtures") / "data"
    for directory in sorted(path for path in data.iterdir() if path.is_dir()):
        for row in read_dataset(directory.name).splits["train"]:
            yield from (message["content"] for message in row["messages"])
    for scenario in SCENARIOS:
        yield from (prompt.text for prompt in read_prompts(scenario))


def _named(what: str, folder: Path, name: str, ending: str) -> Path:
    path = folder / f"{name}{ending}"
    if not path.is_file():
        raise UnknownName(what, name, (its.stem for its in folder.glob(f"*{ending}")))
    return path


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise BadConfig(str(path), [f"line {number} is not JSON: {error}"]) from error
