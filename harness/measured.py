"""What was measured, as tables of finished text: metrics with verdicts, losses, memory, answers. Pure.

Whatever is decided is decided in `judge`; whatever is written as a number is written in `units`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cases import SUITES
from harness.judge import Contender, winner
from harness.markdown import inert
from harness.metrics import DEFINITIONS
from harness.records import Better, Metric, Series, Status
from harness.stats import Summary, summarise
from harness.tables import Column, Footnotes, Section, Table
from harness.units import NOT_MEASURED, format_number, format_percent, scale_of

_ROWS = {
    "training": (
        "train_tokens_per_s", "train_loss_tokens_per_s", "train_padded_tokens_per_s", "padding_share",
        "train_rows_per_s", "train_bytes_per_s", "train_steps_per_s", "step_s", "first_step_s", "mfu",
        "train_wall_s", "wall_part_s", "train_iterations", "train_updates",
        "train_loss_first", "train_loss_final", "val_loss_first", "val_loss_best", "val_loss_best_iteration",
        "val_loss_final", "overfit_gap", "trainer_loss_first", "trainer_loss_final", "trainer_val_loss_final",
        "total_parameters", "trainable_parameters", "adapter_bytes",
        "estimated_peak_bytes", "memory_growth_bytes_per_step", "swap_growth_bytes",
    ),
    "evaluation": (
        "test_loss", "test_perplexity", "bits_per_byte", "eos_rate", "leak_rate", "response_words",
        "adapter_kl_nat_per_token", "fused_kl_nat_per_token", "fused_top1_agreement",
    ),
    "inference": (
        "load_s", "disk_bytes", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "tpot_s", "response_s",
        "context_prefill_tokens_per_s", "context_decode_tokens_per_s", "batch_decode_tokens_per_s",
        "mbu", "cpu_percent", "energy_j_per_token",
    ),
}  # fmt: skip
_MEMORY = ("peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes")
_ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NONE: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """A finished row; *winner* is the name of the case that is better than every other, or None."""

    cells: tuple[str, ...]
    winner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A suite's rows, judged once: for its table and for the headline."""

    suite: str
    columns: tuple[Column, ...]
    rows: tuple[MetricRow, ...]
    notes: tuple[str, ...]


def judge_suite(suite: str, columns: dict[str, list[Column]]) -> Judged:
    """Write and judge every row of a suite."""
    its = tuple(column for column in columns[suite] if column.record.metrics)
    notes = Footnotes()
    rows = tuple(_metric_rows(suite, its, notes))
    return Judged(suite=suite, columns=its, rows=rows, notes=notes.lines())


def metric_section(judged: Judged) -> Section:
    """One row a metric and label; the last column says what the numbers allow to say."""
    verdict = ("verdict",) if len(judged.columns) > 1 else ()
    return Section(
        title=judged.suite.capitalize(),
        text="Median [lowest – highest process]; n = processes × readings in each. "
        "↑ the more the better, ↓ the less the better.",
        table=Table(
            columns=("metric", *(column.name for column in judged.columns), *verdict),
            rows=tuple(row.cells for row in judged.rows),
            notes=judged.notes,
        ),
    )


def _metric_rows(suite: str, columns: Sequence[Column], notes: Footnotes) -> list[MetricRow]:
    """One row a metric and label, with the case that won it, if one did."""
    rows = []
    for name in _ROWS[suite]:
        metrics = [column.record.metrics.get(name) for column in columns]
        labels = dict.fromkeys(label for metric in metrics if metric for label in metric.parts())
        unmeasured = [None] if any(metrics) else []
        for label in labels or unmeasured:
            cells = [_cell(metric, label, notes) for metric in metrics]
            best, verdict = _verdict(columns, name, label, notes)
            arrow = _ARROWS[DEFINITIONS[name].better]
            title = " ".join(filter(None, (f"`{name}`", inert(label) if label else "", arrow)))
            cells += [verdict] if len(columns) > 1 else []
            rows.append(MetricRow(cells=(title, *cells), winner=best))
    return rows


def _cell(metric: Metric | None, label: str | None, notes: Footnotes) -> str:
    if metric is None:
        return NOT_MEASURED
    samples = metric.parts().get(label)
    if samples is None and metric.samples is not None:
        return "–"  # measured, but not of this
    if samples is None:
        return f"{NOT_MEASURED} {notes.mark(inert(metric.reason or 'no reason given'))}"
    return write_summary(summarise(samples), metric.unit)


