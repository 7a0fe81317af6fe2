"""A candidate run against a baseline run: a verdict a metric, and one for all. Pure; it asks `judge`.

"Cannot tell" is an answer of its own and never a pass: a case or metric that is missing, too few
processes, another machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from harness.judge import Judgement, Verdict, judge, obstacles
from harness.metrics import BY_TOKEN
from harness.records import Better, Bundle, Kind, Metric, Record, Status


class GateVerdict(Enum):
    """What becomes of one metric, in the order of what matters most."""

    REGRESSION = "regression"
    INVALID = "invalid"
    MISSING = "missing"
    NOT_COMPARABLE = "not-comparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    PASS = "pass"  # noqa: S105 - a verdict, not a password


_OF = {
    Verdict.BETTER: GateVerdict.IMPROVED,
    Verdict.WORSE: GateVerdict.REGRESSION,
    Verdict.EQUIVALENT: GateVerdict.PASS,
    Verdict.INCONCLUSIVE: GateVerdict.INCONCLUSIVE,
    Verdict.NOT_JUDGED: GateVerdict.INCONCLUSIVE,
    Verdict.NOT_COMPARABLE: GateVerdict.NOT_COMPARABLE,
}
_EXIT_CODES = {GateVerdict.PASS: 0, GateVerdict.IMPROVED: 0, GateVerdict.REGRESSION: 1}
_CANNOT_JUDGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """The verdict on one metric of one case; *metric* is "" where the whole case is meant."""

    case: str
    metric: str
    verdict: GateVerdict
    reason: str


def gate(baseline: Bundle, candidate: Bundle) -> list[GateRow]:
    """Judge every metric of every case of *baseline* that more or less of could be better, and every exact one."""
    paired = candidate.run.paired_with == baseline.run.id
    records = {record.case: record for record in candidate.records}
    rows = [row for record in baseline.records for row in _case_rows(record, records.get(record.case), paired=paired)]
    return rows or [GateRow(case="", metric="", verdict=GateVerdict.MISSING, reason="the baseline holds no cases")]


def overall(rows: list[GateRow]) -> GateVerdict:
    """The verdict on a run: what matters most of its rows."""
    order = list(GateVerdict)
    return min((row.verdict for row in rows), key=order.index)


def exit_code(verdict: GateVerdict) -> int:
    """0 pass or improved, 1 a regression, 3 cannot judge."""
    return _EXIT_CODES.get(verdict, _CANNOT_JUDGE)


def _case_rows(baseline: Record, candidate: Record | None, *, paired: bool) -> Iterator[GateRow]:
    if baseline.status is not Status.OK:
        yield _row(baseline, "", GateVerdict.INVALID, f"in the baseline: {baseline.status.value}: {baseline.reason}")
    elif candidate is None:
        yield _row(baseline, "", GateVerdict.MISSING, "the candidate does not hold this case")
    elif candidate.status is not Status.OK:
        yield _row(baseline, "", GateVerdict.INVALID, f"{candidate.status.value}: {candidate.reason}")
    else:
        for name, metric in baseline.metrics.items():
            if metric.samples is None or (metric.better is Better.NONE and metric.kind is not Kind.EXACT):
                continue
            yield from _metric_rows(baseline, candidate, name, metric, paired=paired)


def _metric_rows(baseline: Record, candidate: Record, name: str, metric: Metric, *, paired: bool) -> Iterator[GateRow]:
    other = candidate.metrics.get(name)
    if other is None or other.samples is None:
        reason = other.reason if other else None
        yield _row(baseline, name, GateVerdict.MISSING, reason or "the candidate did not measure it")
        return
    differing = obstacles(baseline.key, candidate.key, metric, by_token=name in BY_TOKEN)
    for label in metric.parts():
        title = f"{name} {label}" if label else name
        if differing:
            yield _row(baseline, title, GateVerdict.NOT_COMPARABLE, f"differing: {', '.join(differing)}")
        elif label not in other.parts():
            yield _row(baseline, title, GateVerdict.MISSING, "the candidate did not measure it")
        elif metric.better is Better.NONE:
            same = metric.parts()[label] == other.parts()[label]
            verdict = GateVerdict.PASS if same else GateVerdict.REGRESSION
            yield _row(baseline, title, verdict, "equal" if same else "an exact quantity changed")
        else:
            its: Judgement = judge(metric, other, label=label, paired=paired)
            yield _row(baseline, title, _OF[its.verdict], its.reason)


def _row(record: Record, metric: str, verdict: GateVerdict, reason: str) -> GateRow:
    return GateRow(case=record.case, metric=metric, verdict=verdict, reason=reason)
