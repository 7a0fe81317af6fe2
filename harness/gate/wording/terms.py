"""Short texts for a gate's rows, and the order in which rows are listed: on pages, terminals and annotations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.judge import Design, ratio_text
from harness.analysis.stats.estimates import Interval
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording import next_step
from harness.gate.wording.change_text import NOTHING, change, worse_by
from harness.results.records import Better, Kind
from harness.units import format_value

DESIGN_TEXTS = {Design.PAIRED: "interleaved pairs", Design.INDEPENDENT: "a stored baseline"}
_EXIT_CODE_TEXTS = {
    0: "nothing that counts got worse",
    1: "something got worse",
    3: "cannot judge",
}
_UNJUDGED = (GateVerdict.INVALID, GateVerdict.MISSING, GateVerdict.NOT_COMPARABLE)
_COUNTED = 1_000  # processes; chosen: nobody measures more
_MOST_NAMES = 3


def bounds(row: GateRow) -> tuple[float, float] | None:
    """Return the interval of the relative change of the cost, lower bound first; None without one."""
    if row.ratio is None:
        return None
    if row.better is Better.HIGHER:
        return 1 / row.ratio.high - 1, 1 / row.ratio.low - 1
    return row.ratio.low - 1, row.ratio.high - 1


def value(number: float, unit: str | None) -> str:
    """Write the value of one side of a row."""
    return format_value(number, unit or "")


def detectable(row: GateRow) -> str:
    """Write the smallest true change for the worse that would have been detected."""
    return NOTHING if row.detectable is None else f"≥ {percent(row.detectable)}"


def percent(relative: float) -> str:
    """Write a relative change in percent, with one decimal."""
    return f"{100 * relative:.1f} %"


def processes(row: GateRow) -> str:
    """Write the number of processes of each side."""
    if row.processes is None:
        return NOTHING
    baseline, candidate = row.processes
    return str(baseline) if baseline == candidate else f"{baseline} and {candidate}"


def more(row: GateRow, design: Design) -> str:
    """Write how many further processes or pairs would decide an undecided row; "" where that is unknown."""
    if row.more is None:
        return ""
    count = f"{row.more:,}" if row.more <= _COUNTED else f"over {_COUNTED:,}"
    match design:
        case Design.PAIRED:
            return f"{count} more pair{'' if row.more == 1 else 's'}"
        case Design.INDEPENDENT:
            return f"{count} more process{'' if row.more == 1 else 'es'} a side"


def last_line(result: GateResult) -> str:
    """Write the verdict of the run, the meaning of its exit code, and the next step."""
    code = result.exit_code
    step = next_step.after(result, deciding(result))
    return f"verdict: {result.verdict.value} (exit {code}: {_EXIT_CODE_TEXTS[code]}){step}"


def deciding(result: GateResult) -> list[GateRow]:
    """Return the rows that made the verdict of the run: required rows first, each group worst first."""
    if result.verdict is GateVerdict.INCONCLUSIVE:
        return undecided(result)[0]
    return worst_first(counting(result.rows, result.verdict))


def titles(rows: Iterable[GateRow]) -> list[str]:
    """Return the distinct titles of the rows."""
    return list(dict.fromkeys(row.title for row in rows if row.title))


def counting(rows: Iterable[GateRow], *verdicts: GateVerdict) -> list[GateRow]:
    """Return the rows with one of these verdicts that the policy does not ignore."""
    return [row for row in rows if row.role is not Role.IGNORED and row.verdict in verdicts]


def ignored(rows: Iterable[GateRow]) -> list[GateRow]:
    """Return the rows that the policy ignores."""
    return [row for row in rows if row.role is Role.IGNORED]


def unjudged(result: GateResult) -> list["Fold"]:
    """Return the rows that cannot be judged and the undecided ones without an interval, folded, most severe first."""
    unjudged_rows = [row for verdict in _UNJUDGED for row in worst_first(counting(result.rows, verdict))]
    return folded([*unjudged_rows, *(row for row in undecided(result)[0] if row.ratio is None)])


def measured(rows: Iterable[GateRow]) -> list[GateRow]:
    """Return the rows that have an interval."""
    return [row for row in rows if row.ratio is not None]


def worst_first(rows: Iterable[GateRow]) -> list[GateRow]:
    """Sort the rows: required before watched, then by how much worse; rows without a number keep their order."""

    def place(row: GateRow) -> tuple[bool, float]:
        worse = worse_by(row)
        return row.role is not Role.REQUIRED, float("inf") if worse is None else -worse

    return sorted(rows, key=place)


def best_first(rows: Iterable[GateRow]) -> list[GateRow]:
    """Sort the rows: required before watched, then by how much better; rows without a number keep their order."""

    def place(row: GateRow) -> tuple[bool, float]:
        worse = worse_by(row)
        return row.role is not Role.REQUIRED, float("inf") if worse is None else worse

    return sorted(rows, key=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Rows with the same verdict and reason: the first of them, and the distinct cases and titles of all."""

    row: GateRow
    cases: Sequence[str]
    titles: Sequence[str]

    @property
    def where(self) -> str:
        """Name of the case, or the number of cases."""
        return f"{len(self.cases)} cases" if len(self.cases) > 1 else self.cases[0] or "the run"


