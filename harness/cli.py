"""Entry point of `tunebench`: from the command line's arguments to an exit code.

Exit codes: 0 fine, 1 a regression or a finding, 2 wrong usage or data that cannot be read, 3 cannot judge.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Collection, Sequence

from harness import __version__
from harness.errors import HarnessError

USAGE = 2
# A command is the module harness.commands.NAME; its summary stands in the list of commands and heads its own help.
COMMANDS = {
    "doctor": "tell whether numbers measured on this machine can be trusted",
    "runs": "list the stored runs",
    "show": "show one run's cases with their headline figures",
    "report": "render a report from stored runs",
    "verify": "make a report again from the stored results, and compare",
    "gate": "judge a run against a baseline",
    "baseline": "make a run a baseline, or list the baselines",
    "history": "show a metric over all stored runs, with its change points",
    "ab": "measure two environments in turns on this machine, and judge B against A",
    "export": "write a run as one file",
    "models": "list the registry; show or fetch one model",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a refusal is one message on standard error and `USAGE`."""
    own_arguments, pytest_arguments = _split(sys.argv[1:] if argv is None else argv)
    parser = _parser([name for name in COMMANDS if name in own_arguments])
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
    from harness.commands import ab  # noqa: PLC0415 - as every command: only when it is needed

    if arguments.command is ab.run:
        return ab.missing_separator(arguments, unknown)
    return f"unrecognized arguments: {' '.join(unknown)}"


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Separate our arguments from those after the first "--", which `ab` passes on to pytest."""
    if argv[:1] != ["ab"] or "--" not in argv:
        return argv, ()
    separator = argv.index("--")
    return argv[:separator], argv[separator + 1 :]


def _parser(loaded: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return a parser that knows the options of the *loaded* commands, and only the summaries of the others.

    Importing every command would make `tunebench --help` a fifth slower.
    """
    parser = argparse.ArgumentParser(
        prog="tunebench",
        description="Benchmarks of language models and their adapters on MLX.",
        epilog="Measure with: pytest suites/ --models smollm2,tinyllama",
    )
    parser.add_argument("--version", action="version", version=f"tunebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in loaded:
            module = importlib.import_module(f"harness.commands.{name}")
            module.add_options(command)
            command.set_defaults(command=module.run)
    return parser
