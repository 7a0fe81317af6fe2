"""`tunebench runs`: list the stored runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands.arguments import Arguments, Parser, add_results_dir
from harness.commands.table import grid

if TYPE_CHECKING:
    from harness.results.records import Bundle


def add_options(parser: Parser) -> None:
    """Declare the options."""
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """List the runs that can be read; name the others on standard error."""
    from harness.results import store

    stored = store.find_runs(arguments.results_dir)
    for problem in stored.problems:
        sys.stderr.write(f"skipped: {problem}\n")
    sys.stdout.write(runs_text(stored.runs, arguments.results_dir))
    return 0


def runs_text(bundles: Sequence["Bundle"], results_dir: Path) -> str:
    """Return a table with one line per run, in the given order, or the command that measures a first run."""
    if not bundles:
        return f"no runs in {results_dir}; measure one with: pytest suites/\n"
    rows = [
        (
            bundle.run.id,
            bundle.run.started_at,
            bundle.run.profile,
            _names(bundle.run.options.get("models")),
            f"{_ok_count(bundle)} of {len(bundle.records)} ok",
            "" if bundle.run.finished_at else "not finished",
        )
        for bundle in bundles
    ]
    return grid(("run", "started", "profile", "models", "cases", ""), rows)


def _names(option: Any) -> str:
    return ", ".join(map(str, option)) if isinstance(option, list) else "unknown"


def _ok_count(bundle: "Bundle") -> int:
    from harness.results.records import Status

    return sum(record.status is Status.OK for record in bundle.records)
