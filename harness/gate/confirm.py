"""Confirm a suspected regression: it is measured again in fresh processes and counts only if it recurs.

A change that does not recur came from the first processes: from the place of their memory, or from what else the
machine was doing.
"""

from collections.abc import Iterable
from dataclasses import replace

from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Measurement, Role
from harness.results.records import Bundle, Kind

_NOISY = {Kind.TIMING, Kind.MEMORY}


def suspected(result: GateResult) -> tuple[str, ...]:
    """Return the cases with a regression that may not recur in fresh processes, in their order."""
    return tuple(dict.fromkeys(row.case for row in result.rows if _is_suspicion(row)))


def only(baseline: Bundle, cases: Iterable[str]) -> Bundle:
    """Return the baseline reduced to *cases*."""
    kept = {*cases}
    return replace(baseline, records=tuple(record for record in baseline.records if record.case in kept))


def confirmed(first: GateResult, second: GateResult) -> GateResult:
    """Return *first* with each suspected regression confirmed or withdrawn by the *second* measurement."""
    rows = {(row.case, row.title): row for row in second.rows}
    note = f"suspicions were measured again, as run {second.candidate}; both runs are stored"
    return replace(
        first,
        rows=tuple(
            _confirmed_row(row, rows.get((row.case, row.title))) if _is_suspicion(row) else row for row in first.rows
        ),
        warnings=(*first.warnings, note),
    )


def _is_suspicion(row: GateRow) -> bool:
    """Tell whether noise may have caused this regression; it cannot where no interval was needed."""
    return (
        row.verdict is GateVerdict.REGRESSION
        and row.role is not Role.IGNORED
        and row.kind in _NOISY
        and row.ratio is not None
    )


def _confirmed_row(first: GateRow, second: GateRow | None) -> GateRow:
    if second is None or second.verdict in {GateVerdict.MISSING, GateVerdict.INVALID}:
        why = second.reason if second else "it was not measured"
        reason = "; ".join(filter(None, (first.reason, f"it could not be measured again: {why}")))
        return replace(first, verdict=GateVerdict.INCONCLUSIVE, reason=reason)
    if second.verdict is GateVerdict.REGRESSION:
        return replace(first, confirmed_by=Measurement(ratio=second.ratio, reason=second.reason))
    return replace(second, role=first.role, suspicion=Measurement(ratio=first.ratio, reason=first.reason))
