"""What a report consists of: sections with tables, figures and texts. Values only.

Every text in here is plain: whatever a model or a person wrote stands as it was written, and is made harmless where
a page is made of it (`render`). Every number stands twice: finished for people, and as it is for programs.
"""

from dataclasses import dataclass, field
from enum import Enum

from harness.analysis.finding import Finding
from harness.report.figures.charts import Chart


class State(Enum):
    """What a cell holds."""

    TEXT = "text"
    CODE = "code"  # a name of the registry, typeset as such
    MEASURED = "measured"  # from readings
    COMPUTED = "computed"  # from stored numbers by a stated rule
    VERDICT = "verdict"
    NOT_MEASURED = "not measured"  # though it could have been; a footnote says why
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A finished text with the numbers behind it, in the base *unit*.

    *low* and *high* bound the 95 % interval; None where too few processes were measured for one. *values* are the
    processes' medians, the lowest first. *notes* count the table's footnotes from 1.
    """

    text: str
    state: State = State.TEXT
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    values: tuple[float, ...] = ()
    readings: int | None = None
    verdict: str | None = None  # of `judge.Verdict`, in a cell that holds one
    winners: tuple[str, ...] = ()  # the columns it names
    notes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A grid of cells; the first of each row heads it. *notes* are its footnotes, in order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A text shown character by character: an answer, a command, a file."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what belongs under it, in this order. *name* is fixed: templates and links go by it.

    *detail* marks what a reader opens when he wants to know.
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
        """Whether there is nothing to show."""
        return not (self.findings or self.figures or any(its.rows for its in self.tables) or self.listings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run a report was made from. *sha256* is over what was read of it."""

    run: str
    path: str  # relative to the report
    schema: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What it takes to make a report again, byte by byte."""

    kind: str
    version: str  # of tunebench
    sources: tuple[Source, ...] = ()
    policy_sha256: str | None = None  # None: the shipped one
    templates_sha256: str | None = None  # None: the shipped ones
    options: dict[str, str] = field(default_factory=dict)  # what was asked for beyond the kind
    matplotlib: str | None = None  # its version, which decides how figures look; None: there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a template is given."""

    kind: str
    title: str
    headline: tuple[str, ...]
    how_to_read: str  # of the cells of every table
    banners: tuple[str, ...]
    sections: tuple[Section, ...]
    not_measured: tuple[str, ...]
    definitions: Table
    provenance: Provenance
