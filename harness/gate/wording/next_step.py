"""Next command to type after a gate, complete, or none where no command would help.

A command names known facts only: commits, pytest arguments, and the paths that the runs were read from.
"""

import shlex
from collections.abc import Sequence

from harness.analysis.judge import Design
from harness.gate import interim_analyses
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Origin
from harness.results.records import Kind

AFFORDABLE = 60  # processes or pairs; chosen: a machine drifts by more than any further ones would resolve
_FIRST_ANALYSIS = interim_analyses.schedule(interim_analyses.MOST_PAIRS)[0]  # pairs
_UNREADABLE = (GateVerdict.INVALID, GateVerdict.MISSING)
_NOISY = (Kind.TIMING, Kind.MEMORY)


def after(result: GateResult, deciding: Sequence[GateRow]) -> str:
    """Write what follows the verdict, introduced by "next:"; "" if nothing does. *deciding* rows made the verdict."""
    paired = result.design is Design.PAIRED
    match result.verdict:
        case GateVerdict.NOT_COMPARABLE:
            fields = list(dict.fromkeys(field for row in deciding for field in row.differing))
            return f"; what differs: {', '.join(fields)}" if fields else ""
        case verdict if verdict in _UNREADABLE:
            return _next(_show(result))
        case GateVerdict.INCONCLUSIVE:
            if paired:
                return _after_pairs(result, deciding)
            return _next(_after_stored(result, deciding) or _report(result))
        case GateVerdict.REGRESSION:
            noisy = not paired and any(row.kind in _NOISY and row.ratio is not None for row in deciding)
            return _next((_interleaved(result) if noisy else None) or _report(result))
        case _:
            return ""


def _next(command: str | None) -> str:
    return f"; next: {command}" if command else ""


def _after_pairs(result: GateResult, undecided: Sequence[GateRow]) -> str:
    """After an interleaved run: suggest more pairs, unless the power estimate says they would not suffice."""
    needed = [_needed(row, least=_FIRST_ANALYSIS) for row in undecided if row.more]
    if any(row.ratio is not None and row.more is None for row in undecided) or max(needed, default=0) > AFFORDABLE:
        return f"; {AFFORDABLE} pairs would hardly decide it; a wider tolerance would: docs/gate-policy.md"
    a, b = result.origins or (None, None)
    if not needed or a is None or b is None or not (a.arm and b.arm and b.measures):
        return _next(_report(result))
    return _next(_ab(a.arm, b.arm, b, "--pairs", str(max(needed))))


def _needed(row: GateRow, *, least: int = 0) -> int:
    """Return how many processes a side decide the row, *least* or more where there are too few for an interval."""
    needed = min(row.processes or (0, 0)) + (row.more or 0)
    return needed if row.ratio is not None else max(needed, least)


def _after_stored(result: GateResult, undecided: Sequence[GateRow]) -> str | None:
    """After a gate on a stored baseline: an interleaved run, else more processes on both sides if affordable."""
    if not any(row.kind in _NOISY for row in undecided):
        return None
    if command := _interleaved(result):
        return command
    needed = max((_needed(row) for row in undecided if row.more), default=0)
    measures = result.origins[1].measures if result.origins else ()
    return (
        f"{_typed('pytest', *measures, '--repeats', str(needed))}, on both sides"
        if measures and needed and needed <= AFFORDABLE
        else None
    )


def _interleaved(result: GateResult) -> str | None:
    """Write the command that compares the two commits, or else the two versions; None where neither is known."""
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
    """Return the two environments with the versions that differ; None where none does or one is unknown."""
    pairs = {"mlx": (a.mlx, b.mlx), "mlx-lm": (a.mlx_lm, b.mlx_lm)}
    changed = {name: versions for name, versions in pairs.items() if versions[0] != versions[1]}
    if not changed or any(None in versions for versions in changed.values()):
        return None
    old, new = ("pip:" + ",".join(f"{name}=={versions[side]}" for name, versions in changed.items()) for side in (0, 1))
    return old, new


def _ab(a: str, b: str, candidate: Origin, *options: str) -> str:
    return _typed("tunebench", "ab", a, b, *options, "--", *candidate.measures)


def _show(result: GateResult) -> str | None:
    path = _paths(result)[1]
    return f"tunebench show {path}" if path else None


def _report(result: GateResult) -> str | None:
    a, b = _paths(result)
    return f"tunebench report {a} {b} -o compared/" if a and b else None


def _paths(result: GateResult) -> tuple[str | None, str | None]:
    a, b = (origin.path for origin in result.origins or ()) if result.origins else (None, None)
    return a and _quoted(a), b and _quoted(b)


def _typed(*words: str) -> str:
    return " ".join(map(_quoted, words))


def _quoted(text: str) -> str:
    """Quote a word for a shell, but let a leading ~ stand for the home directory."""
    return f"~/{shlex.quote(text[2:])}" if text.startswith("~/") else shlex.quote(text)
