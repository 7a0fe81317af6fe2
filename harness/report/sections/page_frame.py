"""What every kind of report has around its sections: banners, headline, what was not measured. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness import __version__
from harness.analysis.finding import Finding
from harness.analysis.judge import STAND_IN_NOTE
from harness.inputs.cases import SUITES
from harness.report.cells import HOW_TO_READ, Column, code, columns_of, text
from harness.report.page import Provenance, Report, Section, State, Table
from harness.report.sections.verdict_rows import ROWS
from harness.report.shorten import first_rows
from harness.results.library_versions import version_warnings
from harness.results.metrics import DEFINITIONS
from harness.results.records import Bundle, Record, Status, number_in

_MOST_ROWS = 200  # of a table
_MOST_FINDINGS = 50  # of a section
_NOT_REAL = {
    "nano": "STAND-IN WEIGHTS ({}): a shrunk model with random weights was measured. "
    "Its speed, memory, losses and texts say nothing about the real one.",
    "random": "RANDOM WEIGHTS ({}): the model in its full size was measured with random weights. "
    "Speed, memory and parameter counts hold; losses and texts say nothing about the real one.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What a report is made from: runs, and their records by suite, each with the name of its column."""

    bundles: tuple[Bundle, ...]
    columns: dict[str, list[Column]]

    @property
    def records(self) -> list[Record]:
        """All records, in the order of the runs."""
        return [record for bundle in self.bundles for record in bundle.records]


def runs_of(bundles: Sequence[Bundle]) -> Runs:
    """Runs in the order they are to be shown in."""
    return Runs(bundles=tuple(bundles), columns={suite: columns_of(bundles, suite) for suite in SUITES})


def report(
    kind: str,
    runs: Runs,
    sections: Iterable[Section],
    *,
    headline: Iterable[str | None],
    suites: Sequence[str] = SUITES,
) -> Report:
    """Put a frame around sections; those that hold nothing are left out."""
    records = [record for record in runs.records if record.suite in suites]
    ok = sum(record.status is Status.OK for record in records)
    shown = tuple(_limited(section) for section in sections if not section.empty)
    return Report(
        kind=kind,
        title=", ".join(dict.fromkeys(record.case.split("/")[1] for record in records)) or "no models",
        headline=(_ended(runs, ok, len(records)), *(its for its in headline if its)),
        how_to_read=HOW_TO_READ,
        banners=banners(runs.bundles, records),
        sections=shown,
        not_measured=_not_measured(runs.records, suites),
        definitions=_definitions(shown),
        provenance=Provenance(kind=kind, version=__version__),
    )


def _limited(section: Section) -> Section:
    """The section with no table or list longer than a reader goes through; what is left out is said."""
    tables = tuple(_cut(table) for table in section.tables)
    if len(tables) == 1 and not section.figures:
        tables = (replace(tables[0], caption=""),)  # the section's title says it
    more = len(section.findings) - _MOST_FINDINGS
    if more <= 0:
        return replace(section, tables=tables)
    rest = Finding(
        rule="", level="note", subject="", text=f"{more} more of these are left out here; the JSON has the records"
    )
    return replace(section, tables=tables, findings=(*section.findings[:_MOST_FINDINGS], rest))


def _cut(table: Table) -> Table:
    more = len(table.rows) - _MOST_ROWS
    if more <= 0:
        return table
    note = f"{more} more rows are left out here; `tunebench export RUN --format csv` has every reading"
    cut = first_rows(table, _MOST_ROWS)
    return replace(cut, notes=(*cut.notes, note))


def _ended(runs: Runs, ok: int, cases: int) -> str:
    begun = sum(bundle.run.finished_at is None and bundle.run.published is None for bundle in runs.bundles)
    more = "; cases that had not ended are not among them" if begun else ""
    return f"{ok} of {cases} cases ended ok{more}."


def banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> tuple[str, ...]:
    """What limits everything that is said below of these records."""
    said = dict.fromkeys(
        f"Warning: {warning}" for bundle in bundles for warning in bundle.run.warnings if STAND_IN_NOTE not in warning
    )
    return (
        *_whole(bundles, records),
        *substitutes(bundles, records),
        *_differing(records),
        *_how(bundles, records),
        *said,
    )


