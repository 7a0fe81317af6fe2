"""Base against tuned: what an adapter changed in its model, and what that costs. Pure; it asks `judge`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.judge import Design, Judgement, Verdict, judge, obstacles, why_not
from harness.analysis.labels import over_labels
from harness.analysis.stats.estimates import process_values
from harness.report.cells import Column, Footnotes, change_cell, code, judgement_cell, metric_cell, none
from harness.report.page import Cell, Report, Section, Table
from harness.report.sections import outputs, page_frame, run_facts
from harness.report.sections.disturbances import trust
from harness.report.sections.verdict_rows import MEAN, arrow
from harness.results.metrics import DEFINITIONS, NO_WORK
from harness.results.records import Better, Bundle, Metric, Status

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
_TIME = "ttft_s"  # a metric that asks for no more than equal conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A tuned case and the base it was measured beside."""

    base: Column
    tuned: Column

    @property
    def name(self) -> str:
        """How the pair is called."""
        return f"{self.tuned.name} against {self.base.variant}"


def tuned(bundles: Sequence[Bundle]) -> Report:
    """Turn one or more runs into a report of what each adapter changed."""
    runs = page_frame.runs_of(bundles)
    by_suite = {suite: list(_pairs(runs.columns[suite])) for suite in _SUITES}
    every = list(dict.fromkeys(pair.name for pairs in by_suite.values() for pair in pairs))
    names = every[:_MOST_PAIRS]
    changes = [
        _changes(number, name, [pair for suite in _SUITES for pair in by_suite[suite] if pair.name == name])
        for number, name in enumerate(names, start=1)
    ]
    records = [column.record for suite in _SUITES for column in runs.columns[suite]]
    sections = [
        run_facts.runs(bundles),
        run_facts.not_ok(records),
        run_facts.contradictions(bundles),
        trust(bundles, _SUITES),
        *changes,
        outputs.answers(runs.columns["evaluation"]),
        run_facts.configuration({suite: runs.columns[suite] for suite in _SUITES}),
        run_facts.environments(bundles),
    ]
    without = {column.name for suite in _SUITES for column in runs.columns[suite] if not column.is_base} - {
        pair.tuned.name for pairs in by_suite.values() for pair in pairs
    }
    plural = "" if len(every) == 1 else "s"
    lines = [f"{len(every)} pair{plural} of a base and its tuned model, measured alike."]
    lines += (
        [f"The first {_MOST_PAIRS} are told here; the others are in the comparison."] if len(every) > len(names) else []
    )
    lines += [f"Without a base measured under the same conditions: {', '.join(sorted(without))}."] if without else []
    return page_frame.report(
        KIND, runs, sections, headline=[*lines, *list(_decided(changes))[:_MOST_SENTENCES]], suites=_SUITES
    )


def _pairs(columns: Sequence[Column]) -> Iterator[Pair]:
    """Each tuned case with the base of its run and model that was measured under the same conditions."""
    for column in columns:
        if not column.is_base and column.record.metrics:
            base = next((its for its in columns if its.is_base and _belongs(its, column)), None)
            if base is not None:
                yield Pair(base=base, tuned=column)


def _belongs(base: Column, column: Column) -> bool:
    if base.model != column.model or base.run != column.run or not base.record.metrics:
        return False
    metric = Metric(unit="s", better=Better.LOWER, kind=DEFINITIONS[_TIME].kind, samples=((1.0,),))
    return not obstacles(base.record.key, column.record.key, metric)


def _changes(number: int, name: str, pairs: Sequence[Pair]) -> Section:
    """What the adapter changed, by metric."""
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
        base, tuned_metric = (its.record.metrics.get(name) for its in (pair.base, pair.tuned))
        if base is None and tuned_metric is None:
            continue
        labels = dict.fromkeys(label for its in (base, tuned_metric) if its for label in its.parts()) or {None: None}
        if len(labels) > 1 and name != "peak_active_bytes":  # scenario by scenario is the inference report's
            means = over_labels(base, labels), over_labels(tuned_metric, labels)
            yield _row(pair, name, MEAN, None, means, notes)
            continue
        for label in labels:
            if label not in NO_WORK:
                yield _row(pair, name, label, label, (base, tuned_metric), notes)


def _row(
    pair: Pair,
    name: str,
    title: str | None,
    label: str | None,
    metrics: tuple[Metric | None, Metric | None],
    notes: Footnotes,
) -> tuple[Cell, ...]:
    base, its = metrics
    no_mean = none() if title == MEAN else None  # of a reading of 0, or without one of the scenarios
    cells = (no_mean if metric is None and no_mean else metric_cell(metric, label, notes) for metric in metrics)
    a, b = (process_values(metric.parts().get(label, ())) if metric else [] for metric in metrics)
    change = change_cell(a, b, design=Design.INDEPENDENT)
    head = code(" ".join(filter(None, (name, title, arrow(name)))))
    return (head, *cells, change, judgement_cell(_judgement(pair, base, its, label), pair.tuned.name, notes))


def _judgement(pair: Pair, base: Metric | None, its: Metric | None, label: str | None) -> Judgement:
    ended = [
        f"{column.name} ended {column.record.status.value}"
        for column in (pair.base, pair.tuned)
        if column.record.status is not Status.OK
    ]
    if pair.tuned.published:
        return Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason="read in a report: not judged")
    if base is None or its is None or ended:
        reason = "; ".join(ended) or "not measured on both sides"
        return Judgement(verdict=Verdict.NOT_JUDGED, ratio=None, reason=reason)
    differing = obstacles(pair.base.record.key, pair.tuned.record.key, base)
    if differing:
        return Judgement(verdict=Verdict.NOT_COMPARABLE, ratio=None, reason=why_not(differing))
    return judge(base, its, label=label)


def _decided(sections: Sequence[Section]) -> Iterator[str]:
    """Count each pair's verdicts."""
    for section in sections:
        verdicts = [row[-1].verdict for table in section.tables for row in table.rows]
        counts = [f"{verdict} in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts) if verdict]
        yield f"{section.title}: {', '.join(counts)} of {len(verdicts)} rows."
