"""Entry point of `tunebench`: from the command line's arguments to an exit code.

Exit codes: 0 fine, 1 a regression or a finding, 2 wrong usage or data that cannot be read, 3 cannot judge.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from harness import __version__
from harness.commands import ab, baseline, doctor, export, gate, history, models, report, runs, show, verify
from harness.errors import HarnessError

USAGE = 2
COMMANDS = (doctor, runs, show, report, verify, gate, baseline, history, ab, export, models)  # in the order of --help


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a refusal is one message on standard error and `USAGE`."""
    own_arguments, pytest_arguments = _split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(own_arguments)
    if unknown:
        parser.error(_unknown_message(arguments, [*unknown, *pytest_arguments]))
    arguments.passed_on = pytest_arguments
    run: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = run(arguments)
        sys.stdout.flush()
    except HarnessError as error:
        sys.stderr.write(f"tunebench: {error}\n")
        return USAGE
    except BrokenPipeError:  # `tunebench runs | head`
        _discard_output()
        return 0
    except OSError as error:  # a full disk under standard output: the text did not arrive
        sys.stderr.write(f"tunebench: the output could not be written: {error.strerror or error}\n")
        _discard_output()
        return USAGE
    return code


def _discard_output() -> None:
    """Send buffered output to the null device, so that flushing it at exit does not fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unknown_message(arguments: argparse.Namespace, unknown: Sequence[str]) -> str:
    if arguments.command is ab.run:
        return ab.missing_separator(arguments, unknown)
    return f"unrecognized arguments: {' '.join(unknown)}"


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Separate our arguments from those after the first "--", which `ab` passes on to pytest."""
    if argv[:1] != ["ab"] or "--" not in argv:
        return argv, ()
    separator = argv.index("--")
    return argv[:separator], argv[separator + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebench",
        description="Benchmarks of language models and their adapters on MLX.",
        epilog="Measure with: pytest suites/ --models smollm2,tinyllama",
    )
    parser.add_argument("--version", action="version", version=f"tunebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
