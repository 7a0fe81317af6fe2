"""Whether a case keeps to a limit of the policy, with the numbers that say so. Pure.

A limit is kept or broken only by an interval that lies wholly on one side of it: few processes, or a limit within
the interval, leave it open.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.analysis.judge import MIN_PROCESSES
from harness.analysis.report_policy import Limit
from harness.analysis.stats.estimates import median_interval, quantile
from harness.results.metrics import NO_WORK
from harness.results.records import Kind, Metric, Record, Status

_OF_A_PROCESS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": median,
    "p95": lambda readings: quantile(readings, 0.95),
    "highest": max,
    "lowest": min,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model with an adapter, or without: what the suites of one run measured of it."""

    name: str  # MODEL/ADAPTER
    records: Mapping[str, Record]  # by suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An entry against a limit. *value* is None where nothing was measured, *met* where it cannot be told.

    *value* is the median over processes of the limit's statistic in each, *low* and *high* its 95 % interval.
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
    reason: str | None = None  # why there is no value, or no telling; None where there is


def entries(records: Iterable[Record]) -> tuple[Entry, ...]:
    """Join the records of one run by model and adapter, in the order they first appear."""
    joined: dict[str, dict[str, Record]] = {}
    for record in records:
        joined.setdefault(record.case.partition("/")[2], {})[record.suite] = record
    return tuple(Entry(name=name, records=its) for name, its in joined.items())


def measuring(field: Sequence[Entry], metric: str, suite: str | None) -> tuple[str, ...]:
    """The suites in which some entry measured *metric*; of these *suite* alone where one is named."""
    found = dict.fromkeys(its for entry in field for its, record in entry.records.items() if metric in record.metrics)
    return tuple(its for its in found if suite in {None, its})


def looked_up(entry: Entry, metric: str, suites: Sequence[str]) -> tuple[dict[str, Metric], str | None]:
    """What the entry's records of these *suites* hold of *metric*, by suite; and why something is missing, or None."""
    records = {suite: entry.records[suite] for suite in suites if suite in entry.records}
    for suite, record in records.items():
        if record.status is not Status.OK:
            return {}, f"{suite} ended as {record.status.value}: {record.reason}"
        its = record.metrics.get(metric)
        if its is None or its.samples is None:
            return {}, f"{metric} was not measured in {suite}" + (f": {its.reason}" if its else "")
    if not records:
        return {}, f"{metric} was not measured"
    return {suite: record.metrics[metric] for suite, record in records.items()}, None


def weigh(entry: Entry, limit: Limit, suites: Sequence[str]) -> Evidence:
    """Hold an entry against a limit, by whatever speaks most against it: of each suite and label."""
    metrics, missing = looked_up(entry, limit.metric, suites)
    if missing:
        return Evidence(entry=entry.name, limit=limit, reason=missing)
    found = [its for suite, metric in metrics.items() for its in _of_labels(entry, limit, suite, metric)]
    if not found:
        what = f"label {limit.label!r}" if limit.label else "any label of the work"
        return Evidence(entry=entry.name, limit=limit, reason=f"{limit.metric} was not measured of {what}")
    return max(found, key=_against)


def _against(evidence: Evidence) -> tuple[int, float]:
    """What speaks most against an entry comes last: a limit broken, then one left open, then how far the value went."""
    value, limit = evidence.value or 0.0, evidence.limit
    further = value if limit.at_most is not None else -value
    return (True, None, False).index(evidence.met), further


def _of_labels(entry: Entry, limit: Limit, suite: str, metric: Metric) -> Iterator[Evidence]:
    for label, samples in metric.parts().items():
        if label == limit.label if limit.label else label not in NO_WORK:
            values = [_OF_A_PROCESS[limit.statistic](readings) for readings in samples]
            interval = median_interval(values)
            low, high = (interval.low, interval.high) if interval else (None, None)
            if metric.kind is Kind.EXACT:
                low, high = min(values), max(values)
            met = None if low is None or high is None else _met(limit, low, high)
            few = f"n={len(values)}; a verdict needs {MIN_PROCESSES}"
            open_because = few if low is None else "the limit lies within the interval"
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
                reason=open_because if met is None else None,
            )


def _met(limit: Limit, low: float, high: float) -> bool | None:
    """Whether all between *low* and *high* is within the limit: True, or none of it: False; None of neither."""
    most = float("inf") if limit.at_most is None else limit.at_most
    least = float("-inf") if limit.at_least is None else limit.at_least
    if least <= low and high <= most:
        return True
    return False if low > most or high < least else None
