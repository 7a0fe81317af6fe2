"""Assemble a report from its sections: headline, banners, definitions and the metrics that were not measured."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness import __version__
from harness.analysis.finding import Finding, Level
from harness.analysis.judge import STAND_IN_NOTE
from harness.inputs.cases import SUITES
from harness.report.cells import HOW_TO_READ, Column, code, columns_of, text
from harness.report.page import Provenance, Report, Section, State, Table
from harness.report.sections.verdict_rows import ROWS
from harness.report.shorten_for_github import first_rows
from harness.results.library_versions import version_warnings
from harness.results.metrics import DEFINITIONS
from harness.results.records import Bundle, Record, Status, number_in

_MOST_ROWS = 200  # of a table
_MOST_FINDINGS = 50  # of a section
_STAND_IN_WARNINGS = {
    "nano": "STAND-IN WEIGHTS ({}): a shrunk model with random weights was measured. "
    "Its speed, memory, losses and texts say nothing about the real one.",
    "random": "RANDOM WEIGHTS ({}): the model in its full size was measured with random weights. "
    "Speed, memory and parameter counts hold; losses and texts say nothing about the real one.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs that a report is made from, and their columns by suite."""

    bundles: tuple[Bundle, ...]
    columns: dict[str, list[Column]]

    @property
    def records(self) -> list[Record]:
        """All records of all suites, in the order of the runs."""
        return [record for bundle in self.bundles for record in bundle.records]


def runs_of(bundles: Sequence[Bundle]) -> Runs:
    """Collect runs, in the order in which the report shows them."""
    return Runs(bundles=tuple(bundles), columns={suite: columns_of(bundles, suite) for suite in SUITES})


def assemble(
    kind: str,
    runs: Runs,
    sections: Iterable[Section],
    *,
    headline: Iterable[str | None],
    suites: Sequence[str] = SUITES,
) -> Report:
    """Assemble a report from *sections*, without those that are empty. Counts and banners are about *suites* alone."""
    records = [record for record in runs.records if record.suite in suites]
    ok = sum(record.status is Status.OK for record in records)
    limited = tuple(_limited(section) for section in sections if not section.empty)
    return Report(
        kind=kind,
        title=", ".join(dict.fromkeys(record.case_id.model for record in records)) or "no models",
        headline=(_ended_in_words(runs, ok, len(records)), *(line for line in headline if line)),
        how_to_read=HOW_TO_READ,
        banners=banners(runs.bundles, records),
        sections=limited,
        not_measured=_not_measured(runs.records, suites),
        definitions=_definitions(limited),
        provenance=Provenance(kind=kind, version=__version__),
    )


def _limited(section: Section) -> Section:
    """Limit the tables and findings of a section to as many as a reader goes through, and count those left out."""
    tables = tuple(_limited_table(table) for table in section.tables)
    if len(tables) == 1 and not section.figures:
        tables = (replace(tables[0], caption=""),)  # the section's title is enough
    left_out = len(section.findings) - _MOST_FINDINGS
    if left_out <= 0:
        return replace(section, tables=tables)
    note = f"{left_out} more of these are left out here; the JSON has the records"
    finding = Finding(rule="", level=Level.NOTE, subject="", text=note)
    return replace(section, tables=tables, findings=(*section.findings[:_MOST_FINDINGS], finding))


def _limited_table(table: Table) -> Table:
    left_out = len(table.rows) - _MOST_ROWS
    if left_out <= 0:
        return table
    note = f"{left_out} more rows are left out here; `tunebench export RUN --format csv` has every reading"
    limited = first_rows(table, _MOST_ROWS)
    return replace(limited, notes=(*limited.notes, note))


def _ended_in_words(runs: Runs, ok: int, cases: int) -> str:
    unfinished = any(_is_unfinished(bundle) for bundle in runs.bundles)
    remark = "; cases that had not ended are not among them" if unfinished else ""
    return f"{ok} of {cases} cases ended ok{remark}."


def _is_unfinished(bundle: Bundle) -> bool:
    return bundle.run.finished_at is None and bundle.run.published is None


def banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> tuple[str, ...]:
    """List the warnings that limit every statement in the report: failures, stand-ins, differences, circumstances."""
    warnings = dict.fromkeys(
        f"Warning: {warning}" for bundle in bundles for warning in bundle.run.warnings if STAND_IN_NOTE not in warning
    )
    return (
        *_missing_result_banners(bundles, records),
        *stand_in_banners(bundles, records),
        *_difference_banners(records),
        *_circumstance_banners(bundles, records),
        *warnings,
    )


