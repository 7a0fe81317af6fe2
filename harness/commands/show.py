"""`tunebench show`: print one run's cases with their headline figures."""

import sys
from typing import TYPE_CHECKING

from harness.commands.arguments import Arguments, Parser, add_run
from harness.commands.table import grid, plain

if TYPE_CHECKING:
    from harness.results.records import Bundle


def add_options(parser: Parser) -> None:
    """Declare the options."""
    add_run(parser)


def run(arguments: Arguments) -> int:
    """Print one run."""
    from harness.results import locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    sys.stdout.write(run_text(bundle))
    return 0


def run_text(bundle: "Bundle") -> str:
    """Return when and how a run was measured, its warnings, and one line per case."""
    from harness.report.headline import headline

    info = bundle.run
    end = f"finished {info.finished_at}" if info.finished_at else "not finished"
    lines = [
        f"run {info.id}, profile {info.profile}, started {info.started_at}, {end}",
        *(f"warning: {warning}" for warning in info.warnings),
    ]
    rows = [(record.case, headline(record)) for record in bundle.records]
    return "\n".join(map(plain, lines)) + "\n\n" + grid(("case", "figures"), rows)
