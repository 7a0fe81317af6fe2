"""`tunebench export`: write a run as one file."""

import sys
from pathlib import Path

from harness.commands.arguments import Arguments, Parser, add_run


def add_options(parser: Parser) -> None:
    """Declare the options."""
    add_run(parser)
    parser.add_argument(
        "--format",
        default="json",
        metavar="F",
        help="json: what every command reads; csv, parquet: a line a reading; pytest-benchmark; "
        "github-action-benchmark [%(default)s]",
    )
    parser.add_argument("--better", metavar="B", help="lower or higher, of github-action-benchmark [lower]")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file [standard output]")


def run(arguments: Arguments) -> int:
    """Write the file, or its bytes to standard output."""
    from harness.report.export import export
    from harness.results import atomic_write, locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    content = export.export(bundle, arguments.format, better=arguments.better)
    if arguments.output is None:
        sys.stdout.buffer.write(content)
    else:
        atomic_write.write_bytes(arguments.output, content)
    return 0
