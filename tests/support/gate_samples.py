"""Sample answers of a gate: one row of every verdict, and any number of rows."""

from dataclasses import replace

from harness.analysis.judge import Design
from harness.analysis.stats.estimates import Interval
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.results.records import Better, Kind

CASE = "inference/tiny/base"
EVIL = "|<b>`\x1b[2J\r\n::error::x ]]> & \ud83d \u202e @team #12 -->"


def interval(low, point, high):
    return Interval(low=low, point=point, high=high, confidence=0.95, method="by hand")


def row(verdict=GateVerdict.PASS, metric="ttft_s", **changes):
    """Return a row for a duration, measured with six processes per side."""
    plain = GateRow(
        case=CASE,
        metric=metric,
        verdict=verdict,
        reason="said by hand",
        kind=Kind.TIMING,
        unit="s",
        better=Better.LOWER,
        baseline=0.5,
        candidate=0.625,
        ratio=interval(1.125, 1.25, 1.5),
        processes=(6, 6),
        tolerance=0.03,
        detectable=0.04,
    )
    return replace(plain, **changes)


def unmeasured(verdict=GateVerdict.MISSING, metric="load_s", **changes):
    return GateRow(**{"case": CASE, "metric": metric, "verdict": verdict, "reason": "not there", **changes})


def one_of_each():
    """Return one row per verdict, the best first, and one ignored row."""
    return (
        row(),
        row(GateVerdict.IMPROVED, "tpot_s", ratio=interval(0.5, 0.75, 0.875)),
        row(GateVerdict.INCONCLUSIVE, "first_step_s", ratio=interval(0.75, 1.0625, 1.125), more=7),
        unmeasured(GateVerdict.NOT_COMPARABLE, "rating", reason="differing: device"),
        unmeasured(GateVerdict.MISSING, "load_s"),
        unmeasured(GateVerdict.INVALID, "", case="training/tiny/r8", reason="oom: killed at 7.5 GiB"),
        row(GateVerdict.REGRESSION, "step_s", label="late"),
        row(GateVerdict.REGRESSION, "itl_s", role=Role.IGNORED, ignored="meter broken, until 2027-01-01"),
    )


def result(*rows, **changes):
    plain = GateResult(baseline="run-a", candidate="run-b", design=Design.INDEPENDENT, rows=rows)
    return replace(plain, **changes)


def every_kind():
    return result(*one_of_each(), warnings=("the baseline is 40 days old",))
