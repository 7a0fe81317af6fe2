"""`tunebench`: arguments to exit code. The door to argv.

Exit codes: 0 fine, 1 a regression or a finding, 2 wrong usage or data that cannot be read, 3 cannot judge.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import __version__
from harness.commands import verbs
from harness.errors import HarnessError

USAGE = 2
_SEED = 42  # chosen; stored with the runs
_ARM = "same, pip:REQUIREMENT[,REQUIREMENT], git:REV or env:NAME=VALUE[,NAME=VALUE]"
_DEFAULT_RESULTS_DIR = "results"
_RUN = "run id, unique prefix, path, bundle, baseline, latest, or published:S0 to S4"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; print what it gives, or why it refuses."""
    given, passed_on = _split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(given)
    if unknown:
        parser.error(_too_much(arguments, [*unknown, *passed_on]))
    arguments.passed_on = passed_on
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
    except HarnessError as error:
        sys.stderr.write(f"tunebench: {error}\n")
        return USAGE
    except BrokenPipeError:  # `tunebench runs | head`
        _drop_output()
        return 0
    except OSError as error:  # a full disk under standard output: what was said did not arrive
        sys.stderr.write(f"tunebench: the output could not be written: {error.strerror or error}\n")
        _drop_output()
        return USAGE
    return code


def _drop_output() -> None:
    """Have what is left to write go nowhere, so that ending does not fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _too_much(arguments: argparse.Namespace, unknown: Sequence[str]) -> str:
    if arguments.command is not verbs.ab:
        return f"unrecognized arguments: {' '.join(unknown)}"
    whole = shlex.join(["tunebench", "ab", arguments.a, arguments.b, "--", *unknown])
    return f"put -- before what is for pytest, behind options of ab's own: {whole}"


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is ours, and what `ab` passes on to pytest: all that follows the first --."""
    if argv[:1] != ["ab"] or "--" not in argv:
        return argv, ()
    place = argv.index("--")
    return argv[:place], argv[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebench",
        description="Benchmarks of language models and their adapters on MLX.",
        epilog="Measure with: pytest suites/ --models smollm2,tinyllama",
    )
    parser.add_argument("--version", action="version", version=f"tunebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    examining = _command(
        commands, "doctor", verbs.doctor, "tell whether numbers measured on this machine can be trusted"
    )
    examining.add_argument("--json", action="store_true", help="facts and findings as JSON")
    _results_dir(examining)
    runs = _command(commands, "runs", verbs.runs, "list the stored runs")
    _results_dir(runs)
    show = _command(commands, "show", verbs.show, "show one run's cases with their headline figures")
    _run(show)
    report = _command(commands, "report", verbs.report, "render a report from stored runs")
    report.add_argument("run", nargs="+", metavar="RUN", help=_RUN)
    report.add_argument(
        "--kind",
        default="comparison",
        metavar="K",
        help="comparison, training, base-vs-tuned, inference, cards or all [%(default)s]",
    )
    report.add_argument("--format", default="md", metavar="F,F", help="md, html, json, comment [%(default)s]")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to write [beside the first run]")
    _own(report)
    _results_dir(report)
    verify = _command(commands, "verify", verbs.verify, "make a report again from the stored results, and compare")
    verify.add_argument("report", type=Path, metavar="REPORT", help="a .md, .html or .json file that report wrote")
    _own(verify)
    _results_dir(verify)
    gating = _command(commands, "gate", verbs.gate, "judge a run against a baseline")
    gating.add_argument("baseline", metavar="BASELINE", help="baseline, run id, unique prefix, path or bundle")
    gating.add_argument("candidate", metavar="CANDIDATE", help=_RUN)
    gating.add_argument(
        "--policy",
        default="default",
        metavar="P",
        help="default, deterministic, timing, or a .toml file of your own [%(default)s]",
    )
    _answers(gating)
    _results_dir(gating)
    _baseline_parser(commands)
    _history_parser(commands)
    _ab_parser(commands)
    export = _command(commands, "export", verbs.export, "write a run as one file")
    _run(export)
    export.add_argument(
        "--format",
        default="json",
        metavar="F",
        help="json: what every command reads; csv, parquet: a line a reading; pytest-benchmark; "
        "github-action-benchmark [%(default)s]",
    )
    export.add_argument("--better", metavar="B", help="lower or higher, of github-action-benchmark [lower]")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file [standard output]")
    models = _command(commands, "models", verbs.models, "list the registry; show or fetch one model")
    models.add_argument("--lora", metavar="CONFIG", help="count this adapter's trainable parameters too")
    actions = models.add_subparsers(metavar="ACTION", dest="action")
    details = actions.add_parser("show", help="architecture, parameters, licence and sources of one model")
    details.add_argument("name", metavar="NAME")
    details.add_argument(
        "--lora", metavar="CONFIG", default=argparse.SUPPRESS, help="count this adapter's trainable parameters too"
    )
    fetch = actions.add_parser("fetch", help="get a model's weights ahead of a run")
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument(
        "--weights", default="auto", metavar="SOURCE", help="auto, hub, embedded or random [%(default)s]"
    )
    fetch.add_argument("--quantize", default="none", metavar="BITS", help="none, 8 or 4 [%(default)s]")
    return parser


