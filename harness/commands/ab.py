"""`tunebench ab`: measure two environments in turns on this machine, and judge B against A."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.commands import gate_answer
from harness.commands.arguments import Arguments, Parser, add_results_dir
from harness.commands.table import plain

_SEED = 42  # chosen; stored with the runs
_ENVIRONMENT_HELP = "same, pip:REQUIREMENT[,REQUIREMENT], git:REV or env:NAME=VALUE[,NAME=VALUE]"


def add_options(parser: Parser) -> None:
    """Declare the options; arguments after "--" are for pytest."""
    for name in ("A", "B"):
        parser.add_argument(name.lower(), metavar=name, help=_ENVIRONMENT_HELP)
    parser.add_argument("--pairs", type=int, metavar="N", help="at most so many of each case [30]")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="begin no pair after so many seconds")
    parser.add_argument(
        "--seed", type=int, default=_SEED, metavar="N", help="of the order within the pairs [%(default)s]"
    )
    add_results_dir(parser)
    parser.add_argument(
        "--policy", default="default", metavar="NAME|FILE", help="tolerances and what is ignored [%(default)s]"
    )
    gate_answer.add_options(parser)
    parser.usage = (
        "tunebench ab A B [--pairs N] [--budget SECONDS] [--seed N] [--policy NAME|FILE] [--results-dir DIR] "
        "[--json FILE] [--md FILE] [--junit FILE] [--github] -- PYTEST-ARGS"
    )


def missing_separator(arguments: Arguments, unknown: Sequence[str]) -> str:
    """Return the message for *unknown* arguments that stand where only the command's own may stand."""
    command = shlex.join(["tunebench", "ab", arguments.a, arguments.b, "--", *unknown])
    return f"put -- before what is for pytest, behind options of ab's own: {command}"


def run(arguments: Arguments) -> int:
    """Measure both environments, show the answer, and return the exit code of the verdict or of the interruption."""
    from harness.gate import decide, policy_file
    from harness.machine.clock import utc_now
    from harness.machine.signals import Stop, stoppable
    from harness.session.ab import arms, compare, prepare

    gate_answer.check_options(arguments)
    plan = compare.plan(arguments.pairs, arguments.budget, arguments.seed)
    specs = [arms.parse(text) for text in (arguments.a, arguments.b)]
    policy = policy_file.read_gate_policy(arguments.policy)
    compare.check(arguments.passed_on)
    stop = Stop()
    try:
        with stoppable() as stop:
            a, b = (prepare.make(spec, say=_print_progress) for spec in specs)
            outcome = compare.compare(
                (a, b),
                arguments.passed_on,
                plan,
                results_dir=arguments.results_dir,
                gate=lambda baseline, candidate, looks: decide.gate(
                    baseline, candidate, policy, today=utc_now(), looks=looks
                ),
                say=_print_progress,
            )
    except KeyboardInterrupt:
        sys.stderr.write("tunebench: interrupted\n")
        return stop.exit_code
    if outcome.result is None:
        sys.stderr.write("tunebench: interrupted before a pair was measured; nothing is stored\n")
        return stop.exit_code
    result = gate_answer.with_provenance(outcome.result, outcome.directories, (None, None))
    introduction = measured_text(outcome.directories, outcome.pairs, outcome.ended)
    code = gate_answer.show(result, arguments, introduction)
    return stop.exit_code if outcome.interrupted else code


def _print_progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def measured_text(directories: Sequence[Path], pairs: Mapping[str, int], ending: str) -> str:
    """Return how many pairs of each case were measured, why there are no more, and the directory of each side."""
    counts = ", ".join(f"{count} of {case}" for case, count in pairs.items())
    sides = "".join(f"{name}: {directory}\n" for name, directory in zip("AB", directories, strict=True))
    return f"pairs: {counts}; {plain(ending)}\n{sides}"
