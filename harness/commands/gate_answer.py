"""A gate's answer for the commands `gate` and `ab`: the options that say where it goes, and its way there."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.arguments import Arguments, Parser

if TYPE_CHECKING:
    from harness.commands.gate_files import Destinations
    from harness.gate.verdicts import GateResult


def add_options(parser: Parser) -> None:
    """Add the options for where the answer goes besides the terminal."""
    contents = {"json": "every row, typed", "md": "a page for a comment, below 65,536 characters", "junit": "JUnit XML"}
    for name, content in contents.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{content}; - for standard output")
    parser.add_argument("--github", action="store_true", help="annotations, step summary and outputs of GitHub Actions")


def check_options(arguments: Arguments) -> None:
    """Reject destinations that cannot be written, before anything is read or measured.

    Raises:
        BadConfig: naming all of them.
    """
    from harness.commands import gate_files

    gate_files.check(_destinations(arguments))


def with_provenance(result: "GateResult", paths: Sequence[Path], names: Sequence[str | None]) -> "GateResult":
    """Return the answer with where each side was read: the name as typed, None if there was none, and its path."""
    from harness.gate import provenance
    from harness.paths import without_home
    from harness.results import baselines

    working_directory = Path.cwd()
    short_paths = [
        path.relative_to(working_directory) if path.is_relative_to(working_directory) else path for path in paths
    ]
    return provenance.found(
        result,
        typed=[name and without_home(name) for name in names],
        numbers=[baselines.number(path) for path in paths],
        paths=[without_home(str(path)) for path in short_paths],
    )


def show(result: "GateResult", arguments: Arguments, introduction: str = "") -> int:
    """Show the answer everywhere the options ask for, and return its exit code.

    The terminal gets *introduction* and the verdict first, before anything is written that can fail.
    """
    from harness.commands import gate_files, gate_text

    destinations = _destinations(arguments)
    terminal = sys.stderr if destinations.on_stdout else sys.stdout
    columns = shutil.get_terminal_size().columns
    text = gate_text.gate_text(result, columns)
    terminal.write(introduction + text + gate_files.workflow_commands(result, destinations))
    terminal.flush()
    gate_files.write(result, destinations, sys.stdout.write)
    return result.exit_code


def _destinations(arguments: Arguments) -> "Destinations":
    from harness.commands import gate_files

    return gate_files.Destinations(
        json=arguments.json,
        md=arguments.md,
        junit=arguments.junit,
        github=os.environ if arguments.github else None,
    )
