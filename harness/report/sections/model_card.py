"""Card of a tuned or base model: details, training procedure, results and license. It states what is not known.

A model measured with stand-in weights gets a warning on top, and no results in the block that the hub reads.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.analysis.judge import STAND_INS
from harness.analysis.limits import Entry
from harness.analysis.report_policy import CardText
from harness.analysis.stats.estimates import median_interval, process_values, summarize
from harness.report.cells import HOW_TO_READ, Footnotes, code, metric_cell, text, texts
from harness.report.page import Table
from harness.report.render.yaml_block import Fact
from harness.report.sections.card import NOT_PROVIDED, Card, Part, compose
from harness.report.sections.run_description import case_facts
from harness.results.metrics import NO_WORK
from harness.results.records import Bundle, Key, Metric, Record, Status

# The hub's identifiers of licenses. Source: huggingface.co/docs/hub/repositories-licenses.
_LICENSES = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "gemma terms of use": "gemma",
    "llama 3.2 community": "llama3.2",
}
# The hub's names of the metrics of an evaluation.
_INDEXED = {"test_loss": "loss", "test_perplexity": "perplexity", "bits_per_byte": "bits_per_byte"}
_SHOWN = {
    "evaluation": ("test_loss", "test_perplexity", "bits_per_byte", "eos_rate", "leak_rate"),
    "training": (
        "val_loss_first", "val_loss_best", "val_loss_best_iteration", "val_loss_final", "train_wall_s",
        "train_bytes_per_s", "trainable_parameters", "adapter_bytes", "peak_active_bytes",
    ),
    "inference": (
        "load_s", "disk_bytes", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "response_s",
        "peak_active_bytes",
    ),
}  # fmt: skip
_SIGNIFICANT = 6  # figures of a value that the hub shows as it stands


def model_card(
    entry: Entry, bundle: Bundle, *, file_name: str, base_license: str | None, author_text: CardText
) -> Card | None:
    """Write the card of a tuned or base model; None where no case ran far enough for its model to be identified."""
    keys = [record.key for record in entry.records.values() if record.key]
    if not keys:
        return None
    stand_in = _banner(keys)
    banner = " ".join(filter(None, (stand_in, *_cautions(bundle)))) or None
    index = (
        ()
        if stand_in or bundle.run.profile == "smoke" or bundle.run.published
        else tuple(_indexed(entry.records.get("evaluation")))
    )
    facts = dict(_front(entry, keys[0], index, license_name=author_text.license or base_license))
    parts = [
        Part(title="Details", table=_details(entry)),
        *_procedure(entry.records.get("training")),
        *_results(entry, bundle),
        Part(title="Intended use", words=author_text.intended_use or NOT_PROVIDED),
        Part(title="Limitations", words=author_text.limitations or NOT_PROVIDED),
        Part(title="Ethical considerations", words=author_text.ethics or NOT_PROVIDED),
        Part(
            title="Licence",
            words=f"Of the base model: {base_license or 'not known'}. Of what is published with this card: "
            f"{author_text.license or NOT_PROVIDED}",
        ),
        Part(title="How this card was made", table=_origin(bundle)),
    ]
    return compose(name=entry.name, kind="model", file_name=file_name, facts=facts, banner=banner, parts=parts)


def _banner(keys: Sequence[Key]) -> str | None:
    key = next((key for key in keys if key.weights.source in STAND_INS), None)
    if key is None:
        return None
    return (
        f"STAND-IN WEIGHTS ({key.weights.source}): not those of {key.model}, but random ones in their place. No figure "
        f"below says how well {key.model} answers, and this card must not be published as one of {key.model}."
    )


def _cautions(bundle: Bundle) -> Iterator[str]:
    """Warn of circumstances that limit the figures."""
    if bundle.run.profile == "smoke":
        yield "SMOKE SIZE: measured to see that everything runs; too little to go by, so no result is given to the hub."
    if bundle.environment is not None and bundle.environment.device.get("type") == "cpu":
        yield "CPU BACKEND: speeds are not those of an Apple or NVIDIA GPU."


def _front(
    entry: Entry, key: Key, results: Sequence[Mapping[str, Fact]], *, license_name: str | None
) -> Iterator[tuple[str, Fact]]:
    """Yield the keys of the YAML block that the hub reads, without keys whose value is not known."""
    if key.weights.repository:
        yield "base_model", key.weights.repository
    yield "library_name", "mlx"
    yield "pipeline_tag", "text-generation"
    if license_name:
        yield from _license(license_name)
    dataset = _dataset(entry)
    name = str(dataset.get("name", ""))
    if name.startswith("hf:") and "training" in entry.records:
        yield "datasets", [repository(name)]
    adapter = next((record.key.adapter for record in entry.records.values() if record.key and record.key.adapter), None)
    yield "tags", ["mlx", "tunebench", *([str(adapter.get("kind", "lora"))] if adapter else [])]
    if results and name:
        split: dict[str, Fact] = {"type": repository(name), "name": name, "split": "test"}
        if revision := dataset.get("revision"):
            split["revision"] = str(revision)
        task = {"type": "text-generation", "name": "Text generation"}
        yield "model-index", [{"name": entry.name, "results": [{"task": task, "dataset": split, "metrics": results}]}]


def _license(name: str) -> Iterator[tuple[str, Fact]]:
    identifier = _LICENSES.get(name.lower())
    yield "license", identifier or "other"
    if identifier is None:
        yield "license_name", name


def repository(name: str) -> str:
    """Return the hub's name of a data set: without the prefix "hf:" and without a revision."""
    return name.removeprefix("hf:").partition("@")[0]


