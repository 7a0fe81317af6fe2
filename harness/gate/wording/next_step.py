"""What to type after a gate: a whole command, or none where none would help. Pure.

Only what is known is named: commits, what pytest was given, and where a run was read.
"""

import shlex
from collections.abc import Iterable, Sequence

from harness.gate import looks
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Origin
from harness.results.records import Kind

AFFORDABLE = 60  # processes or pairs; chosen: what more of them show is less than a machine changes meanwhile
_FIRST_LOOK = looks.of(looks.MOST_PAIRS)[0]  # pairs
_UNREADABLE = (GateVerdict.INVALID, GateVerdict.MISSING)
_NOISY = (Kind.TIMING, Kind.MEMORY)


def after(result: GateResult, deciding: Sequence[GateRow], *, paired: bool) -> str:
    """What comes behind the verdict, with its "next:"; "" if nothing is to be said. *deciding* made the verdict."""
    match result.verdict:
        case GateVerdict.NOT_COMPARABLE:
            fields = _differing(deciding)
            return f"; what differs: {', '.join(fields)}" if fields else ""
        case its if its in _UNREADABLE:
            return _next(_show(result))
        case GateVerdict.INCONCLUSIVE:
            return _pairs(result, deciding) if paired else _next(_stored(result, deciding) or _report(result))
        case GateVerdict.REGRESSION:
            noisy = not paired and any(row.kind in _NOISY and row.ratio is not None for row in deciding)
            return _next((_in_turns(result) if noisy else None) or _report(result))
        case _:
            return ""


def _next(command: str | None) -> str:
    return f"; next: {command}" if command else ""


def _pairs(result: GateResult, open_: Sequence[GateRow]) -> str:
    """After a comparison in turns: more pairs, unless the power of those there were says that they would not do."""
    wanted = [_wanted(row, least=_FIRST_LOOK) for row in open_ if row.more]
    if any(row.ratio is not None and row.more is None for row in open_) or max(wanted, default=0) > AFFORDABLE:
        return f"; {AFFORDABLE} pairs would hardly decide it; a wider tolerance would: docs/gate-policy.md"
    a, b = result.origins or (None, None)
    if not wanted or a is None or b is None or not (a.arm and b.arm and b.measures):
        return _next(_report(result))
    return _next(_ab(a.arm, b.arm, b, "--pairs", str(max(wanted))))


def _wanted(row: GateRow, *, least: int = 0) -> int:
    """How many processes a side decide it; at *least* so many where there are too few for an interval."""
    wanted = min(row.processes or (0, 0)) + (row.more or 0)
    return wanted if row.ratio is not None else max(wanted, least)


def _stored(result: GateResult, open_: Sequence[GateRow]) -> str | None:
    """After a gate on a stored baseline: both in turns, else both with more processes where that is affordable."""
    if not any(row.kind in _NOISY for row in open_):
        return None
    if in_turns := _in_turns(result):
        return in_turns
    wanted = max((_wanted(row) for row in open_ if row.more), default=0)
    measures = result.origins[1].measures if result.origins else ()
    return (
        f"{_typed('pytest', *measures, '--repeats', str(wanted))}, on both sides"
        if measures and wanted and wanted <= AFFORDABLE
        else None
    )


def _in_turns(result: GateResult) -> str | None:
    """A comparison of the two commits, or else of the two versions; None where what differed is not known."""
    if result.origins is None or not result.origins[1].measures:
        return None
    a, b = result.origins
    if a.dirty or b.dirty:
        return None
    if a.commit and b.commit and a.commit != b.commit:
        return _ab(f"git:{a.commit}", f"git:{b.commit}", b)
    if a.commit == b.commit is not None and (versions := _versions(a, b)):
        return _ab(*versions, b)
    return None


def _versions(a: Origin, b: Origin) -> tuple[str, str] | None:
    pairs = {"mlx": (a.mlx, b.mlx), "mlx-lm": (a.mlx_lm, b.mlx_lm)}
    changed = {name: its for name, its in pairs.items() if its[0] != its[1]}
    if not changed or any(None in its for its in changed.values()):
        return None
    old, new = ("pip:" + ",".join(f"{name}=={its[side]}" for name, its in changed.items()) for side in (0, 1))
    return old, new


def _ab(a: str, b: str, candidate: Origin, *options: str) -> str:
    return _typed("tunebench", "ab", a, b, *options, "--", *candidate.measures)


def _show(result: GateResult) -> str | None:
    place = _places(result)[1]
    return f"tunebench show {place}" if place else None


def _report(result: GateResult) -> str | None:
    a, b = _places(result)
    return f"tunebench report {a} {b} -o compared/" if a and b else None


def _places(result: GateResult) -> tuple[str | None, str | None]:
    a, b = (its.path for its in result.origins or ()) if result.origins else (None, None)
    return a and _word(a), b and _word(b)


def _typed(*words: str) -> str:
    return " ".join(map(_word, words))


def _word(text: str) -> str:
    """A word for a shell; ~ stays what it is there."""
    return f"~/{shlex.quote(text[2:])}" if text.startswith("~/") else shlex.quote(text)


def _differing(rows: Iterable[GateRow]) -> list[str]:
    """The fields that keep rows from being compared, each once: a reason names them as `field: 'a' -> 'b'`."""
    parts = [part for row in rows for part in row.reason.split("; ") if " -> " in part]
    return list(dict.fromkeys(part.partition(": ")[0] for part in parts))
