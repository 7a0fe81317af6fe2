"""`tunebench baseline`: make a run a baseline, or list the baselines."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.arguments import Arguments, Parser, add_results_dir, add_run
from harness.commands.table import grid, plain
from harness.errors import NotABaseline

if TYPE_CHECKING:
    from harness.results.baselines import Saved, Shelf

_COLUMNS = 80  # width of the listing
_MIN_REASON_COLUMNS = 12
_HEADING_PADDING, _COLUMN_GAP = 2, 2  # what `tabulate` adds to the length of a heading, and puts between columns


def add_options(parser: Parser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    save = actions.add_parser(
        "save", help="make a run the baseline of a name", description="Make a run the baseline of a name."
    )
    save.set_defaults(command=_save)
    add_run(save)
    save.add_argument("--name", default="default", metavar="N", help="letters, digits, '.', '_' and '-' [%(default)s]")
    save.add_argument("--reason", required=True, metavar="TEXT", help="why; the history keeps it")
    save.add_argument(
        "--accept-regression", action="store_true", help="take a run that is worse than the baseline it replaces"
    )
    add_results_dir(actions.add_parser("list", help="list the baselines", description="List the baselines."))


def run(arguments: Arguments) -> int:
    """List the baselines that can be read; name the others on standard error."""
    from harness.machine import clock
    from harness.results import baselines

    shelves, problems = baselines.read(arguments.results_dir)
    for problem in problems:
        sys.stderr.write(f"skipped: {problem}\n")
    sys.stdout.write(baselines_text(shelves, arguments.results_dir, clock.utc_now()))
    return 0


def _save(arguments: Arguments) -> int:
    """Make a run the baseline of a name; return 1 if the run must not become one."""
    from harness.gate import save_baseline
    from harness.results import baselines, locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    try:
        saved = save_baseline.save(
            bundle,
            arguments.name,
            arguments.reason,
            results_dir=arguments.results_dir,
            accept=arguments.accept_regression,
        )
    except NotABaseline as error:
        sys.stderr.write(f"tunebench: {error}\n")
        return 1
    sys.stdout.write(saved_text(saved, baselines.directory(arguments.results_dir, arguments.name)))
    return 0


def saved_text(saved: "Saved", directory: Path) -> str:
    """Return which baseline was written, how it compares with the one before, and what it no longer watches."""
    replaced = f", in place of {saved.replaced}: {saved.verdict}" if saved.replaced else ""
    lines = [
        f"{directory / saved.file}: {saved.run} is the baseline {directory.name!r}{replaced}",
        *_worst_change(saved, directory),
        *(f"accepted: {regression}" for regression in saved.accepted),
        *(f"no longer watched: {case}" for case in saved.dropped),
        f"commit {directory}",
    ]
    return "".join(f"{plain(line)}\n" for line in lines)


def _worst_change(saved: "Saved", directory: Path) -> list[str]:
    """Return the worst change since the replaced baseline, as a warning if the gate could not judge it."""
    from harness.gate.verdicts import GateVerdict

    if saved.replaced is None:
        return []
    worst = f"worst change: {saved.worst}" if saved.worst else "nothing of it could be compared"
    if saved.verdict in {GateVerdict.PASS.value, GateVerdict.IMPROVED.value, GateVerdict.REGRESSION.value}:
        return [worst] if saved.worst and not saved.accepted else []
    command = f"tunebench gate {directory.name}@{saved.replaced.number} {directory.name}"
    return [f"warning: it could not be judged against that one; {worst}; {command} says why"]


def baselines_text(shelves: Sequence["Shelf"], results_dir: Path, now: str) -> str:
    """Return a table with one line per baseline, then the conditions under which each was measured.

    The age counts from the measurement to *now*. The reason is cut so that the table fits the listing's width.
    """
    if not shelves:
        return f"no baselines in {results_dir}; make one with: tunebench baseline save RUN --reason TEXT\n"
    headers = ("name", "no.", "run", "age", "cases x n")
    rows = [_cells(shelf, now) for shelf in shelves]
    widths = (
        max(_HEADING_PADDING + len(header), *map(len, cells)) + _COLUMN_GAP
        for header, *cells in zip(headers, *rows, strict=True)
    )
    reason_columns = max(_MIN_REASON_COLUMNS, _COLUMNS - sum(widths))
    rows_with_reason = [
        (*row, _cut(plain(shelf.saved.reason), reason_columns)) for row, shelf in zip(rows, shelves, strict=True)
    ]
    return grid((*headers, "reason"), rows_with_reason) + "\n" + "".join(map(_conditions, shelves))


def _cut(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[: max_length - 1].rstrip()}…"


def _cells(shelf: "Shelf", now: str) -> tuple[str, ...]:
    from harness.machine.clock import days_between

    bundle = shelf.bundle
    age_days = days_between(bundle.run.started_at, now)
    counts = sorted({record.processes for record in bundle.records})
    processes = " to ".join(map(str, counts[:1] + counts[1:][-1:]))
    age = "unknown" if age_days is None else f"{age_days} d"
    return shelf.name, str(shelf.saved.number), bundle.run.id, age, f"{len(bundle.records)} x {processes}"


def _conditions(shelf: "Shelf") -> str:
    """Return device, weights and versions of a baseline, and the number of earlier ones, as a wrapped paragraph."""
    keys = [record.key for record in shelf.bundle.records if record.key is not None]
    versions = {name: "unknown" if version is None else version for name, version in shelf.saved.versions.items()}
    facts = [
        *sorted({key.device for key in keys}),
        *(f"weights {source}" for source in sorted({_weights_source(key.weights.source) for key in keys})),
        *(f"{name} {version}" for name, version in versions.items()),
        f"saved {shelf.saved.saved_at}",
        *([f"{shelf.earlier} earlier"] if shelf.earlier else []),
    ]
    text = plain(f"{shelf.name}: {', '.join(facts)}")
    return textwrap.fill(text, _COLUMNS, subsequent_indent="  ", break_long_words=False) + "\n"


def _weights_source(source: str) -> str:
    from harness.analysis.judge import STAND_INS

    return f"{source} (stand-in)" if source in STAND_INS else source
