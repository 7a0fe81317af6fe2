"""Types of a report's content: sections with tables, figures, findings and texts.

Every text is plain: text from a model or a person is stored unchanged, and is escaped when a page is written
(`render`). Every number is stored twice: formatted for people, and as a float for programs.
"""

from dataclasses import dataclass, field
from enum import Enum

from harness.analysis.finding import Finding
from harness.report.figures.charts import Chart


class State(Enum):
    """Type of a cell's content."""

    TEXT = "text"
    CODE = "code"  # a name of the registry, typeset as code
    MEASURED = "measured"  # from readings
    COMPUTED = "computed"  # from stored numbers by a stated rule
    VERDICT = "verdict"
    NOT_MEASURED = "not measured"  # although it applies; a footnote has the reason
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A formatted text with the numbers behind it, in the base *unit*.

    *low* and *high* bound the 95 % interval; None if too few processes were measured for an interval. *values* are the
    medians of the processes in ascending order. *notes* are numbers of the table's footnotes; the first is 1.
    """

    text: str
    state: State = State.TEXT
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    values: tuple[float, ...] = ()
    readings: int | None = None
    verdict: str | None = None  # value of a `judge.Verdict`
    winners: tuple[str, ...] = ()  # names of the columns that the verdict calls better
    notes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A grid of cells; the first cell of each row is the row's heading. *notes* are the footnotes, in order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A text printed exactly as it is, such as an answer, a command or a file."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its content, printed in the order of the fields. Templates and links use the fixed *name*.

    A section with *detail* is collapsed until the reader opens it.
    """

    name: str
    title: str
    text: str = ""
    findings: tuple[Finding, ...] = ()
    figures: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
    detail: bool = False

    @property
    def empty(self) -> bool:
        """True if the section holds nothing but a text."""
        return not (self.findings or self.figures or any(table.rows for table in self.tables) or self.listings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run that a report was made from. *sha256* is over the content that was read from the run."""

    run: str
    path: str  # relative to the report
    schema: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything needed to make the same report again, byte for byte."""

    kind: str
    version: str  # of tunebench
    sources: tuple[Source, ...] = ()
    policy_sha256: str | None = None  # None: the shipped one
    templates_sha256: str | None = None  # None: the shipped ones
    options: dict[str, str] = field(default_factory=dict)  # options of a history: its metric and case
    matplotlib: str | None = None  # version of the library that drew the figures; None: there are no figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Content of a whole report, as templates receive it."""

    kind: str
    title: str
    headline: tuple[str, ...]
    how_to_read: str  # explanation of the cells in every table
    banners: tuple[str, ...]
    sections: tuple[Section, ...]
    not_measured: tuple[str, ...]
    definitions: Table
    provenance: Provenance
