"""Limits of a report policy: decide whether a case is within a limit, with the numbers as evidence.

A limit is met or broken only if the whole interval lies on one side of it. With too few processes, or with the limit
inside the interval, the answer is undecided.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.analysis.judge import MIN_PROCESSES
from harness.analysis.report_policy import Limit
from harness.analysis.stats.estimates import median_interval, quantile
from harness.results.case_id import CaseId
from harness.results.metrics import NO_WORK
from harness.results.records import Kind, Metric, Record, Status

_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": median,
    "p95": lambda readings: quantile(readings, 0.95),
    "highest": max,
    "lowest": min,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model, with or without an adapter, and its records of one run."""

    name: str  # MODEL/ADAPTER
    records: Mapping[str, Record]  # by suite; one or more

    @property
    def case_id(self) -> CaseId:
        """Id of one of the cases: all have the same model and variant."""
        return next(iter(self.records.values())).case_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An entry compared with a limit. *value* is None if nothing was measured, *met* is None if undecided.

    *value* is the median over processes of the limit's statistic in each process; *low* to *high* is its 95 % interval.
    """

    entry: str
    limit: Limit
    suite: str | None = None
    label: str | None = None
    unit: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    processes: int = 0
    met: bool | None = None
    reason: str | None = None  # why there is no value or no decision; None if there are both


def entries(records: Iterable[Record]) -> tuple[Entry, ...]:
    """Join the records of one run by model and adapter, in the order they first appear."""
    joined: dict[str, dict[str, Record]] = {}
    for record in records:
        joined.setdefault(record.case_id.configuration, {})[record.suite] = record
    return tuple(Entry(name=name, records=by_suite) for name, by_suite in joined.items())


def suites_measuring(metric: str, all_entries: Sequence[Entry], suite: str | None) -> tuple[str, ...]:
    """Return the suites in which any entry measured *metric*, restricted to *suite* if given."""
    suites = dict.fromkeys(
        name for entry in all_entries for name, record in entry.records.items() if metric in record.metrics
    )
    return tuple(name for name in suites if suite in {None, name})


def find_metric(entry: Entry, metric: str, suites: Sequence[str]) -> tuple[dict[str, Metric], str | None]:
    """Return the metric by suite, and None; or nothing, and the reason why it is missing."""
    records = {suite: entry.records[suite] for suite in suites if suite in entry.records}
    for suite, record in records.items():
        if record.status is not Status.OK:
            return {}, f"{suite} ended as {record.status.value}: {record.reason}"
        measured = record.metrics.get(metric)
        if measured is None or measured.samples is None:
            return {}, f"{metric} was not measured in {suite}" + (f": {measured.reason}" if measured else "")
    if not records:
        return {}, f"{metric} was not measured"
    return {suite: record.metrics[metric] for suite, record in records.items()}, None


def check_limit(entry: Entry, limit: Limit, suites: Sequence[str]) -> Evidence:
    """Compare an entry with a limit; of all suites and labels, return the evidence that is worst for the entry."""
    metrics, missing = find_metric(entry, limit.metric, suites)
    if missing:
        return Evidence(entry=entry.name, limit=limit, reason=missing)
    evidence = [
        of_label for suite, metric in metrics.items() for of_label in _evidence_by_label(entry, limit, suite, metric)
    ]
    if not evidence:
        label = f"label {limit.label!r}" if limit.label else "any label of the work"
        return Evidence(entry=entry.name, limit=limit, reason=f"{limit.metric} was not measured of {label}")
    return max(evidence, key=_badness)


def _badness(evidence: Evidence) -> tuple[int, float]:
    """Sort key, worst last: within the limit, undecided, broken; then by the value in the direction of the limit."""
    value, limit = evidence.value or 0.0, evidence.limit
    distance = value if limit.at_most is not None else -value
    return (True, None, False).index(evidence.met), distance


def _evidence_by_label(entry: Entry, limit: Limit, suite: str, metric: Metric) -> Iterator[Evidence]:
    for label, samples in metric.parts().items():
        if label == limit.label if limit.label else label not in NO_WORK:
            values = [_STATISTICS[limit.statistic](readings) for readings in samples]
            interval = median_interval(values)
            low, high = (interval.low, interval.high) if interval else (None, None)
            if metric.kind is Kind.EXACT:
                low, high = min(values), max(values)
            met = None if low is None or high is None else _is_met(limit, low, high)
            too_few = f"n={len(values)}; a verdict needs {MIN_PROCESSES}"
            undecided_reason = too_few if low is None else "the limit lies within the interval"
            yield Evidence(
                entry=entry.name,
                limit=limit,
                suite=suite,
                label=label,
                unit=metric.unit,
                value=median(values),
                low=low,
                high=high,
                processes=len(values),
                met=met,
                reason=undecided_reason if met is None else None,
            )


def _is_met(limit: Limit, low: float, high: float) -> bool | None:
    """Return True if the interval from *low* to *high* is within the limit, False if it is outside, else None."""
    upper = float("inf") if limit.at_most is None else limit.at_most
    lower = float("-inf") if limit.at_least is None else limit.at_least
    if lower <= low and high <= upper:
        return True
    return False if low > upper or high < lower else None
