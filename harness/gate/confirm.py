"""A suspicion is measured again in fresh processes, and counts only if it recurs. Pure.

What fresh processes do not show again was of the first ones: where their memory came to lie, or what else the machine
did.
"""

from collections.abc import Iterable
from dataclasses import replace

from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.results.records import Bundle, Kind

_NOISY = {Kind.TIMING, Kind.MEMORY}


def suspected(result: GateResult) -> tuple[str, ...]:
    """The cases with a regression that fresh processes may not show again, in their order."""
    return tuple(dict.fromkeys(row.case for row in result.rows if _is_suspicion(row)))


def only(baseline: Bundle, cases: Iterable[str]) -> Bundle:
    """The baseline with no other cases than these."""
    wanted = {*cases}
    return replace(baseline, records=tuple(record for record in baseline.records if record.case in wanted))


def confirmed(first: GateResult, again: GateResult) -> GateResult:
    """*first*, each of its suspicions with what became of it when it was measured again."""
    second = {(row.case, row.title): row for row in again.rows}
    rows = tuple(_settled(row, second.get((row.case, row.title))) if _is_suspicion(row) else row for row in first.rows)
    note = f"suspicions were measured again, as run {again.candidate}; both runs are stored"
    return replace(first, rows=rows, warnings=(*first.warnings, note))


def _is_suspicion(row: GateRow) -> bool:
    """Whether noise may have made this regression: not where no interval was needed."""
    return (
        row.verdict is GateVerdict.REGRESSION
        and row.role is not Role.IGNORED
        and row.kind in _NOISY
        and row.ratio is not None
    )


def _settled(row: GateRow, again: GateRow | None) -> GateRow:
    if again is None or again.verdict in {GateVerdict.MISSING, GateVerdict.INVALID}:
        why = again.reason if again else "it was not measured"
        reason = f"{row.reason}; it could not be measured again: {why}"
        return replace(row, verdict=GateVerdict.INCONCLUSIVE, reason=reason)
    if again.verdict is GateVerdict.REGRESSION:
        return replace(row, reason=f"{row.reason}; measured again: {again.reason}")
    reason = f"suspected ({row.reason}), and it did not recur: {again.reason}"
    return replace(again, reason=reason, role=row.role)