def folded(rows: Iterable[GateRow]) -> list[Fold]:
    """Fold the rows with the same verdict and reason; rows of whole cases are folded separately from metrics."""
    groups: dict[tuple[object, ...], list[GateRow]] = {}
    for row in rows:
        groups.setdefault((row.verdict, full_reason(row), row.more, not row.metric), []).append(row)
    return [
        Fold(row=group[0], cases=list(dict.fromkeys(row.case for row in group)), titles=titles(group))
        for group in groups.values()
    ]


def names(titles: Sequence[str]) -> str:
    """Write the first *titles* and the number of further ones; "all" for a row of the whole case."""
    if not titles:
        return "all"
    further = len(titles) - _MOST_NAMES
    return ", ".join(titles[:_MOST_NAMES]) + (f" and {further} more" if further > 0 else "")


def tally(rows: Iterable[GateRow]) -> str:
    """Count the rows of each verdict, most severe first."""
    kept = list(rows)
    counts = [(verdict, len(counting(kept, verdict))) for verdict in GateVerdict]
    ignored_count = len(ignored(kept))
    words = [f"{count} {_noun(verdict, count)}" for verdict, count in counts if count]
    words += [f"{ignored_count} ignored"] if ignored_count else []
    return ", ".join(words) or "nothing was compared"


def _noun(verdict: GateVerdict, count: int) -> str:
    return f"{verdict.value}s" if verdict is GateVerdict.REGRESSION and count > 1 else verdict.value


def undecided(result: GateResult) -> tuple[list[GateRow], list[GateRow]]:
    """Return the undecided rows that block a verdict, and the watched ones, which may stay undecided.

    Both lists are worst first. Watched rows block the verdict where no row is required and all are undecided.
    """
    inconclusive = worst_first(counting(result.rows, GateVerdict.INCONCLUSIVE))
    required = [row for row in inconclusive if row.role is Role.REQUIRED]
    watched = [row for row in inconclusive if row.role is Role.WATCHED]
    return (watched, []) if result.verdict is GateVerdict.INCONCLUSIVE and not required else (required, watched)


def passes(rows: Iterable[GateRow]) -> str:
    """Count the passes, and write the smallest change that every one of them would have shown."""
    passed = counting(rows, GateVerdict.PASS)
    detectables = [row.detectable for row in passed if row.detectable is not None]
    exact = sum(row.kind is Kind.EXACT for row in passed)
    remarks = []
    if detectables:
        which = "each" if len(detectables) == len(passed) else f"{len(detectables)} of them"
        remarks.append(f"a change of {percent(max(detectables))} or more would have shown in {which}")
    if exact:
        remarks.append(f"{exact} compared exactly")
    return f"{len(passed)} pass" + (f": {', '.join(remarks)}" if remarks else "")


def remark(row: GateRow, design: Design) -> str:
    """Write what would decide a row, or the reason for a verdict that no interval explains."""
    needs_reason = row.ratio is None or row.verdict is GateVerdict.INCONCLUSIVE
    return more(row, design) or (reason(row) if needs_reason else "")


def why(row: GateRow, design: Design) -> str:
    """Write why a row cannot be judged, and what would change that."""
    return "; ".join(filter(None, (reason(row), more(row, design))))


def reason(row: GateRow) -> str:
    """Write why a row has its verdict, without ratios where the row's change shows its ratio."""
    if row.ratio is None:
        return full_reason(row)
    if row.suspicion is not None:
        first = f"suspected ({row.suspicion.reason})" if row.suspicion.reason else "suspected"
        return _joined(f"{first}, and it did not recur", row.reason)
    if row.confirmed_by is not None:
        second = row.confirmed_by.reason
        return _joined(row.reason, f"measured again: {second}" if second else "measured again")
    return row.reason


def full_reason(row: GateRow) -> str:
    """Write why a row has its verdict, with all ratios, for files that show no change beside it."""
    text = _with_ratio(row.ratio, row.reason)
    if row.suspicion is not None:
        first = _with_ratio(row.suspicion.ratio, row.suspicion.reason)
        return f"suspected ({first}), and it did not recur: {text}"
    if row.confirmed_by is not None:
        return f"{text}; measured again: {_with_ratio(row.confirmed_by.ratio, row.confirmed_by.reason)}"
    return text


def _with_ratio(ratio: Interval | None, text: str) -> str:
    return _joined("" if ratio is None else ratio_text(ratio), text)


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def sentence(row: GateRow, design: Design) -> str:
    """Write a row on one line: its change, the detectable change, and what would decide it or why."""
    change_words = change(row)
    parts = (
        change_words if change_words != NOTHING else "",
        f"detectable {detectable(row)}" if row.detectable is not None else "",
        remark(row, design),
    )
    return _joined(*parts) or row.verdict.value
