"""A card as one Markdown file: a YAML block that the hub reads, and parts that people read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.report.page import Cell, Table
from harness.report.render.escape_markdown import in_cell, inert
from harness.report.render.yaml_block import Fact, front_matter

NOT_PROVIDED = "Not provided by the author."


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A heading with words or a table under it. The words are plain text; an empty line separates paragraphs."""

    title: str
    words: str = ""
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card and the content of its file, *text*, which is made of the other fields."""

    name: str
    kind: str  # "model" or "data"
    file_name: str
    front: str
    banner: str | None
    parts: tuple[Part, ...]
    text: str


def compose(
    *, name: str, kind: str, file_name: str, facts: Mapping[str, Fact], banner: str | None, parts: Sequence[Part]
) -> Card:
    """Write a card from *facts*, for the YAML block, an optional banner, and *parts*."""
    front = front_matter(facts)
    lines = [front, f"# {inert(name)}", "", *_banner(banner)]
    for part in parts:
        lines += [f"## {part.title}", ""]
        for paragraph in part.words.split("\n\n") if part.words else ():
            lines += [inert(paragraph), ""]
        lines += _table(part.table) if part.table else ()
    text = "\n".join(lines).rstrip("\n") + "\n"
    return Card(name=name, kind=kind, file_name=file_name, front=front, banner=banner, parts=tuple(parts), text=text)


def _banner(banner: str | None) -> list[str]:
    return ["> [!WARNING]", f"> {inert(banner)}", ""] if banner else []


def _table(table: Table) -> Iterator[str]:
    """Write a table in Markdown, with its footnotes below."""
    yield _row([in_cell(head) for head in table.columns])
    yield _row(["---"] * len(table.columns))
    yield from (_row(map(_cell, row)) for row in table.rows)
    yield ""
    for number, note in enumerate(table.notes, start=1):
        yield from (f"\\[{number}] {inert(note)}", "")


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return "".join([in_cell(cell.text), *(f" \\[{number}]" for number in cell.notes)])
