"""What a gate's verdicts are called on every page, terminal and annotation. Pure: values in, short texts out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording import next_step
from harness.gate.wording.change_text import NOTHING, change, worse_by
from harness.results.records import Better, Kind
from harness.units import format_value

_MEANS = {
    0: "nothing that counts got worse",
    1: "something got worse",
    3: "cannot judge",
}
CANNOT_JUDGE = (GateVerdict.INVALID, GateVerdict.MISSING, GateVerdict.NOT_COMPARABLE)
_COUNTED = 1_000  # more processes than these are not worth a number
_RATIO = re.compile(
    r"(: | \(|^)ratio \S+ \[[^]]*\]\)?"
)  # of the judge's reason: the change says it in a reader's terms


def bounds(row: GateRow) -> tuple[float, float] | None:
    """The interval of the relative change of the cost, the lower bound first; None without one."""
    if row.ratio is None:
        return None
    if row.better is Better.HIGHER:
        return 1 / row.ratio.high - 1, 1 / row.ratio.low - 1
    return row.ratio.low - 1, row.ratio.high - 1


def value(its: float, unit: str | None) -> str:
    """One side of a row."""
    return format_value(its, unit or "")


def detectable(row: GateRow) -> str:
    """The smallest true change for the worse that would have shown."""
    return NOTHING if row.detectable is None else f"≥ {percent(row.detectable)}"


def percent(relative: float) -> str:
    """A relative change in percent, with one decimal."""
    return f"{100 * relative:.1f} %"


def processes(row: GateRow) -> str:
    """How many processes each side was measured with."""
    if row.processes is None:
        return NOTHING
    baseline, candidate = row.processes
    return str(baseline) if baseline == candidate else f"{baseline} and {candidate}"


def in_pairs(result: GateResult) -> bool:
    """Whether the two runs were measured in turns."""
    return "pair" in result.design


def more(row: GateRow, *, paired: bool) -> str:
    """What would decide an open row; "" where that cannot be told."""
    if row.more is None:
        return ""
    what = "pair" if paired else "process"
    plural = "" if row.more == 1 else "s" if paired else "es"
    count = f"{row.more:,}" if row.more <= _COUNTED else f"over {_COUNTED:,}"
    return f"{count} more {what}{plural}{'' if paired else ' a side'}"


def last_line(result: GateResult) -> str:
    """The verdict on all, what its exit code means, and what to do next."""
    code = result.exit_code
    after = next_step.after(result, deciding(result), paired=in_pairs(result))
    return f"verdict: {result.verdict.value} (exit {code}: {_MEANS[code]}){after}"


def deciding(result: GateResult) -> list[GateRow]:
    """The rows that made the verdict on all: the required ones first, and of these the worst."""
    if result.verdict is GateVerdict.INCONCLUSIVE:
        return undecided(result)[0]
    return worst_first(counting(result.rows, result.verdict))


def titles(rows: Iterable[GateRow]) -> list[str]:
    """What the rows are called, each once."""
    return list(dict.fromkeys(row.title for row in rows if row.title))


def counting(rows: Iterable[GateRow], *verdicts: GateVerdict) -> list[GateRow]:
    """The rows with one of these verdicts that the policy does not ignore."""
    return [row for row in rows if row.role is not Role.IGNORED and row.verdict in verdicts]


def ignored(rows: Iterable[GateRow]) -> list[GateRow]:
    """The rows that the policy ignores."""
    return [row for row in rows if row.role is Role.IGNORED]


def unjudged(result: GateResult) -> list["Fold"]:
    """The rows that cannot be judged and those open ones without an interval, folded, what matters most first."""
    every = [row for verdict in CANNOT_JUDGE for row in worst_first(counting(result.rows, verdict))]
    return folded([*every, *(row for row in undecided(result)[0] if row.ratio is None)])


def measured(rows: Iterable[GateRow]) -> list[GateRow]:
    """The rows that have an interval."""
    return [row for row in rows if row.ratio is not None]


def worst_first(rows: Iterable[GateRow]) -> list[GateRow]:
    """The same rows: required ones before watched ones, then by how much worse; those without a number in order."""

    def place(row: GateRow) -> tuple[bool, float]:
        worse = worse_by(row)
        return row.role is not Role.REQUIRED, float("inf") if worse is None else -worse

    return sorted(rows, key=place)


def best_first(rows: Iterable[GateRow]) -> list[GateRow]:
    """The same rows: required ones before watched ones, then by how much better; those without a number in order."""

    def place(row: GateRow) -> tuple[bool, float]:
        worse = worse_by(row)
        return row.role is not Role.REQUIRED, float("inf") if worse is None else worse

    return sorted(rows, key=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Rows that share verdict and reason: the first of them, their cases, and what they are called, each once."""

    row: GateRow
    cases: Sequence[str]
    titles: Sequence[str]

    @property
    def where(self) -> str:
        """The case, or how many there are."""
        return f"{len(self.cases)} cases" if len(self.cases) > 1 else self.cases[0] or "the run"


