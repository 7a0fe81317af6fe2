"""Prompts and chat templates, as files. Nothing is tokenized here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UnknownName
from harness.inputs.jsonl import read_lines
from harness.paths import bundled

PLAIN_FAMILY = "plain"  # the chat family of a model whose tokenizer has no template
SCENARIOS = ("short", "medium", "long", "code", "creative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One user turn to answer."""

    id: str
    text: str


def read_prompts(name: str) -> tuple[Prompt, ...]:
    """Read fixtures/prompts/*name*.jsonl."""
    return read_prompt_file(_named("prompt set", bundled("fixtures") / "prompts", name, ".jsonl"))


def read_prompt_file(path: Path) -> tuple[Prompt, ...]:
    """Read prompts from JSON Lines with the keys id and prompt.

    Raises:
        BadConfig: naming every line that holds anything else.
    """
    ids: set[str] = set()

    def prompt(row: dict[str, Any]) -> Prompt:
        for key in ("id", "prompt"):
            if not isinstance(row.get(key), str) or not row[key].strip():
                raise ValueError(f"{key} is {row.get(key)!r:.40}; give a text")
        if row["id"] in ids:
            raise ValueError(f"the id {row['id']!r} stands on a line before; give each prompt its own")
        ids.add(row["id"])
        return Prompt(id=row["id"], text=row["prompt"])

    return read_lines(path, prompt)


def read_chat_template(family: str) -> str:
    """Read the chat template of a model family."""
    return _named("chat family", bundled("fixtures") / "chat", family, ".jinja").read_text(encoding="utf-8")


def _named(kind: str, folder: Path, name: str, ending: str) -> Path:
    path = folder / f"{name}{ending}"
    if not path.is_file():
        raise UnknownName(kind, name, (known.stem for known in folder.glob(f"*{ending}")))
    return path
