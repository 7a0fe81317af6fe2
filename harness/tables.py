"""What a report consists of: sections with tables of finished text. Values only."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.markdown import inert
from harness.records import Bundle, Record, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A grid of finished cells; *notes* are its footnotes, in order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with one table; *text* stands above it."""

    title: str
    table: Table
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One record and how its column is headed."""

    name: str
    record: Record


@dataclass(slots=True)
class Footnotes:
    """Numbers reasons in the order they are first needed; equal ones share a number."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """Give the mark that stands for *text*."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> tuple[str, ...]:
        """Write all of them."""
        return tuple(f"[{number}] {text}" for number, text in enumerate(self.texts, start=1))


def columns_of(bundles: Sequence[Bundle], suite: str) -> list[Column]:
    """One column a record of the suite; with several runs the run's id tells them apart.

    A record that is not ok but holds figures says so in its head: they are shown, and never judged.
    """
    columns: list[Column] = []
    seen: Counter[str] = Counter()
    for bundle in bundles:
        for record in bundle.records:
            if record.suite == suite:
                doubted = record.metrics and record.status is not Status.OK
                ended = f", {record.status.value}" if doubted else ""
                which = f" ({bundle.run.id})" if len(bundles) > 1 else ""
                name = inert(record.case.partition("/")[2] + which + ended)
                seen[name] += 1
                columns.append(Column(name=f"{name} ({seen[name]})" if seen[name] > 1 else name, record=record))
    return columns


def inert_list(texts: Iterable[str]) -> list[str]:
    """Make several foreign texts harmless."""
    return [inert(text) for text in texts]
