"""Cost of 1,000 output tokens and of a training run, in seconds and metered joules, as ratios to the lowest.

Only measured figures are used. FLOP are not estimated: the formula (`costs`) needs the shape of a model, which records
do not hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from harness.analysis.judge import Contender, Verdict, judge, rank
from harness.analysis.labels import over_labels
from harness.analysis.limits import Entry
from harness.analysis.stats.estimates import Interval, process_values
from harness.results.records import Metric, Record, Status, number_in

_TOKENS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Cost of one entry, in the unit of the `Cost`. *ratio* is to the lowest cost of the comparable entries.

    *ratio* is None for the lowest itself, and if there is no ratio: then *reason* says why.
    """

    entry: str
    value: float  # median of the processes
    processes: int
    cheapest: bool
    ratio: Interval | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One kind of cost: its name, its definition, and the figure of each entry."""

    name: str
    unit: str
    definition: str
    shares: tuple[Share, ...]


def relative_costs(entries: Sequence[Entry]) -> tuple[Cost, ...]:
    """Return every kind of cost that was measured for any entry of one run."""
    meters = dict.fromkeys(
        label
        for entry in entries
        if (metric := _metric(entry, "inference", "energy_j_per_token"))
        for label in metric.parts()
    )
    costs = [
        _cost(
            entries,
            "inference",
            name="seconds per 1,000 output tokens",
            unit="s",
            definition="response_s over the tokens of an answer, reading the prompt included; "
            "geometric mean of the scenarios",
            metric_of=_output_s,
        ),
        *(
            _cost(
                entries,
                "inference",
                name=" ".join(filter(None, ("joules per 1,000 output tokens", label))),
                unit="J",
                definition="energy_j_per_token of the metered part",
                metric_of=partial(_energy_j, label=label),
            )
            for label in meters
        ),
        _cost(
            entries,
            "training",
            name="seconds per training run",
            unit="s",
            definition="train_wall_s: steps, batches, validation and saving",
            metric_of=lambda record: record.metrics.get("train_wall_s"),
        ),
    ]
    return tuple(cost for cost in costs if cost.shares)


def _metric(entry: Entry, suite: str, name: str) -> Metric | None:
    record = entry.records.get(suite)
    return record.metrics.get(name) if record is not None and record.status is Status.OK else None


def _output_s(record: Record) -> Metric | None:
    """Return the seconds of 1,000 output tokens; the unit lets the judge know that tokens are counted."""
    metric, tokens = record.metrics.get("response_s"), number_in(record.key and record.key.settings, "output_tokens")
    mean = over_labels(metric, metric.parts()) if metric and metric.samples else None
    return _multiply(mean, _TOKENS / tokens, "s/1,000 token") if mean and tokens else None


def _energy_j(record: Record, *, label: str | None) -> Metric | None:
    metric = record.metrics.get("energy_j_per_token")
    samples = metric.parts().get(label) if metric else None
    return None if not metric or not samples else _multiply(replace(metric, samples=samples, labels=None), _TOKENS)


def _multiply(metric: Metric, factor: float, unit: str | None = None) -> Metric:
    samples = tuple(tuple(factor * value for value in process) for process in metric.samples or ())
    return replace(metric, samples=samples, unit=unit or metric.unit)


def _cost(
    entries: Sequence[Entry],
    suite: str,
    *,
    name: str,
    unit: str,
    definition: str,
    metric_of: Callable[[Record], Metric | None],
) -> Cost:
    contenders = [
        Contender(name=entry.name, key=record.key, metric=metric)
        for entry in entries
        if (record := entry.records.get(suite)) is not None
        and record.status is Status.OK
        and (metric := metric_of(record)) is not None
        and metric.samples is not None
    ]
    shares = {share.entry: share for share in _shares(contenders)}
    return Cost(
        name=name, unit=unit, definition=definition, shares=tuple(shares[contender.name] for contender in contenders)
    )


def _shares(contenders: Sequence[Contender]) -> list[Share]:
    by_name = {contender.name: contender for contender in contenders}
    shares = []
    for ranking in rank(contenders):
        for name in ranking.members:
            metric = by_name[name].metric
            ratio: Interval | None = None
            reason: str | None = ranking.reason
            cheapest = ranking.best == name and ranking.verdict is not Verdict.NOT_JUDGED
            if cheapest:
                reason = None
            elif ranking.best not in {None, name}:
                judgement = judge(by_name[ranking.best or name].metric, metric)
                ratio, reason = judgement.ratio, None if judgement.ratio else judgement.reason
            values = process_values(metric.samples or ())
            share = Share(
                entry=name,
                value=median(values),
                processes=len(values),
                cheapest=cheapest,
                ratio=ratio,
                reason=reason,
            )
            shares.append(share)
    return shares