def write_summary(summary: Summary, unit: str) -> str:
    """Write a median with its spread and n; with a single process there is no spread to write."""
    factor, symbol = scale_of(summary.median, unit)
    whole = unit in {"parameter", "iteration", "update"} or symbol == "B"
    middle, low, high = (
        format_percent(value) if unit == "share" else format_number(value / factor, whole=whole)
        for value in (summary.median, summary.low, summary.high)
    )
    each, uneven = divmod(summary.readings, summary.processes)
    spread = f" [{low} – {high}]" if summary.processes > 1 else ""
    count = f"n={summary.processes}" + (f"×{each}" if each > 1 else "")
    if uneven:
        count = f"n={summary.processes}, {summary.readings} readings"
    return f"{middle}{spread} {inert(symbol) if symbol else ''} ({count})".replace("  ", " ")


def _verdict(columns: Sequence[Column], name: str, label: str | None, notes: Footnotes) -> tuple[str | None, str]:
    """Name the winner of a row, or the mark of the reason why there is none."""
    contenders = [
        Contender(name=column.name, key=column.record.key, metric=metric)
        for column in columns
        if column.record.status is Status.OK
        and (metric := column.record.metrics.get(name)) is not None
        and label in metric.parts()
    ]
    if len(contenders) < 2 or contenders[0].metric.better is Better.NONE:  # noqa: PLR2004 - two sides
        return None, ""
    best, reason = winner(contenders, label=label)
    return best, f"{best} is better ({reason})" if best else f"– {notes.mark(reason)}"


def trajectory(columns: Sequence[Column]) -> Section:
    """Training and validation loss where validation took place."""
    its = [column for column in columns if "val_loss" in column.record.series]
    names = ("train_loss", "val_loss")
    curves = [_points(column.record.series.get(name)) for column in its for name in names]
    marks = {x for curve in curves[1::2] for x in curve} | {min(curve) for curve in curves[::2] if curve}
    rows = [(format_number(mark, whole=True), *(_loss(curve.get(mark)) for curve in curves)) for mark in sorted(marks)]
    heads = [f"{column.name} {kind}" for column in its for kind in ("train", "val")]
    return Section(
        title="Loss trajectory",
        text="In nat/token over real targets alone, of the first process, by iterations done. train: the step's own "
        "batch. val: all validation rows once.",
        table=Table(columns=("iteration", *heads), rows=tuple(rows)),
    )


def _points(series: Series | None) -> dict[float, float]:
    return {} if series is None else dict(zip(series.x, series.y, strict=True))


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def memory(columns: dict[str, list[Column]]) -> Section:
    """Peaks by suite, case and phase."""
    notes = Footnotes()
    rows = []
    for suite in SUITES:
        for column in columns[suite]:
            metrics = column.record.metrics
            labels = dict.fromkeys(label for name in _MEMORY if name in metrics for label in metrics[name].parts())
            for label in labels:
                cells = (_cell(metrics.get(name), label, notes) for name in _MEMORY)
                rows.append((f"{suite} {column.name}", inert(label or ""), *cells))
    heads = tuple(f"`{name}`" for name in _MEMORY)
    return Section(
        title="Memory",
        text="High-water marks of each phase, reset at its start; the cache is as large as at the phase's end.",
        table=Table(columns=("case", "phase", *heads), rows=tuple(rows), notes=notes.lines()),
    )


def answers(columns: Sequence[Column]) -> list[Section]:
    """One table a model: every evaluation prompt with the answers side by side."""
    sections = []
    for model in dict.fromkeys(column.record.case.split("/")[1] for column in columns):
        its = [column for column in columns if column.record.case.split("/")[1] == model and column.record.outputs]
        answers = [{(output.prompt_id, output.prompt): output for output in column.record.outputs} for column in its]
        rows = []
        for question in dict.fromkeys(question for answer in answers for question in answer):
            found = [answer.get(question) for answer in answers]
            texts = [
                f"{inert(its.text)} <br>({_ending(its.finish_reason)})" if its else "not recorded" for its in found
            ]
            rows.append((inert(question[1]), *texts))
        table = Table(columns=("prompt", *(column.name for column in its)), rows=tuple(rows))
        sections.append(Section(title=f"Answers of {inert(model)}", table=table))
    return sections


def _ending(finish_reason: str) -> str:
    return "ended by itself" if finish_reason == "stop" else "cut at the token limit"