def stand_in_banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """Warn of weights that stand in for the real ones, and of figures that a published report printed."""
    for source, words in _STAND_IN_WARNINGS.items():
        keys = [record.key for record in records if record.key]
        models = sorted({key.model for key in keys if key.weights.source == source})
        if models:
            yield words.format(", ".join(models))
    published = [bundle.run.published.source for bundle in bundles if bundle.run.published is not None]
    if published:
        yield (
            f"PUBLISHED FIGURES ({'; '.join(published)}): read in a report, not measured by this program, and without "
            "the readings behind them. They compare with nothing that was measured here."
        )


def _missing_result_banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """Warn of failed, skipped and unfinished cases."""
    skipped = sum(record.status is Status.SKIPPED for record in records)
    failed = sum(record.status not in {Status.OK, Status.SKIPPED} for record in records)
    if failed:
        yield f"FAILURES: {failed} of {len(records)} cases ended without a result."
    if skipped:
        yield f"SKIPPED: {skipped} of {len(records)} cases were not measured."
    if any(_is_unfinished(bundle) for bundle in bundles):
        yield (
            "RUN INCOMPLETE: a session did not reach its end; the cases it had finished are shown. "
            "pytest suites/ --resume RUN measures the rest."
        )


def _circumstance_banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """Warn of circumstances that limit the results: small size, CPU, uncommitted code, one seed, other versions."""
    if any(bundle.run.profile == "smoke" for bundle in bundles):
        yield "SMOKE SIZE: so little work a case that it shows that everything runs, and not much more."
    if any(bundle.environment and bundle.environment.device.get("type") == "cpu" for bundle in bundles):
        yield "CPU BACKEND: these are not the numbers of an Apple or NVIDIA GPU."
    if any(bundle.run.git and bundle.run.git.get("dirty") for bundle in bundles):
        yield "DIRTY GIT TREE: the code that measured is not the commit that is named."
    trainings = [record for record in records if record.suite == "training"]
    seeds = {number_in(record.key.settings, "seed") for record in trainings if record.key}
    if len(seeds - {None}) == 1:
        yield "SINGLE SEED: every training saw the batches in the same order; another seed would give other losses."
    measured = [bundle for bundle in bundles if bundle.run.published is None]
    yield from (f"VERSIONS DIFFER: {warning}." for warning in version_warnings(measured))


_COMPARED_FIELDS: dict[str, Callable[[Record], object]] = {
    "DEVICE": lambda record: record.key and record.key.device,
    "QUANTISATION": lambda record: str(record.key and record.key.quantization),
    "TOKENIZER": lambda record: record.key and record.key.tokenizer,
    "WEIGHTS SOURCE": lambda record: record.key and record.key.weights.source,
}
_CONSEQUENCES = {
    "DEVICE": "no figure compares between them",
    "QUANTISATION": "no figure compares between them",
    "TOKENIZER": "token rates, losses and perplexity compare only within one; bytes, rows and bits per byte across",
    "WEIGHTS SOURCE": "stand-ins never compare with real weights",
}


def _difference_banners(records: Sequence[Record]) -> list[str]:
    """Warn of fields that differ between cases so that some figures do not compare."""
    keyed = [record for record in records if record.key is not None]
    return [
        f"DIFFERENT {name}: {_CONSEQUENCES[name]}."
        for name, field in _COMPARED_FIELDS.items()
        if len({field(record) for record in keyed}) > 1
    ]


def _not_measured(records: Sequence[Record], suites: Sequence[str]) -> tuple[str, ...]:
    """Name every metric of these suites that no record holds."""
    measured = {name for record in records for name, metric in record.metrics.items() if metric.samples is not None}
    other_suites = set(SUITES) - set(suites)
    of_others = {name for suite in other_suites for name in (*ROWS[suite], *_OTHER_METRICS.get(suite, ()))}
    of_these = {name for suite in suites for name in ROWS[suite]}
    return tuple(name for name in DEFINITIONS if name not in measured and (name in of_these or name not in of_others))


_OTHER_METRICS = {"inference": ("itl_s", "repeat_decode_tokens_per_s")}  # shown in sections of their own


def _definitions(sections: Sequence[Section]) -> Table:
    """Table of the definitions of all metrics that the sections name."""
    cells = (cell for section in sections for table in section.tables for row in table.rows for cell in row)
    heads = (head for section in sections for table in section.tables for head in table.columns)
    used = {cell.text.split()[0] for cell in cells if cell.state is State.CODE and cell.text.split()}
    used |= {head.split()[0] for head in heads if head.split()}
    rows = [
        (code(metric.name), text(metric.unit), text(metric.definition))
        for metric in DEFINITIONS.values()
        if metric.name in used
    ]
    return Table(columns=("metric", "unit", "definition"), rows=tuple(rows), caption="What the metrics mean")
