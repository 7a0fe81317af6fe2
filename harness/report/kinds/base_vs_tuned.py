"""Base-vs-tuned report: how an adapter changed the quality and speed of its model, as `judge` decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.judge import Design, Judgement, Verdict, judge, obstacles, why_not
from harness.analysis.labels import over_labels
from harness.analysis.stats.estimates import process_values
from harness.report.cells import Column, Footnotes, change_cell, code, judgement_cell, metric_cell, none
from harness.report.page import Cell, Report, Section, Table
from harness.report.sections import assemble_report, case_details, run_description
from harness.report.sections.disturbances import timings_to_distrust
from harness.report.sections.verdict_rows import MEAN, arrow
from harness.results.metrics import DEFINITIONS, NO_WORK
from harness.results.records import Better, Bundle, Metric, Status
from harness.units import count_of

KIND = "base-vs-tuned"
_MOST_PAIRS, _MOST_SENTENCES = 20, 6
_SUITES = ("evaluation", "inference")
_METRICS = {
    "evaluation": (
        "test_loss",
        "test_perplexity",
        "bits_per_byte",
        "eos_rate",
        "leak_rate",
        "copied_share",
        "response_words",
    ),
    "inference": ("ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "response_s", "peak_active_bytes"),
}
_TIME = "ttft_s"  # comparable wherever the conditions are equal, unlike losses or token rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A tuned case, and the base case measured under the same conditions in the same run."""

    base: Column
    tuned: Column

    @property
    def name(self) -> str:
        """Title of the pair, such as "tiny/r8 against base"."""
        return f"{self.tuned.name} against {self.base.variant}"


def tuned(bundles: Sequence[Bundle]) -> Report:
    """Build the report of what each adapter changed, from one or more runs."""
    runs = assemble_report.runs_of(bundles)
    by_suite = {suite: list(_pairs(runs.columns[suite])) for suite in _SUITES}
    all_names = list(dict.fromkeys(pair.name for pairs in by_suite.values() for pair in pairs))
    names = all_names[:_MOST_PAIRS]
    changes = [
        _changes(number, name, [pair for suite in _SUITES for pair in by_suite[suite] if pair.name == name])
        for number, name in enumerate(names, start=1)
    ]
    records = [column.record for suite in _SUITES for column in runs.columns[suite]]
    sections = [
        run_description.runs(bundles),
        run_description.not_ok(records),
        run_description.contradictions(bundles),
        timings_to_distrust(bundles, _SUITES),
        *changes,
        case_details.answers(runs.columns["evaluation"]),
        run_description.configuration({suite: runs.columns[suite] for suite in _SUITES}),
        run_description.environments(bundles),
    ]
    tuned_names = {column.name for suite in _SUITES for column in runs.columns[suite] if not column.is_base}
    unpaired = tuned_names - {pair.tuned.name for pairs in by_suite.values() for pair in pairs}
    lines = [f"{count_of(len(all_names), 'pair')} of a base and its tuned model, measured alike."]
    if len(all_names) > len(names):
        lines.append(f"The first {_MOST_PAIRS} are told here; the others are in the comparison.")
    if unpaired:
        lines.append(f"Without a base measured under the same conditions: {', '.join(sorted(unpaired))}.")
    lines += list(_verdict_counts(changes))[:_MOST_SENTENCES]
    return assemble_report.assemble(KIND, runs, sections, headline=lines, suites=_SUITES)


def _pairs(columns: Sequence[Column]) -> Iterator[Pair]:
    """Pair each tuned case with the base of the same run and model that was measured under the same conditions."""
    for column in columns:
        if not column.is_base and column.record.metrics:
            base = next((base for base in columns if base.is_base and _is_base_of(base, column)), None)
            if base is not None:
                yield Pair(base=base, tuned=column)


def _is_base_of(base: Column, column: Column) -> bool:
    if base.model != column.model or base.run != column.run or not base.record.metrics:
        return False
    metric = Metric(unit="s", better=Better.LOWER, kind=DEFINITIONS[_TIME].kind, samples=((1.0,),))
    return not obstacles(base.record.key, column.record.key, metric)


def _changes(number: int, name: str, pairs: Sequence[Pair]) -> Section:
    """Section with the change of each metric from base to tuned, in a pair of each suite."""
    notes = Footnotes()
    rows = [row for pair in pairs for row in _rows(pair, notes)]
    heads = ("metric", "base", "tuned", "change against base", "verdict on tuned")
    table = Table(columns=heads, rows=tuple(rows), notes=tuple(notes.texts), caption=f"Changes: {name}")
    return Section(
        name=f"pair-{number}",
        title=name,
        text="The change is tuned over base, less 1. A shorter answer takes less time without being "
        "faster: response_s is to be read beside response_words, speed in decode_tokens_per_s.",
        tables=(table,),
    )


def _rows(pair: Pair, notes: Footnotes) -> Iterator[tuple[Cell, ...]]:
    for name in _METRICS[pair.tuned.record.suite]:
        base, tuned = (column.record.metrics.get(name) for column in (pair.base, pair.tuned))
        if base is None and tuned is None:
            continue
        labels = dict.fromkeys(label for metric in (base, tuned) if metric for label in metric.parts()) or {None: None}
        if len(labels) > 1 and name != "peak_active_bytes":  # the inference report has each scenario
            means = over_labels(base, labels), over_labels(tuned, labels)
            yield _row(pair, name, MEAN, None, means, notes)
            continue
        for label in labels:
            if label not in NO_WORK:
                yield _row(pair, name, label, label, (base, tuned), notes)


def _row(
    pair: Pair,
    name: str,
    title: str | None,
    label: str | None,
    metrics: tuple[Metric | None, Metric | None],
    notes: Footnotes,
) -> tuple[Cell, ...]:
    no_mean = none() if title == MEAN else None  # a reading is 0, or a scenario was not measured
    cells = (no_mean if metric is None and no_mean else metric_cell(metric, label, notes) for metric in metrics)
    base_values, tuned_values = (process_values(metric.parts().get(label, ())) if metric else [] for metric in metrics)
    change = change_cell(base_values, tuned_values, design=Design.INDEPENDENT)
    head = code(" ".join(filter(None, (name, title, arrow(name)))))
    return (head, *cells, change, judgement_cell(_judgement(pair, *metrics, label), pair.tuned.name, notes))


def _judgement(pair: Pair, base: Metric | None, tuned: Metric | None, label: str | None) -> Judgement:
    failures = [
        f"{column.name} ended {column.record.status.value}"
        for column in (pair.base, pair.tuned)
        if column.record.status is not Status.OK
    ]
    if pair.tuned.published:
        return Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason="read in a report: not judged")
    if base is None or tuned is None or failures:
        reason = "; ".join(failures) or "not measured on both sides"
        return Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason=reason)
    differing = obstacles(pair.base.record.key, pair.tuned.record.key, base)
    if differing:
        return Judgement(verdict=Verdict.NOT_COMPARABLE, ratio=None, reason=why_not(differing))
    return judge(base, tuned, label=label)


def _verdict_counts(sections: Sequence[Section]) -> Iterator[str]:
    """Count the verdicts of each pair in a sentence."""
    for section in sections:
        verdicts = [row[-1].verdict for table in section.tables for row in table.rows]
        counts = [f"{verdict} in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts) if verdict]
        yield f"{section.title}: {', '.join(counts)} of {len(verdicts)} rows."
