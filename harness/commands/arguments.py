"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

Arguments: TypeAlias = argparse.Namespace
Parser: TypeAlias = argparse.ArgumentParser

RUN_HELP = "run id, unique prefix, path, bundle, baseline, latest, or published:S0 to S4"
KEEP_OUTER_VALUE = argparse.SUPPRESS  # default of an option that a command and its action both have
_DEFAULT_RESULTS_DIR = "results"


def add_run(parser: Parser) -> None:
    """Add the argument for one stored run, and the directory in which it is looked up."""
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    add_results_dir(parser)


def add_results_dir(parser: Parser) -> None:
    """Add the option for the directory of stored runs."""
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=Path(_DEFAULT_RESULTS_DIR),
        metavar="DIR",
        help="where runs are [%(default)s]",
    )


def add_templates_and_policy(parser: Parser) -> None:
    """Add the options that replace the shipped templates and the shipped report policy."""
    parser.add_argument("--templates", type=Path, metavar="DIR", help="your templates; what is not there is ours")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="your limits, words and use cases [the shipped ones]"
    )
