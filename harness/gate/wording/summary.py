"""Summary lines of a gate's answer: headline, folded rows, and provenance of both sides."""

from collections.abc import Iterable

from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Origin, Role
from harness.gate.wording import terms
from harness.gate.wording.change_text import NOTHING, point
from harness.results.records import Kind
from harness.units import count_of


def headline(result: GateResult) -> str:
    """Write the verdict with the row that decided it, on one line."""
    rows = terms.deciding(result)
    if result.verdict is GateVerdict.PASS:
        return f"pass: {_decided(result.rows)}"
    if not rows:
        return f"{result.verdict.value}: nothing was compared"
    if result.verdict is GateVerdict.IMPROVED:
        rows = terms.best_first(rows)
    first = rows[0]
    change_words = point(first)
    decided = result.verdict in {GateVerdict.REGRESSION, GateVerdict.IMPROVED}
    remark = change_words if first.ratio is not None or (decided and change_words != NOTHING) else terms.reason(first)
    further = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    subject = f"{first.case or 'the run'} {first.title}".strip()
    also = f"; {_decided(result.rows)}" if result.verdict is GateVerdict.IMPROVED else ""
    return f"{result.verdict.value}: {subject}{':' if first.ratio is None else ''} {remark}{further}{also}"


def _decided(rows: Iterable[GateRow]) -> str:
    """Write the required times that were decided, and the changes that would have shown in them."""
    required = [
        row for row in terms.counting(rows, GateVerdict.PASS, GateVerdict.IMPROVED) if row.role is Role.REQUIRED
    ]
    timed = [row for row in required if row.kind is Kind.TIMING]
    if not timed:
        return f"{len(required)} decided, none of them a time"
    detectables = sorted(row.detectable for row in timed if row.detectable is not None)
    ends = list(dict.fromkeys(terms.percent(change) for change in (*detectables[:1], *detectables[-1:])))
    cases = len({row.case for row in timed})
    subjects = f"{terms.names(terms.titles(timed))} of {cases} case{'s' if cases > 1 else ''}"
    return f"{subjects}; a change of {' to '.join(ends)} would have shown" if detectables else subjects


def regressions(result: GateResult) -> tuple[list[GateRow], list[GateRow]]:
    """Return the regressions to show in full and those to fold: watched ones where required ones exist."""
    worse = terms.worst_first(terms.counting(result.rows, GateVerdict.REGRESSION))
    required = [row for row in worse if row.role is Role.REQUIRED]
    return (required, [row for row in worse if row.role is Role.WATCHED]) if required else (worse, [])


def watched_too(rows: Iterable[GateRow]) -> list[str]:
    """Write the folded regressions, one line per case."""
    by_case: dict[str, list[GateRow]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row)
    return [
        f"{case}: {count_of(len(folded), 'watched metric')} of it got worse too: {terms.names(terms.titles(folded))}"
        for case, folded in by_case.items()
    ]


def still_open(count: int) -> str:
    """Write the number of watched metrics that remain undecided."""
    return f"{count_of(count, 'watched metric')} undecided, which the verdict does not need"


def origins(result: GateResult) -> list[str]:
    """Write the provenance of each side, one line per side."""
    if result.origins is None:
        return []
    sides = zip(("baseline", "candidate"), result.origins, strict=True)
    return [f"{side}: {_origin_text(origin)}" for side, origin in sides]


def _origin_text(origin: Origin) -> str:
    name = origin.typed if origin.typed != origin.run else None
    number = (
        f"number {origin.number}"
        if origin.number is not None and not (name or "").endswith(f"@{origin.number}")
        else None
    )
    parts = (
        name,
        number,
        f"run {origin.run}",
        f"measured {origin.started_at}",
        origin.arm and f"environment {origin.arm}",
        f"commit {origin.commit or 'unknown'}{' with changes' if origin.dirty else ''}",
        f"mlx {origin.mlx or 'unknown'}",
        f"mlx-lm {origin.mlx_lm or 'unknown'}",
    )
    return ", ".join(filter(None, parts))
