"""A comparison report: stored runs in, finished text out. Pure. A template only places strings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.cases import SUITES
from harness.evenness import latency, steadiness
from harness.facts import configuration, environments, not_ok, notes_of, runs
from harness.markdown import inert
from harness.measured import Judged, answers, judge_suite, memory, metric_section, trajectory
from harness.metrics import DEFINITIONS
from harness.records import Bundle, Record, Status
from harness.tables import Section, Table, columns_of, inert_list
from harness.versions import version_warnings

KIND = "comparison"

_NOT_REAL = {
    "nano": "STAND-IN WEIGHTS ({}): a shrunk model with random weights was measured. "
    "Its speed, memory, losses and texts say nothing about the real one.",
    "random": "RANDOM WEIGHTS ({}): the model in its full size was measured with random weights. "
    "Speed, memory and parameter counts hold; losses and texts say nothing about the real one.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a comparison template is given."""

    title: str
    headline: str
    banners: tuple[str, ...]
    sections: tuple[Section, ...]
    not_measured: tuple[str, ...]
    definitions: Table
    provenance: tuple[str, ...]


def compare(bundles: Sequence[Bundle]) -> Report:
    """Turn one or more runs into a report."""
    records = [record for bundle in bundles for record in bundle.records]
    columns = {suite: columns_of(bundles, suite) for suite in SUITES}
    judged = {suite: judge_suite(suite, columns) for suite in SUITES}
    sections = [
        runs(bundles),
        configuration(columns),
        metric_section(judged["training"]),
        trajectory(columns["training"]),
        metric_section(judged["evaluation"]),
        metric_section(judged["inference"]),
        latency(columns["inference"]),
        steadiness(columns["inference"]),
        memory(columns),
        *answers(columns["evaluation"]),
        not_ok(records),
        notes_of(records),
        environments(bundles),
    ]
    return Report(
        title=", ".join(inert_list(_models(records))) or "no models",
        headline=_headline(records, judged.values()),
        banners=_banners(bundles, records),
        sections=tuple(section for section in sections if section.table.rows),
        not_measured=_not_measured(records),
        definitions=_definitions(records),
        provenance=tuple(f"{inert(bundle.run.id)}, schema {bundle.schema}" for bundle in bundles),
    )


def _models(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(record.case.split("/")[1] for record in records))


def _headline(records: Sequence[Record], suites: Iterable[Judged]) -> str:
    ok = sum(record.status is Status.OK for record in records)
    parts = [f"{ok} of {len(records)} cases ended ok."]
    for judged in suites:
        if len(judged.columns) > 1:
            decided = sum(row.winner is not None for row in judged.rows)
            parts.append(f"{judged.suite.capitalize()}: {decided} of {len(judged.rows)} rows name a winner.")
    return " ".join(parts)


def _banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> tuple[str, ...]:
    banners = []
    for source, words in _NOT_REAL.items():
        models = sorted({its.key.model for its in records if its.key and its.key.weights.source == source})
        if models:
            banners.append(words.format(", ".join(inert_list(models))))
    if any(bundle.run.profile == "smoke" for bundle in bundles):
        banners.append("SMOKE SIZE: enough work to see that everything runs; too little for a verdict.")
    if any(bundle.environment and bundle.environment.device.get("type") == "cpu" for bundle in bundles):
        banners.append("CPU BACKEND: these are not the numbers of an Apple or NVIDIA GPU.")
    skipped = sum(record.status is Status.SKIPPED for record in records)
    failed = sum(record.status not in {Status.OK, Status.SKIPPED} for record in records)
    if failed:
        banners.append(f"FAILURES: {failed} of {len(records)} cases ended without a result; they are listed below.")
    if skipped:
        banners.append(f"SKIPPED: {skipped} of {len(records)} cases were not measured; they are listed below.")
    if any(bundle.run.finished_at is None for bundle in bundles):
        banners.append(
            "RUN INCOMPLETE: a session did not reach its end; the cases it had finished are shown. "
            "pytest suites/ --resume RUN measures the rest."
        )
    if any(bundle.run.git and bundle.run.git.get("dirty") for bundle in bundles):
        banners.append("DIRTY GIT TREE: the code that measured is not the commit that is named.")
    banners += [f"VERSIONS DIFFER: {inert(warning)}." for warning in version_warnings(bundles)]
    warnings = dict.fromkeys(warning for bundle in bundles for warning in bundle.run.warnings)
    return (*banners, *(f"Warning: {inert(warning)}" for warning in warnings))


def _not_measured(records: Sequence[Record]) -> tuple[str, ...]:
    """Name every metric of the registry that no record of these runs holds."""
    measured = {name for record in records for name, metric in record.metrics.items() if metric.samples is not None}
    return tuple(name for name in DEFINITIONS if name not in measured)


def _definitions(records: Sequence[Record]) -> Table:
    used = {name for record in records for name in record.metrics}
    rows = [(f"`{its.name}`", its.unit, its.definition) for its in DEFINITIONS.values() if its.name in used]
    return Table(columns=("metric", "unit", "definition"), rows=tuple(rows))
