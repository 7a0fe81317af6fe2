"""Sentences for the captions and descriptions of charts, and the number of cases a chart may hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import wraps

from harness.report.figures.charts import Chart
from harness.results.records import Record, Series
from harness.units import count_of, format_number

NamedRecords = Sequence[tuple[str, Record]]  # each record after the name of its case in the report

_MOST_CASES = 12  # that can be told apart by color


def limit_cases(draw: Callable[[NamedRecords], Chart | None]) -> Callable[[NamedRecords], Chart | None]:
    """Pass only the first cases to *draw*, and add the number of the other cases to the caption."""

    @wraps(draw)
    def draw_first_cases(cases: NamedRecords) -> Chart | None:
        chart = draw(cases[:_MOST_CASES])
        left_out = len(cases) - _MOST_CASES
        if chart is None or left_out <= 0:
            return chart
        return replace(chart, caption=f"{chart.caption} {left_out} more cases are not drawn; the tables have them.")

    return draw_first_cases


def sentences(clauses: Iterable[str]) -> str:
    """End each clause with a period and join them. The first letter stays as it is, because it may begin a name."""
    return " ".join(f"{clause}." for clause in clauses if clause)


def iteration(number: float) -> str:
    """Name an iteration, such as "iteration 1,000"."""
    return f"iteration {format_number(number, as_integer=True)}"


def loss_in_words(name: str, series: Series) -> str:
    """State the first and last value of the loss called *name*, and whether it fell or rose."""
    first, last = format_number(series.y[0]), format_number(series.y[-1])
    if len(series.y) == 1:
        return f"{name} is {first} at {iteration(series.x[0])}"
    if first == last:
        return f"{name} is {first} at first and at the end"
    verb = "falls" if series.y[-1] < series.y[0] else "rises"
    during = f"from {iteration(series.x[0])} to {format_number(series.x[-1], as_integer=True)}"
    return f"{name} {verb} from {first} to {last}, {during}"


def process_count(counts: Sequence[int]) -> str:
    """State the number of processes per case as "n = 5 processes" or "n = 3 to 5 processes"; *counts* ascend."""
    lowest = f"{counts[0]} to " if len(counts) > 1 else ""
    return f"n = {lowest}{count_of(counts[-1], 'process', 'processes')}"


def tokenizer_caution(cases: NamedRecords, subject: str) -> str:
    """Warn that *subject*, such as "Speeds", does not compare across tokenizers; empty if the cases share one."""
    different = len({record.key.tokenizer for _, record in cases if record.key}) > 1
    return f"{subject} of different tokenizers do not compare: their tokens are not as long. " if different else ""
