"""`tunebench verify`: make a report again from the stored results and compare."""

import sys
from pathlib import Path

from harness.commands.arguments import Arguments, Parser, add_results_dir, add_templates_and_policy


def add_options(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="a .md, .html or .json file that report wrote")
    add_templates_and_policy(parser)
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """Print every difference and the verdict; return 1 if there is a difference."""
    from harness.report import verify

    verification = verify.verify(
        arguments.report, arguments.results_dir, templates=arguments.templates, policy=arguments.policy
    )
    verdict = f"{arguments.report}: {'does not hold' if verification.problems else 'holds'}"
    sys.stdout.write("\n".join([*verification.problems, *verification.remarks, verdict]) + "\n")
    return 1 if verification.problems else 0
