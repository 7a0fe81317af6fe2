"""A gate's answer as JSON for programs: typed rows with the change of the cost beside the ratio.

Field names are those of the file; they stay when the internal names change. Schema history: 1 is the first.
"""

from dataclasses import dataclass, fields
from typing import Any

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
    """`GateRow` as the file holds it, with the relative *change* of the cost: above 0 is worse, null is unknown."""

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
    """Answer of a gate as the file holds it. *counts* are numbers of rows by verdict, without ignored rows."""

    schema: int
    tunebench: str
    verdict: GateVerdict
    exit_code: int
    baseline: str
    candidate: str
    design: str
    policy: str
    origins: tuple[Origin, Origin] | None
    change_is: str  # explains the changes of all rows
    warnings: tuple[str, ...]
    counts: dict[str, int]
    ignored: int
    rows: tuple[FiledRow, ...]


def filed(result: GateResult) -> GateFile:
    """Convert an answer to the form of its file."""
    return GateFile(
        schema=SCHEMA,
        tunebench=__version__,
        verdict=result.verdict,
        exit_code=result.exit_code,
        baseline=result.baseline,
        candidate=result.candidate,
        design=terms.DESIGN_TEXTS[result.design],
        policy=result.policy,
        origins=result.origins,
        change_is=CHANGE_IS,
        warnings=result.warnings,
        counts={verdict.value: len(terms.counting(result.rows, verdict)) for verdict in GateVerdict},
        ignored=len(terms.ignored(result.rows)),
        rows=tuple(map(_row, result.rows)),
    )


def _row(row: GateRow) -> FiledRow:
    low, high = terms.bounds(row) or (None, None)
    computed: dict[str, Any] = {
        "reason": terms.full_reason(row),
        "change": row.change,
        "change_low": low,
        "change_high": high,
    }
    copied = {field.name: getattr(row, field.name) for field in fields(FiledRow) if field.name not in computed}
    return FiledRow(**copied, **computed)


def as_json(result: GateResult) -> bytes:
    """Encode the answer as strict JSON in UTF-8."""
    return codec.encode(filed(result), indent=1)
