"""`tunebench report`: render reports from stored runs and print their paths."""

import sys
from pathlib import Path

from harness.commands.arguments import (
    RUN_HELP,
    Arguments,
    Parser,
    add_results_dir,
    add_templates_and_policy,
)


def add_options(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("run", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--kind",
        default="comparison",
        metavar="K",
        help="comparison, training, base-vs-tuned, inference, cards or all [%(default)s]",
    )
    parser.add_argument("--format", default="md", metavar="F,F", help="md, html, json, comment [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to write [beside the first run]")
    add_templates_and_policy(parser)
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """Write every report of the chosen kinds in every chosen format."""
    from harness.report import build
    from harness.results import atomic_write, locate

    runs = build.read(locate.locate(name, arguments.results_dir) for name in arguments.run)
    beside = runs[0].path if runs[0].path.is_dir() else Path()
    directory = arguments.output or beside
    suitable_kinds = [kind for kind in build.KINDS if build.suits(kind, runs)]
    kinds = suitable_kinds if arguments.kind == build.ALL else [arguments.kind]
    formats = list(dict.fromkeys(arguments.format.split(",")))
    for kind in kinds:
        report = build.build(kind, runs, beside=directory, policy=arguments.policy, templates=arguments.templates)
        for path in build.write(report, directory, formats, templates=arguments.templates):
            sys.stdout.write(f"{path}\n")
        if kind == "cards" and "md" in formats:
            for name, content in build.card_files(runs, policy=arguments.policy):
                atomic_write.write_bytes(directory / name, content)
                sys.stdout.write(f"{directory / name}\n")
    return 0