def _ab_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    comparing = _command(
        commands, "ab", verbs.ab, "measure two environments in turns on this machine, and judge B against A"
    )
    for name in ("A", "B"):
        comparing.add_argument(name.lower(), metavar=name, help=_ARM)
    comparing.add_argument("--pairs", type=int, metavar="N", help="at most so many of each case [30]")
    comparing.add_argument("--budget", type=float, metavar="SECONDS", help="begin no pair after so many seconds")
    comparing.add_argument(
        "--seed", type=int, default=_SEED, metavar="N", help="of the order within the pairs [%(default)s]"
    )
    _results_dir(comparing)
    comparing.add_argument(
        "--policy", default="default", metavar="NAME|FILE", help="tolerances and what is ignored [%(default)s]"
    )
    _answers(comparing)
    comparing.usage = (
        "tunebench ab A B [--pairs N] [--budget SECONDS] [--seed N] [--policy NAME|FILE] [--results-dir DIR] "
        "[--json FILE] [--md FILE] [--junit FILE] [--github] -- PYTEST-ARGS"
    )


def _history_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    history = _command(commands, "history", verbs.history, "show a metric over all stored runs, with its change points")
    history.add_argument("metric", metavar="METRIC", help="its name: docs/metrics.md")
    history.add_argument("--case", metavar="ID", help="a case, or a pattern: inference/smollm2/base, 'training/*'")
    history.add_argument("--all-runs", action="store_true", help="also sides of ab, and what a gate measured again")
    history.add_argument("--format", metavar="F,F", help="write a report: md, html, json, comment [on the terminal]")
    history.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to write [here]")
    _results_dir(history)


def _baseline_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(commands, "baseline", verbs.baseline_list, "make a run a baseline, or list the baselines")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    saving = _command(actions, "save", verbs.baseline_save, "make a run the baseline of a name")
    _run(saving)
    saving.add_argument(
        "--name", default="default", metavar="N", help="letters, digits, '.', '_' and '-' [%(default)s]"
    )
    saving.add_argument("--reason", required=True, metavar="TEXT", help="why; the history keeps it")
    saving.add_argument(
        "--accept-regression", action="store_true", help="take a run that is worse than the baseline it replaces"
    )
    _results_dir(_command(actions, "list", verbs.baseline_list, "list the baselines"))


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    work: Callable[[argparse.Namespace], int],
    words: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    parser.set_defaults(command=work)
    return parser


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=_RUN)
    _results_dir(parser)


def _answers(parser: argparse.ArgumentParser) -> None:
    """Where a gate's answer goes besides the terminal."""
    whats = {"json": "every row, typed", "md": "a page for a comment, below 65,536 characters", "junit": "JUnit XML"}
    for name, what in whats.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{what}; - for standard output")
    parser.add_argument("--github", action="store_true", help="annotations, step summary and outputs of GitHub Actions")


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--templates", type=Path, metavar="DIR", help="your templates; what is not there is ours")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="your limits, words and use cases [the shipped ones]"
    )


def _results_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=Path(_DEFAULT_RESULTS_DIR),
        metavar="DIR",
        help="where runs are [%(default)s]",
    )