def _dataset(entry: Entry) -> dict[str, Any]:
    """Return the data set of the first case that has one; {} where no case has."""
    datasets = (record.key.dataset for record in entry.records.values() if record.key and record.key.dataset)
    return next(datasets, {})


def _indexed(record: Record | None) -> Iterator[Mapping[str, Fact]]:
    """Yield the metrics of a successful evaluation: the median, with its interval and process count as arguments."""
    if record is None or record.status is not Status.OK:
        return
    for name, hub_name in _INDEXED.items():
        metric = record.metrics.get(name)
        if metric is not None and metric.samples is not None and metric.labels is None:
            summary, interval = summarize(metric.samples), median_interval(process_values(metric.samples))
            arguments: dict[str, Fact] = {"statistic": "median", "processes": summary.processes, "unit": metric.unit}
            if interval is not None:
                arguments |= {
                    "low": _point(interval.low),
                    "high": _point(interval.high),
                    "confidence": interval.confidence,
                }
            yield {"type": hub_name, "name": name, "value": _point(summary.median), "args": arguments}


def _point(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT}g}")


def _details(entry: Entry) -> Table:
    """Table of all facts that the keys of the records hold, except settings."""
    facts: dict[str, str] = {}
    for suite, record in entry.records.items():
        facts |= {name: value for name, value in case_facts(record).items() if not name.startswith(f"{suite} ")}
    return Table(columns=("fact", "value"), rows=tuple(map(texts, facts.items())), caption="Details")


def _procedure(record: Record | None) -> Iterator[Part]:
    if record is None:
        return
    prefix = f"{record.suite} "
    rows = [
        texts((name.removeprefix(prefix), value))
        for name, value in case_facts(record).items()
        if name.startswith(prefix)
    ]
    table = Table(columns=("setting", "value"), rows=tuple(rows), caption="Training procedure")
    yield Part(title="Training procedure", words="" if rows else "Not recorded.", table=table if rows else None)


def _results(entry: Entry, bundle: Bundle) -> Iterator[Part]:
    notes = Footnotes()
    rows = []
    for suite, names in _SHOWN.items():
        record = entry.records.get(suite)
        if record is None:
            continue
        if record.status is not Status.OK:
            rows.append((text(suite), text("–"), text(f"{record.status.value}: {record.reason}")))
        for name in names:
            metric = record.metrics.get(name)
            rows += [(code(name), text(label or "–"), metric_cell(metric, label, notes)) for label in _labels(metric)]
    device = next((record.key.device for record in entry.records.values() if record.key), "an unknown device")
    source = bundle.run.published.source if bundle.run.published else None
    origin = f"Read in {source}, and not measured by this program." if source else f"Measured on {device}."
    words = f"{origin} {HOW_TO_READ}" if rows else "Nothing was measured."
    table = Table(columns=("metric", "of", "value"), rows=tuple(rows), notes=tuple(notes.texts), caption="Results")
    yield Part(title="Results", words=words, table=table if rows else None)


def _labels(metric: Metric | None) -> list[str | None]:
    """List the labels that name work; [None] for a metric without readings, so that its reason is shown."""
    if metric is None:
        return []
    return [label for label in metric.parts() if label not in NO_WORK] if metric.samples else [None]


def _origin(bundle: Bundle) -> Table:
    environment = bundle.environment
    packages = environment.packages if environment else {}
    system = environment.os if environment else {}
    rows = [
        ("run", bundle.run.id),
        ("measured", bundle.run.started_at),
        ("profile", bundle.run.profile),
        ("command", " ".join(bundle.run.command) or "none: published figures"),
        *((name, packages.get(name) or "unknown") for name in ("tunebench", "mlx", "mlx-lm")),
        ("operating system", " ".join(str(system.get(name) or "unknown") for name in ("system", "release"))),
    ]
    return Table(columns=("fact", "value"), rows=tuple(map(texts, rows)), caption="How this card was made")
