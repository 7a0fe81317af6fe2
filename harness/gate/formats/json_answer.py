"""A gate's answer as JSON for programs: every row typed, with the change of its cost beside the ratio. Pure.

The names here are those of the file; they stay when the values inside are called otherwise. Schema history: 1 is the
first.
"""

from dataclasses import dataclass, fields

from harness import __version__
from harness.analysis.stats.estimates import Interval
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Origin, Role
from harness.gate.wording import terms
from harness.results import codec
from harness.results.records import Better, Kind

SCHEMA = 1
CHANGE_IS = "of the cost, relative: above 0 is worse, whichever way the metric gets better; ratio is of the metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledRow:
    """`GateRow`, field by field, with its *change*: relative, of the cost, above 0 for the worse; null without one."""

    case: str
    metric: str  # "" where the whole case is meant
    label: str | None
    kind: Kind | None
    verdict: GateVerdict
    role: Role
    reason: str
    ignored: str | None
    unit: str | None
    better: Better | None
    baseline: float | None
    candidate: float | None
    ratio: Interval | None  # candidate / baseline
    change: float | None
    change_low: float | None
    change_high: float | None
    tolerance: float | None
    detectable: float | None
    processes: tuple[int, int] | None
    more: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFile:
    """The whole answer. *counts* are of the rows that are not ignored, by verdict."""

    schema: int
    tunebench: str
    verdict: GateVerdict
    exit_code: int
    baseline: str
    candidate: str
    design: str
    policy: str
    origins: tuple[Origin, Origin] | None
    change_is: str  # what the changes of all rows are of
    warnings: tuple[str, ...]
    counts: dict[str, int]
    ignored: int
    rows: tuple[FiledRow, ...]


def filed(result: GateResult) -> GateFile:
    """The answer as its file holds it."""
    return GateFile(
        schema=SCHEMA,
        tunebench=__version__,
        verdict=result.verdict,
        exit_code=result.exit_code,
        baseline=result.baseline,
        candidate=result.candidate,
        design=result.design,
        policy=result.policy,
        origins=result.origins,
        change_is=CHANGE_IS,
        warnings=result.warnings,
        counts={its.value: len(terms.counting(result.rows, its)) for its in GateVerdict},
        ignored=len(terms.ignored(result.rows)),
        rows=tuple(map(_row, result.rows)),
    )


def _row(row: GateRow) -> FiledRow:
    low, high = terms.bounds(row) or (None, None)
    same = {its.name: getattr(row, its.name) for its in fields(row)}
    return FiledRow(**same, change=row.change, change_low=low, change_high=high)


def as_json(result: GateResult) -> bytes:
    """The file's content: strict JSON in UTF-8."""
    return codec.encode(filed(result), indent=1)
