"""What 1,000 output tokens and a training run take, in seconds and where metered in joules, against the least. Pure.

Measured figures alone. An estimate by FLOP is not made: the formula (`costs`) needs a model's shape, and records hold
none.
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
    """One entry's figure, in the unit of its cost. *ratio* is to the least of those it compares with.

    *ratio* is None for the least itself, and where there is none: *reason* says why.
    """

    entry: str
    value: float  # median of the processes
    processes: int
    least: bool
    ratio: Interval | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One way of counting: *what* is counted, how, and what each entry took."""

    what: str
    unit: str
    how: str
    shares: tuple[Share, ...]


def relative_costs(field: Sequence[Entry]) -> tuple[Cost, ...]:
    """Every cost that was measured of some entry of one run."""
    meters = dict.fromkeys(
        label
        for entry in field
        if (metric := _metric(entry, "inference", "energy_j_per_token"))
        for label in metric.parts()
    )
    costs = [
        _cost(
            field,
            "inference",
            what="seconds per 1,000 output tokens",
            unit="s",
            how="response_s over the tokens of an answer, reading the prompt included; geometric mean of the scenarios",
            of=_output_s,
        ),
        *(
            _cost(
                field,
                "inference",
                what=" ".join(filter(None, ("joules per 1,000 output tokens", label))),
                unit="J",
                how="energy_j_per_token of the metered part",
                of=partial(_energy_j, label=label),
            )
            for label in meters
        ),
        _cost(
            field,
            "training",
            what="seconds per training run",
            unit="s",
            how="train_wall_s: steps, batches, validation and saving",
            of=lambda record: record.metrics.get("train_wall_s"),
        ),
    ]
    return tuple(cost for cost in costs if cost.shares)


def _metric(entry: Entry, suite: str, name: str) -> Metric | None:
    record = entry.records.get(suite)
    return record.metrics.get(name) if record is not None and record.status is Status.OK else None


def _output_s(record: Record) -> Metric | None:
    """Seconds of 1,000 output tokens; the unit tells the judge that tokens are counted."""
    metric, tokens = record.metrics.get("response_s"), number_in(record.key and record.key.settings, "output_tokens")
    mean = over_labels(metric, metric.parts()) if metric and metric.samples else None
    return _times(mean, _TOKENS / tokens, "s/1,000 token") if mean and tokens else None


def _energy_j(record: Record, *, label: str | None) -> Metric | None:
    metric = record.metrics.get("energy_j_per_token")
    samples = metric.parts().get(label) if metric else None
    return None if not metric or not samples else _times(replace(metric, samples=samples, labels=None), _TOKENS)


def _times(metric: Metric, factor: float, unit: str | None = None) -> Metric:
    samples = tuple(tuple(factor * value for value in process) for process in metric.samples or ())
    return replace(metric, samples=samples, unit=unit or metric.unit)


def _cost(
    field: Sequence[Entry], suite: str, *, what: str, unit: str, how: str, of: Callable[[Record], Metric | None]
) -> Cost:
    contenders = [
        Contender(name=entry.name, key=record.key, metric=metric)
        for entry in field
        if (record := entry.records.get(suite)) is not None
        and record.status is Status.OK
        and (metric := of(record)) is not None
        and metric.samples is not None
    ]
    found = {share.entry: share for share in _shares(contenders)}
    return Cost(what=what, unit=unit, how=how, shares=tuple(found[its.name] for its in contenders))


def _shares(contenders: Sequence[Contender]) -> list[Share]:
    by_name = {its.name: its for its in contenders}
    shares = []
    for ranking in rank(contenders):
        for name in ranking.members:
            its = by_name[name].metric
            ratio: Interval | None = None
            reason: str | None = ranking.reason
            least = ranking.best == name and ranking.verdict is not Verdict.NOT_JUDGED
            if least:
                reason = None
            elif ranking.best not in {None, name}:
                judgement = judge(by_name[ranking.best or name].metric, its)
                ratio, reason = judgement.ratio, None if judgement.ratio else judgement.reason
            values = process_values(its.samples or ())
            share = Share(
                entry=name,
                value=median(values),
                processes=len(values),
                least=least,
                ratio=ratio,
                reason=reason,
            )
            shares.append(share)
    return shares
