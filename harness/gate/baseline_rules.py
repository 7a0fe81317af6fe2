"""Rules for baselines: which run may become one, and which parts of it are kept.

A baseline is committed, so it holds only what a gate reads. It remains a complete bundle: every command accepts it in
place of a run.
"""

from dataclasses import dataclass, replace

from harness.gate.decide import gate
from harness.gate.policy import GatePolicy
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording import change_text, terms
from harness.results.records import Better, Bundle, Record, Status

_LOSS = "nat/token"


def faults(bundle: Bundle) -> list[str]:
    """List everything that keeps a run from being a baseline; [] if nothing does."""
    if bundle.run.published is not None:
        return ["its figures were read in a published report; measure a run"]
    problems = []
    if bundle.run.finished_at is None:
        problems.append(f"it was not finished; go on with it: pytest suites/ --resume {bundle.run.id}")
    if not any(record.status is Status.OK for record in bundle.records):
        problems.append("it holds no case that is ok")
    return problems + [
        f"{record.case}: {record.status.value}: {record.reason}"
        for record in bundle.records
        if record.status is not Status.OK
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Comparison of a run with the baseline it would replace.

    *worse* lists the changes that the user has to accept: regressions and, where the gate cannot judge the run, changes
    for the worse beyond the tolerance. Otherwise noise would lower a baseline save by save. *worst* is the largest
    change for the worse among the rows that count; None where nothing could be compared.
    """

    verdict: GateVerdict
    worse: tuple[str, ...] = ()
    worst: str | None = None


def against(present: Bundle, candidate: Bundle, policy: GatePolicy, today: str) -> Standing:
    """Compare *candidate* with the *present* baseline."""
    result = gate(present, candidate, policy, today=today)
    counting = _counting(result)
    worse = [row for row in counting if row.verdict is GateVerdict.REGRESSION or _looks_worse(result, row)]
    estimates = [(estimate, row) for row in counting if (estimate := _estimate(row)) is not None]
    ordered = sorted(estimates, key=lambda pair: -pair[0])
    return Standing(
        verdict=result.verdict,
        worse=tuple(map(_row_text, terms.worst_first(worse))),
        worst=_row_text(ordered[0][1]) if ordered else None,
    )


def _counting(result: GateResult) -> list[GateRow]:
    """Return the regressions and the required rows; all watched rows where none is required."""
    kept = [row for row in result.rows if row.role is not Role.IGNORED]
    watched = not any(row.role is Role.REQUIRED for row in kept)
    return [row for row in kept if watched or row.role is Role.REQUIRED or row.verdict is GateVerdict.REGRESSION]


def _looks_worse(result: GateResult, row: GateRow) -> bool:
    if result.verdict in (GateVerdict.PASS, GateVerdict.IMPROVED) or row.tolerance is None:
        return False
    change = _estimate(row)
    return change is not None and change > row.tolerance


def _estimate(row: GateRow) -> float | None:
    """Return the relative change of the cost, of medians if there is no interval; None if they do not compare."""
    if row.verdict is GateVerdict.NOT_COMPARABLE or row.better in (None, Better.NONE):
        return None
    if row.change is not None:
        return row.change
    if not row.baseline or not row.candidate or min(row.baseline, row.candidate) < 0:
        return None
    return (row.baseline / row.candidate if row.better is Better.HIGHER else row.candidate / row.baseline) - 1


def _row_text(row: GateRow) -> str:
    """Write a row's change with its interval, or the reason why it has none."""
    change = change_text.change(row)
    if row.ratio is None:
        relative = (
            change_text.of_ratio(row, row.candidate / row.baseline)
            if _estimate(row) and row.candidate and row.baseline
            else ""
        )
        parts = (change.strip(change_text.NOTHING), relative, row.reason)
        change = ", ".join(filter(None, parts))
    return f"{row.case} {row.title}: {change}"


def dropped(present: Bundle, candidate: Bundle) -> list[str]:
    """List the cases of the *present* baseline that *candidate* lacks: the gate would no longer check them."""
    return sorted({record.case for record in present.records} - {record.case for record in candidate.records})


def slim(bundle: Bundle) -> Bundle:
    """Return the run without the parts that no gate reads: files, facts of data, notes, all series but losses."""
    return replace(bundle, records=tuple(map(_slim, bundle.records)))


def _slim(record: Record) -> Record:
    losses = {name: series for name, series in record.series.items() if series.unit == _LOSS}
    return replace(record, series=losses, artifacts=(), notes=(), data=None)
