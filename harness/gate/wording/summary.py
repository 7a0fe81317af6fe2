"""A gate's answer in a few lines: what it rests on most, what is folded, and where both sides come from. Pure."""

from collections.abc import Iterable

from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Origin, Role
from harness.gate.wording import terms
from harness.gate.wording.change_text import NOTHING, point
from harness.results.records import Kind


def headline(result: GateResult) -> str:
    """The verdict with what it rests on most, on one line."""
    rows = terms.deciding(result)
    if result.verdict is GateVerdict.PASS:
        return f"pass: {_decided(result.rows)}"
    if not rows:
        return f"{result.verdict.value}: nothing was compared"
    if result.verdict is GateVerdict.IMPROVED:
        rows = terms.best_first(rows)
    first = rows[0]
    moved = point(first)
    decided = result.verdict in {GateVerdict.REGRESSION, GateVerdict.IMPROVED}
    said = moved if first.ratio is not None or (decided and moved != NOTHING) else terms.reason(first)
    rest = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    what = f"{first.case or 'the run'} {first.title}".strip()
    also = f"; {_decided(result.rows)}" if result.verdict is GateVerdict.IMPROVED else ""
    return f"{result.verdict.value}: {what}{':' if first.ratio is None else ''} {said}{rest}{also}"


def _decided(rows: Iterable[GateRow]) -> str:
    """The required metrics of time that were decided, and what would have shown in them."""
    required = [
        row for row in terms.counting(rows, GateVerdict.PASS, GateVerdict.IMPROVED) if row.role is Role.REQUIRED
    ]
    timed = [row for row in required if row.kind is Kind.TIMING]
    if not timed:
        return f"{len(required)} decided, none of them a time"
    seen = sorted(row.detectable for row in timed if row.detectable is not None)
    ends = list(dict.fromkeys(terms.percent(its) for its in (*seen[:1], *seen[-1:])))
    cases = len({row.case for row in timed})
    what = f"{terms.names(terms.titles(timed))} of {cases} case{'s' if cases > 1 else ''}"
    return f"{what}; a change of {' to '.join(ends)} would have shown" if seen else what


def regressions(result: GateResult) -> tuple[list[GateRow], list[GateRow]]:
    """The rows that got worse, to be shown in full, and those to be folded: watched ones beside required ones."""
    every = terms.worst_first(terms.counting(result.rows, GateVerdict.REGRESSION))
    required = [row for row in every if row.role is Role.REQUIRED]
    return (required, [row for row in every if row.role is Role.WATCHED]) if required else (every, [])


def watched_too(rows: Iterable[GateRow]) -> list[str]:
    """Folded regressions, a line a case."""
    together: dict[str, list[GateRow]] = {}
    for row in rows:
        together.setdefault(row.case, []).append(row)
    return [
        f"{case}: {len(its)} watched metric{'' if len(its) == 1 else 's'} of it got worse too: "
        f"{terms.names(terms.titles(its))}"
        for case, its in together.items()
    ]


def still_open(count: int) -> str:
    """What is said of watched metrics that stay open."""
    return f"{count} watched metric{'' if count == 1 else 's'} undecided, which the verdict does not need"


def origins(result: GateResult) -> list[str]:
    """A line a side: where its figures come from."""
    if result.origins is None:
        return []
    sides = zip(("baseline", "candidate"), result.origins, strict=True)
    return [f"{side}: {_origin(its)}" for side, its in sides]


def _origin(its: Origin) -> str:
    name = its.typed if its.typed != its.run else None
    number = f"number {its.number}" if its.number is not None and not (name or "").endswith(f"@{its.number}") else None
    parts = (
        name,
        number,
        f"run {its.run}",
        f"measured {its.started_at}",
        its.arm and f"environment {its.arm}",
        f"commit {its.commit or 'unknown'}{' with changes' if its.dirty else ''}",
        f"mlx {its.mlx or 'unknown'}",
        f"mlx-lm {its.mlx_lm or 'unknown'}",
    )
    return ", ".join(filter(None, parts))
