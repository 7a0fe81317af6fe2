"""Provenance of the two sides of a gate, so that a reader can find the runs again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.gate.verdicts import GateResult, Origin
from harness.results.comparison_entry import ComparisonEntry
from harness.results.records import Bundle

_SHORT_HASH = 7  # characters of a commit, as Git shows it
# Options that a comparison or a gate sets itself; True where a value follows the option.
_NOT_MEASURED = {
    **dict.fromkeys(("--repeats", "--run-id", "--results-dir", "--resume", "--gate", "--gate-policy"), True),
    **dict.fromkeys(("--turnstile",), True),
    **dict.fromkeys(("--no-report",), False),
}


def origin(bundle: Bundle) -> Origin:
    """Return the provenance that a run records."""
    run, packages = bundle.run, bundle.environment.packages if bundle.environment else {}
    entry = ComparisonEntry.from_options(run.options)
    return Origin(
        run=run.id,
        started_at=run.started_at,
        commit=_commit(run.git),
        dirty=bool((run.git or {}).get("dirty")),
        mlx=packages.get("mlx"),
        mlx_lm=packages.get("mlx-lm"),
        arm=entry.arm if entry else None,
        measures=measured(run.command[1:]),
    )


def found(
    result: GateResult, *, typed: Sequence[str | None], numbers: Sequence[int | None], paths: Sequence[str | None]
) -> GateResult:
    """Add to an answer how the user named each run, and where it was read from."""
    if result.origins is None:
        return result
    a, b = (
        replace(side, typed=name, number=number, path=path)
        for side, name, number, path in zip(result.origins, typed, numbers, paths, strict=True)
    )
    return replace(result, origins=(a, b))


def _commit(git: dict[str, Any] | None) -> str | None:
    commit = (git or {}).get("commit")
    return commit[:_SHORT_HASH] if isinstance(commit, str) else None


def measured(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the pytest arguments that say what to measure, without those on repetition and storage."""
    kept = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if name not in _NOT_MEASURED:
            kept.append(argument)
        elif _NOT_MEASURED[name] and not equals:
            next(left, None)
    return tuple(kept)