def folded(rows: Iterable[GateRow]) -> list[Fold]:
    """Rows that share verdict and reason as one, whole cases apart from metrics."""
    together: dict[tuple[object, ...], list[GateRow]] = {}
    for row in rows:
        together.setdefault((row.verdict, row.reason, row.more, not row.metric), []).append(row)
    return [
        Fold(row=its[0], cases=list(dict.fromkeys(row.case for row in its)), titles=titles(its))
        for its in together.values()
    ]


def names(titles: Sequence[str], *, most: int = 3) -> str:
    """The first of *titles*, and how many more there are; "all" where the whole case is meant."""
    if not titles:
        return "all"
    rest = len(titles) - most
    return ", ".join(titles[:most]) + (f" and {rest} more" if rest > 0 else "")


def tally(rows: Iterable[GateRow]) -> str:
    """How many rows have which verdict, in the order of what matters most."""
    kept = list(rows)
    counts = [(its, len(counting(kept, its))) for its in GateVerdict]
    left = len(ignored(kept))
    words = [f"{count} {_counted(its, count)}" for its, count in counts if count]
    words += [f"{left} ignored"] if left else []
    return ", ".join(words) or "nothing was compared"


def _counted(its: GateVerdict, count: int) -> str:
    return f"{its.value}s" if its is GateVerdict.REGRESSION and count > 1 else its.value


def undecided(result: GateResult) -> tuple[list[GateRow], list[GateRow]]:
    """The inconclusive rows that stand in the way of a verdict, and the watched ones, which may stay so.

    Both worst first. Where nothing is required, and all is open, the watched ones are in the way.
    """
    every = worst_first(counting(result.rows, GateVerdict.INCONCLUSIVE))
    required = [row for row in every if row.role is Role.REQUIRED]
    watched = [row for row in every if row.role is Role.WATCHED]
    return (watched, []) if result.verdict is GateVerdict.INCONCLUSIVE and not required else (required, watched)


def passes(rows: Iterable[GateRow]) -> str:
    """How many passed, and the smallest change that every one of them would have shown."""
    passed = counting(rows, GateVerdict.PASS)
    seen = [row.detectable for row in passed if row.detectable is not None]
    exact = sum(row.kind is Kind.EXACT for row in passed)
    said = []
    if seen:
        which = "each" if len(seen) == len(passed) else f"{len(seen)} of them"
        said.append(f"a change of {percent(max(seen))} or more would have shown in {which}")
    if exact:
        said.append(f"{exact} compared exactly")
    return f"{len(passed)} pass" + (f": {', '.join(said)}" if said else "")


def remark(row: GateRow, *, paired: bool) -> str:
    """What would decide a row, or why it has its verdict where no interval says it."""
    unsaid = row.ratio is None or row.verdict is GateVerdict.INCONCLUSIVE
    return more(row, paired=paired) or (reason(row) if unsaid else "")


def why(row: GateRow, *, paired: bool) -> str:
    """Why a row cannot be judged, and what would change that."""
    return "; ".join(filter(None, (reason(row), more(row, paired=paired))))


def reason(row: GateRow) -> str:
    """Why a row has its verdict, without the ratio that its change says."""
    return _RATIO.sub("", row.reason).removeprefix("; ") if row.ratio is not None else row.reason


def sentence(row: GateRow, *, paired: bool) -> str:
    """All that is said of a row on one line: change, what it could have seen, what would decide it, or why."""
    moved = change(row)
    parts = (
        moved if moved != NOTHING else "",
        f"detectable {detectable(row)}" if row.detectable is not None else "",
        remark(row, paired=paired),
    )
    return "; ".join(filter(None, parts)) or row.verdict.value
