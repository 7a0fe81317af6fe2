"""`tunebench`: arguments to exit code. The door to argv and standard output.

Exit codes: 0 fine, 1 a regression or a finding, 2 wrong usage or data that cannot be read, 3 cannot judge. What each
command needs is imported when it runs, so that `tunebench --help` is there at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import __version__
from harness.errors import HarnessError

USAGE = 2
_DEFAULT_RESULTS_DIR = "results"
_RUN = "run id, unique prefix, path, bundle, latest, or published:S0 to S4"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; print what it gives, or why it refuses."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
    except HarnessError as error:
        sys.stderr.write(f"tunebench: {error}\n")
        return USAGE
    except BrokenPipeError:  # `tunebench runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunebench",
        description="Benchmarks of language models and their adapters on MLX.",
        epilog="Measure with: pytest suites/ --models smollm2,tinyllama",
    )
    parser.add_argument("--version", action="version", version=f"tunebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    examining = _command(commands, "doctor", _doctor, "tell whether numbers measured on this machine can be trusted")
    examining.add_argument("--json", action="store_true", help="facts and findings as JSON")
    _results_dir(examining)
    runs = _command(commands, "runs", _runs, "list the stored runs")
    _results_dir(runs)
    show = _command(commands, "show", _show, "show one run's cases with their headline figures")
    _run(show)
    report = _command(commands, "report", _report, "render a report from stored runs")
    report.add_argument(
        "run", nargs="+", metavar="RUN", help="run id, unique prefix, path, bundle, latest, or published:S0 to S4"
    )
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
    verify = _command(commands, "verify", _verify, "make a report again from the stored results, and compare")
    verify.add_argument("report", type=Path, metavar="REPORT", help="a .md, .html or .json file that report wrote")
    _own(verify)
    _results_dir(verify)
    gating = _command(commands, "gate", _gate, "judge a run against a baseline")
    gating.add_argument("baseline", metavar="BASELINE", help="run id, unique prefix, path or bundle")
    gating.add_argument(
        "candidate", metavar="CANDIDATE", help="run id, unique prefix, path, bundle, latest, or published:S0 to S4"
    )
    _results_dir(gating)
    export = _command(commands, "export", _export, "write a run as one file")
    _run(export)
    export.add_argument(
        "--format", default="json", help="json: what every command reads; csv: a line a reading [%(default)s]"
    )
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="a file [standard output]")
    models = _command(commands, "models", _models, "list the registry; show or fetch one model")
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


def _doctor(arguments: argparse.Namespace) -> int:
    from harness import checkup, codec, doctor, listings  # noqa: PLC0415

    its = doctor.examine(checkup.gather(arguments.results_dir))
    sys.stdout.write(codec.encode(its, indent=1).decode() if arguments.json else listings.doctor(its))
    return 0 if its.ok else 1


def _runs(arguments: argparse.Namespace) -> int:
    from harness import listings, store  # noqa: PLC0415

    found = store.find_runs(arguments.results_dir)
    for problem in found.problems:
        sys.stderr.write(f"skipped: {problem}\n")
    sys.stdout.write(listings.runs(found.runs, arguments.results_dir))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from harness import listings, lookup, store  # noqa: PLC0415

    bundle = store.read_run(lookup.locate(arguments.run, arguments.results_dir))
    sys.stdout.write(listings.run(bundle))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from harness import lookup, reporting, store  # noqa: PLC0415

    runs = reporting.read(lookup.locate(name, arguments.results_dir) for name in arguments.run)
    beside = runs[0].path if runs[0].path.is_dir() else Path()
    directory = arguments.output or beside
    every = [kind for kind in reporting.KINDS if reporting.suits(kind, runs)]
    kinds = every if arguments.kind == reporting.ALL else [arguments.kind]
    forms = list(dict.fromkeys(arguments.format.split(",")))
    for kind in kinds:
        own = {"policy": arguments.policy, "templates": arguments.templates}
        made = reporting.build(kind, runs, beside=directory, **own)
        for path in reporting.write(made, directory, forms, templates=arguments.templates):
            sys.stdout.write(f"{path}\n")
        if kind == "cards" and "md" in forms:
            for name, content in reporting.card_files(runs, policy=arguments.policy):
                store.write_bytes(directory / name, content)
                sys.stdout.write(f"{directory / name}\n")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from harness import verifying  # noqa: PLC0415

    its = verifying.verify(
        arguments.report, arguments.results_dir, templates=arguments.templates, policy=arguments.policy
    )
    verdict = f"{arguments.report}: {'does not hold' if its.problems else 'holds'}"
    sys.stdout.write("\n".join([*its.problems, *its.remarks, verdict]) + "\n")
    return 1 if its.problems else 0


def _gate(arguments: argparse.Namespace) -> int:
    from harness import gate, listings, lookup, store, versions  # noqa: PLC0415

    names = (arguments.baseline, arguments.candidate)
    baseline, candidate = (store.read_run(lookup.locate(name, arguments.results_dir)) for name in names)
    rows = gate.gate(baseline, candidate)
    verdict = gate.overall(rows)
    sys.stdout.write(listings.gate(rows, verdict, versions.version_warnings((baseline, candidate))))
    return gate.exit_code(verdict)


def _export(arguments: argparse.Namespace) -> int:
    from harness import exporting, lookup, store  # noqa: PLC0415

    text = exporting.export(store.read_run(lookup.locate(arguments.run, arguments.results_dir)), arguments.format)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        store.write_text(arguments.output, text)
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from harness import asking, configs, listings  # noqa: PLC0415

    if arguments.action == "fetch":
        return _fetch(arguments)
    adapter = configs.read_adapter(arguments.lora) if arguments.lora else None
    if arguments.action is None:
        models = [configs.read_model(name) for name in configs.known("models")]
        sys.stdout.write(listings.models(models, asking.count(models, adapter)))
        return 0
    model = configs.read_model(arguments.name)
    counted = asking.count([model], adapter)[model.name]
    if "problem" in counted:
        raise HarnessError(counted["problem"])
    sys.stdout.write(listings.model(model, counted))
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from harness import asking, configs, listings, settings  # noqa: PLC0415

    model = configs.read_model(arguments.name)
    settings.check_source(arguments.weights)
    quantization = settings.quantization(arguments.quantize)
    sys.stdout.write(listings.ready(asking.fetch(model, arguments.weights, quantization=quantization)))
    return 0
