"""What a gate says: a verdict a metric, and one for all. Values; `gate` makes them, pages and files show them.

"Cannot tell" is an answer of its own and never a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.analysis.stats.estimates import Interval
from harness.results.records import Better, Kind


class GateVerdict(Enum):
    """What becomes of one metric, in the order of what matters most."""

    REGRESSION = "regression"
    INVALID = "invalid"
    MISSING = "missing"
    NOT_COMPARABLE = "not-comparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    PASS = "pass"  # noqa: S105 - a verdict, not a password


_EXIT_CODES = {GateVerdict.PASS: 0, GateVerdict.IMPROVED: 0, GateVerdict.REGRESSION: 1}
CANNOT_JUDGE = 3


class Role(Enum):
    """What a row has to say in the verdict on all."""

    REQUIRED = "required"  # it has to be decided
    WATCHED = "watched"  # it may stay undecided where it was measured well enough; a regression counts
    IGNORED = "ignored"  # by policy, with a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """The verdict on one metric of one case; *metric* is "" where the whole case is meant.

    *baseline* and *candidate* are medians of the processes' medians, in *unit*; None where they were not measured.
    *ratio* is candidate / baseline, dimensionless, 1.0 without a change; None where no interval can be given.
    *tolerance* and *detectable* are relative changes for the worse: the smallest that matters, and the smallest true
    one that these samples would probably have shown. *more* is how many processes (of a pair: pairs) a side
    are still needed, where that can be told.
    """

    case: str
    metric: str
    verdict: GateVerdict
    reason: str
    label: str | None = None  # the scenario or the phase
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

    @property
    def title(self) -> str:
        """The metric, with what part of it."""
        return f"{self.metric} {self.label}" if self.label else self.metric

    @property
    def change(self) -> float | None:
        """The relative change of the cost: above 0 is worse, whichever way the metric gets better; None without one."""
        if self.ratio is None:
            return None
        return (1 / self.ratio.point if self.better is Better.HIGHER else self.ratio.point) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the figures of one side come from, to find them again; what is not known is None.

    *typed* is how the run was asked for, *number* that of a saved baseline, *path* where it was read. *commit* is
    short, *dirty* where there were changes that are in no commit. *arm* is the environment of a comparison in turns,
    *measures* what pytest was given to measure it.
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
    """A whole gate: *design* says in words what the verdicts on timing rest on, *origins* are of A and of B."""

    baseline: str  # id of the run
    candidate: str
    design: str
    rows: tuple[GateRow, ...]
    warnings: tuple[str, ...] = ()
    policy: str = "default"
    origins: tuple[Origin, Origin] | None = None

    @property
    def verdict(self) -> GateVerdict:
        """The verdict on all."""
        return overall(self.rows)

    @property
    def exit_code(self) -> int:
        """0 pass or improved, 1 a regression, 3 cannot judge."""
        return exit_code(self.verdict)


def overall(rows: Sequence[GateRow]) -> GateVerdict:
    """What matters most of *rows*.

    Without those that the policy ignores, and without watched ones that stay open. Where nothing is left to decide by
    it is `INCONCLUSIVE`, and `MISSING` where there is nothing to judge at all.
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
    return _EXIT_CODES.get(verdict, CANNOT_JUDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A verdict that needed no timing rule, with its reason: from losses at a fixed seed, or answers prompt by prompt.

    *ratio* is candidate / baseline where one can be given. *detectable* is the smallest change for the worse that
    these data would have shown, in the measure of the tolerance. *more* is how many processes a side are still needed,
    where processes would help.
    """

    verdict: GateVerdict
    reason: str
    ratio: Interval | None = None
    detectable: float | None = None
    more: int | None = None