def substitutes(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """What was measured instead of what a reader may think."""
    for source, words in _NOT_REAL.items():
        models = sorted({its.key.model for its in records if its.key and its.key.weights.source == source})
        if models:
            yield words.format(", ".join(models))
    published = [bundle.run.published.source for bundle in bundles if bundle.run.published is not None]
    if published:
        yield (
            f"PUBLISHED FIGURES ({'; '.join(published)}): read in a report, not measured by this program, and without "
            "the readings behind them. They compare with nothing that was measured here."
        )


def _whole(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """What is missing."""
    skipped = sum(record.status is Status.SKIPPED for record in records)
    failed = sum(record.status not in {Status.OK, Status.SKIPPED} for record in records)
    if failed:
        yield f"FAILURES: {failed} of {len(records)} cases ended without a result."
    if skipped:
        yield f"SKIPPED: {skipped} of {len(records)} cases were not measured."
    if any(bundle.run.finished_at is None and bundle.run.published is None for bundle in bundles):
        yield (
            "RUN INCOMPLETE: a session did not reach its end; the cases it had finished are shown. "
            "pytest suites/ --resume RUN measures the rest."
        )


def _how(bundles: Sequence[Bundle], records: Sequence[Record]) -> Iterator[str]:
    """How it was measured."""
    if any(bundle.run.profile == "smoke" for bundle in bundles):
        yield "SMOKE SIZE: so little work a case that it shows that everything runs, and not much more."
    if any(bundle.environment and bundle.environment.device.get("type") == "cpu" for bundle in bundles):
        yield "CPU BACKEND: these are not the numbers of an Apple or NVIDIA GPU."
    if any(bundle.run.git and bundle.run.git.get("dirty") for bundle in bundles):
        yield "DIRTY GIT TREE: the code that measured is not the commit that is named."
    seeds = {number_in(its.key.settings, "seed") for its in records if its.suite == "training" and its.key}
    if len(seeds - {None}) == 1:
        yield "SINGLE SEED: every training saw the batches in the same order; another seed would give other losses."
    measured = [bundle for bundle in bundles if bundle.run.published is None]
    yield from (f"VERSIONS DIFFER: {warning}." for warning in version_warnings(measured))


_FIELDS: dict[str, Callable[[Record], object]] = {
    "DEVICE": lambda record: record.key and record.key.device,
    "QUANTISATION": lambda record: str(record.key and record.key.quantization),
    "TOKENIZER": lambda record: record.key and record.key.tokenizer,
    "WEIGHTS SOURCE": lambda record: record.key and record.key.weights.source,
}
_MEANS = {
    "DEVICE": "no figure compares between them",
    "QUANTISATION": "no figure compares between them",
    "TOKENIZER": "token rates, losses and perplexity compare only within one; bytes, rows and bits per byte across",
    "WEIGHTS SOURCE": "stand-ins never compare with real weights",
}


def _differing(records: Sequence[Record]) -> list[str]:
    keyed = [record for record in records if record.key is not None]
    return [
        f"DIFFERENT {name}: {_MEANS[name]}."
        for name, value in _FIELDS.items()
        if len({value(record) for record in keyed}) > 1
    ]


def _not_measured(records: Sequence[Record], suites: Sequence[str]) -> tuple[str, ...]:
    """Name every metric of these suites that no record of these runs holds."""
    measured = {name for record in records for name, metric in record.metrics.items() if metric.samples is not None}
    elsewhere = {name for suite in set(SUITES) - set(suites) for name in (*ROWS[suite], *_ALSO.get(suite, ()))}
    here = {name for suite in suites for name in ROWS[suite]}
    return tuple(name for name in DEFINITIONS if name not in measured and (name in here or name not in elsewhere))


_ALSO = {"inference": ("itl_s", "repeat_decode_tokens_per_s")}  # shown in sections of their own


def _definitions(sections: Sequence[Section]) -> Table:
    """What the names on the page mean."""
    cells = (cell for section in sections for table in section.tables for row in table.rows for cell in row)
    heads = (head for section in sections for table in section.tables for head in table.columns)
    used = {its.text.split()[0] for its in cells if its.state is State.CODE and its.text.split()}
    used |= {head.split()[0] for head in heads if head.split()}
    rows = [(code(its.name), text(its.unit), text(its.definition)) for its in DEFINITIONS.values() if its.name in used]
    return Table(columns=("metric", "unit", "definition"), rows=tuple(rows), caption="What the metrics mean")
