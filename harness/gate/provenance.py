"""Where the two sides of a gate come from, so that a reader can find them again. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.gate.verdicts import GateResult, Origin
from harness.results.comparison_entry import ComparisonEntry
from harness.results.records import Bundle

_SHORT_HASH = 7  # characters of a commit, as Git shows it
# What a comparison or a gate sets itself, each with whether a value follows.
_NOT_MEASURED = {
    **dict.fromkeys(("--repeats", "--run-id", "--results-dir", "--resume", "--gate", "--gate-policy"), True),
    **dict.fromkeys(("--turnstile",), True),
    **dict.fromkeys(("--no-report",), False),
}


def origin(bundle: Bundle) -> Origin:
    """What a run says of itself."""
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
    """The same answer, with how each side was asked for, and where it was read."""
    if result.origins is None:
        return result
    a, b = (
        replace(its, typed=name, number=number, path=path)
        for its, name, number, path in zip(result.origins, typed, numbers, paths, strict=True)
    )
    return replace(result, origins=(a, b))


def _commit(git: dict[str, Any] | None) -> str | None:
    its = (git or {}).get("commit")
    return its[:_SHORT_HASH] if isinstance(its, str) else None


def measured(arguments: Sequence[str]) -> tuple[str, ...]:
    """What of pytest's arguments says what to measure, and not how often, or where to store it."""
    kept = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if name not in _NOT_MEASURED:
            kept.append(argument)
        elif _NOT_MEASURED[name] and not equals:
            next(left, None)
    return tuple(kept)
