"""What a run has to be to become a baseline, and what of it is kept. Pure.

A baseline is committed, so it holds what a gate reads and nothing more. It stays a whole bundle: every command takes
it in place of a run.
"""

from dataclasses import dataclass, replace

from harness.gate.decide import gate
from harness.gate.policy import GatePolicy
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording import change_text, terms
from harness.results.records import Better, Bundle, Record, Status

_LOSS = "nat/token"


def faults(bundle: Bundle) -> list[str]:
    """Name everything that keeps a run from being a baseline; [] if nothing does."""
    if bundle.run.published is not None:
        return ["its figures were read in a published report; measure a run"]
    found = []
    if bundle.run.finished_at is None:
        found.append(f"it was not finished; go on with it: pytest suites/ --resume {bundle.run.id}")
    if not any(record.status is Status.OK for record in bundle.records):
        found.append("it holds no case that is ok")
    return found + [
        f"{record.case}: {record.status.value}: {record.reason}"
        for record in bundle.records
        if record.status is not Status.OK
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a run stands against the baseline it would replace.

    *worse* are the changes for which it is taken only where somebody accepts them: regressions, and where the gate
    cannot judge the run, what looks worse by more than its tolerance. Else noise would lower a baseline save by save.
    *worst* is the greatest change for the worse among what counts; None where nothing could be compared.
    """

    verdict: GateVerdict
    worse: tuple[str, ...] = ()
    worst: str | None = None


def against(present: Bundle, candidate: Bundle, policy: GatePolicy, today: str) -> Standing:
    """How *candidate* stands against the *present* baseline."""
    result = gate(present, candidate, policy, today=today)
    counting = _counting(result)
    worse = [row for row in counting if row.verdict is GateVerdict.REGRESSION or _looks_worse(result, row)]
    ordered = sorted(((its, row) for row in counting if (its := _estimate(row)) is not None), key=lambda its: -its[0])
    return Standing(
        verdict=result.verdict,
        worse=tuple(map(_told, terms.worst_first(worse))),
        worst=_told(ordered[0][1]) if ordered else None,
    )


def _counting(result: GateResult) -> list[GateRow]:
    """The regressions, and what has to be decided; where nothing has to, all that is watched."""
    kept = [row for row in result.rows if row.role is not Role.IGNORED]
    watched = not any(row.role is Role.REQUIRED for row in kept)
    return [row for row in kept if watched or row.role is Role.REQUIRED or row.verdict is GateVerdict.REGRESSION]


def _looks_worse(result: GateResult, row: GateRow) -> bool:
    if result.verdict in (GateVerdict.PASS, GateVerdict.IMPROVED) or row.tolerance is None:
        return False
    change = _estimate(row)
    return change is not None and change > row.tolerance


def _estimate(row: GateRow) -> float | None:
    """The relative change of the cost, of the medians where there is no interval; None where the two do not compare."""
    if row.verdict is GateVerdict.NOT_COMPARABLE or row.better in (None, Better.NONE):
        return None
    if row.change is not None:
        return row.change
    if not row.baseline or not row.candidate or min(row.baseline, row.candidate) < 0:
        return None
    return (row.baseline / row.candidate if row.better is Better.HIGHER else row.candidate / row.baseline) - 1


def _told(row: GateRow) -> str:
    """A row's change with its interval; where it has none, why."""
    change = change_text.change(row)
    if row.ratio is None:
        apart = (
            change_text.of_ratio(row, row.candidate / row.baseline)
            if _estimate(row) and row.candidate and row.baseline
            else ""
        )
        parts = (change.strip(change_text.NOTHING), apart, row.reason)
        change = ", ".join(filter(None, parts))
    return f"{row.case} {row.title}: {change}"


def dropped(present: Bundle, candidate: Bundle) -> list[str]:
    """The cases of the *present* baseline that *candidate* does not hold: they would no longer be watched."""
    return sorted({record.case for record in present.records} - {record.case for record in candidate.records})


def slim(bundle: Bundle) -> Bundle:
    """The run without what no gate reads: files, facts of data, notes, series but losses."""
    return replace(bundle, records=tuple(map(_slim, bundle.records)))


def _slim(record: Record) -> Record:
    losses = {name: series for name, series in record.series.items() if series.unit == _LOSS}
    return replace(record, series=losses, artifacts=(), notes=(), data=None)
