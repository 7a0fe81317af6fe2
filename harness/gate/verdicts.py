"""Values of a gate's answer: one verdict per metric and one for the whole run. `decide` makes them.

"Cannot tell" is a verdict of its own and never counts as a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.analysis.judge import Design, Verdict
from harness.analysis.stats.estimates import Interval
from harness.results.records import Better, Kind


class GateVerdict(Enum):
    """Verdict of the gate, in order of severity: the first one of all rows is the verdict of the run."""

    REGRESSION = "regression"
    INVALID = "invalid"
    MISSING = "missing"
    NOT_COMPARABLE = "not-comparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    PASS = "pass"  # noqa: S105 - a verdict, not a password


# The judge's verdict that means the same. Read backwards, a verdict of the judge becomes one of the gate.
AS_JUDGED = {
    GateVerdict.REGRESSION: Verdict.WORSE,
    GateVerdict.INVALID: Verdict.NOT_JUDGED,
    GateVerdict.MISSING: Verdict.NOT_JUDGED,
    GateVerdict.NOT_COMPARABLE: Verdict.NOT_COMPARABLE,
    GateVerdict.INCONCLUSIVE: Verdict.INCONCLUSIVE,
    GateVerdict.IMPROVED: Verdict.BETTER,
    GateVerdict.PASS: Verdict.EQUIVALENT,
}


def from_judge(verdict: Verdict) -> GateVerdict:
    """Return the gate's verdict for one of the judge.

    What the judge does not judge (too few processes, no ratio) is inconclusive: more processes may decide it.
    """
    if verdict is Verdict.NOT_JUDGED:
        return GateVerdict.INCONCLUSIVE
    return next(gate_verdict for gate_verdict, judged in AS_JUDGED.items() if judged is verdict)


_EXIT_CODES = {GateVerdict.PASS: 0, GateVerdict.IMPROVED: 0, GateVerdict.REGRESSION: 1}
EXIT_CANNOT_JUDGE = 3


class Role(Enum):
    """Weight of a row in the verdict of the run."""

    REQUIRED = "required"  # must be decided
    WATCHED = "watched"  # may stay undecided if measured well enough; a regression counts
    IGNORED = "ignored"  # by policy, with a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Ratio and reason of one of the two measurements of a suspected regression."""

    ratio: Interval | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """Verdict on one metric of one case; *metric* is "" where the row is about the whole case.

    *reason* does not repeat the ratio: `wording.terms.full_reason` writes both. *baseline* and *candidate* are medians
    of the processes' medians, in *unit*; None where they were not measured. *ratio* is candidate / baseline,
    dimensionless, 1.0 without a change; None where no interval can be given. *tolerance* and *detectable* are relative
    changes for the worse: the smallest that matters, and the smallest true one that these samples would probably have
    shown. *more* is the number of further processes (or pairs) a side that would decide the row, None if unknown.

    A suspected regression is measured a second time. *confirmed_by* is the second measurement if it shows the
    regression too. *suspicion* is the first measurement if the second one does not show it; the row then holds the
    second one.
    """

    case: str
    metric: str
    verdict: GateVerdict
    reason: str
    label: str | None = None  # scenario or phase
    kind: Kind | None = None
    role: Role = Role.REQUIRED
    unit: str | None = None
    better: Better | None = None
    baseline: float | None = None
    candidate: float | None = None
    ratio: Interval | None = None
    processes: tuple[int, int] | None = None  # of the baseline, and of the candidate
    tolerance: float | None = None
    detectable: float | None = None
    more: int | None = None
    ignored: str | None = None  # why, and until when; None where the row counts
    differing: tuple[str, ...] = ()  # fields that keep the two sides from being compared
    confirmed_by: Measurement | None = None
    suspicion: Measurement | None = None

    @property
    def title(self) -> str:
        """Name of the metric with its label."""
        return f"{self.metric} {self.label}" if self.label else self.metric

    @property
    def change(self) -> float | None:
        """Relative change of the cost: above 0 is worse, whichever way the metric gets better; None without a ratio."""
        if self.ratio is None:
            return None
        return (1 / self.ratio.point if self.better is Better.HIGHER else self.ratio.point) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Source of one side's figures, so that a reader can find them again; unknown facts are None.

    *typed* is the name the user gave for the run, *number* the number of a saved baseline, *path* the place it was
    read from. *commit* is abbreviated; *dirty* says that there were uncommitted changes. *arm* is the environment in an
    interleaved comparison, *measures* are the pytest arguments that say what to measure.
    """

    run: str
    started_at: str
    commit: str | None = None
    dirty: bool = False
    mlx: str | None = None
    mlx_lm: str | None = None
    arm: str | None = None
    measures: tuple[str, ...] = ()
    typed: str | None = None
    number: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Answer of a gate. *design* is what the verdicts on timing rest on; *origins* are those of A and of B."""

    baseline: str  # id of the run
    candidate: str
    design: Design
    rows: tuple[GateRow, ...]
    warnings: tuple[str, ...] = ()
    policy: str = "default"
    origins: tuple[Origin, Origin] | None = None

    @property
    def verdict(self) -> GateVerdict:
        """Verdict of the whole run."""
        return overall(self.rows)

    @property
    def exit_code(self) -> int:
        """0 pass or improved, 1 a regression, 3 cannot judge."""
        return exit_code(self.verdict)


def overall(rows: Sequence[GateRow]) -> GateVerdict:
    """Return the most severe verdict of *rows*, leaving out ignored rows and undecided watched rows.

    `INCONCLUSIVE` where that leaves no row, `MISSING` where there is nothing to judge at all.
    """
    order = list(GateVerdict)
    judged = [row for row in rows if row.role is not Role.IGNORED]
    deciding = [
        row.verdict for row in judged if row.role is Role.REQUIRED or row.verdict is not GateVerdict.INCONCLUSIVE
    ]
    nothing = GateVerdict.INCONCLUSIVE if judged else GateVerdict.MISSING
    return min(deciding, key=order.index, default=nothing)


def exit_code(verdict: GateVerdict) -> int:
    """0 pass or improved, 1 a regression, 3 cannot judge."""
    return _EXIT_CODES.get(verdict, EXIT_CANNOT_JUDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Verdict reached without the rule for noisy readings, from losses at a fixed seed or answers prompt by prompt.

    *detectable* is the smallest change for the worse that these data would have shown, in the unit of the tolerance.
    *more* is the number of further processes a side that would decide it, None where processes do not help.
    """

    verdict: GateVerdict
    reason: str
    detectable: float | None = None
    more: int | None = None
