"""Metrics of a suite, a row each, judged once for table, headline and figures. Pure; it asks `judge`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.judge import STAND_INS, Contender, Memo, Ranking, Verdict, rank
from harness.analysis.labels import over_labels
from harness.inputs.prompts import SCENARIOS
from harness.report.cells import Column, Footnotes, part_cell
from harness.report.page import Cell
from harness.results.metrics import BY_TOKEN, DEFINITIONS, NO_WORK
from harness.results.records import Better, Metric, Status

ROWS = {
    "training": (
        "train_tokens_per_s", "train_loss_tokens_per_s", "train_padded_tokens_per_s", "padding_share",
        "train_rows_per_s", "train_bytes_per_s", "train_steps_per_s", "step_s", "first_step_s", "mfu",
        "train_wall_s", "wall_part_s", "train_iterations", "train_updates",
        "train_loss_first", "train_loss_final", "val_loss_first", "val_loss_best", "val_loss_best_iteration",
        "val_loss_final", "overfit_gap", "trainer_loss_first", "trainer_loss_final", "trainer_val_loss_final",
        "total_parameters", "trainable_parameters", "adapter_bytes",
        "peak_active_bytes", "estimated_peak_bytes", "memory_growth_bytes_per_step", "swap_growth_bytes",
    ),
    "evaluation": (
        "test_loss", "test_perplexity", "bits_per_byte", "rating", "eos_rate", "leak_rate", "copied_share",
        "response_words",
        "adapter_kl_nat_per_token", "fused_kl_nat_per_token", "fused_top1_agreement",
    ),
    "inference": (
        "load_s", "disk_bytes", "peak_active_bytes", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s",
        "summary_decode_tokens_per_s", "tpot_s", "response_s",
        "context_prefill_tokens_per_s", "context_decode_tokens_per_s", "batch_decode_tokens_per_s",
        "mbu", "cpu_percent", "energy_j_per_token",
    ),
}  # fmt: skip
# What a choice between cases turns on; the rest explains it.
PRIMARY = {
    "training": ("train_bytes_per_s", "train_wall_s", "val_loss_best", "peak_active_bytes"),
    "evaluation": ("bits_per_byte",),
    "inference": ("load_s", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "peak_active_bytes"),
}
MEAN = "geometric mean"
_MOST_GROUPS = 6  # sentences of a headline
_ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NONE: ""}


def arrow(name: str) -> str:
    """Which way a metric gets better."""
    return _ARROWS[DEFINITIONS[name].better]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A metric and label: a cell a column, and the rankings of those that compare."""

    name: str
    label: str | None
    cells: tuple[Cell, ...]
    rankings: tuple[Ranking, ...]

    @property
    def title(self) -> str:
        """The metric, its label, and which way is the better one."""
        return " ".join(filter(None, (self.name, self.label, arrow(self.name))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A suite's rows, judged once: for its tables, its headline and its figures."""

    suite: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: Footnotes


def judge_suite(suite: str, columns: Sequence[Column], names: Iterable[str] | None = None) -> Judged:
    """Write and judge every row of a suite, or those of the metrics *names*."""
    its = tuple(column for column in columns if column.record.metrics)
    notes = Footnotes()
    memo: Memo = {}
    rows = [row for name in names or ROWS[suite] for row in _rows(name, its, notes, memo)]
    return Judged(suite=suite, columns=its, rows=tuple(rows), notes=notes)


def _rows(name: str, columns: Sequence[Column], notes: Footnotes, memo: Memo) -> list[Row]:
    metrics = [column.record.metrics.get(name) for column in columns]
    parts = [metric.parts() if metric else {} for metric in metrics]
    labels: dict[str | None, None] = dict.fromkeys(label for its in parts for label in its)
    if name == "peak_active_bytes":
        labels = {label: None for label in labels if label not in NO_WORK}
    if not labels and any(metrics):
        labels = {None: None}
    rows = [_row(name, label, columns, metrics, [its.get(label) for its in parts], notes, memo) for label in labels]
    if len(labels) > 1 and set(labels) <= set(SCENARIOS):
        means = [over_labels(metric, labels) for metric in metrics]
        samples = [mean.samples if mean else None for mean in means]
        rows.append(_row(name, MEAN, columns, metrics, samples, notes, memo))
    return rows


_Samples = tuple[tuple[float, ...], ...] | None


def _row(
    name: str,
    label: str | None,
    columns: Sequence[Column],
    metrics: Sequence[Metric | None],
    samples: Sequence[_Samples],
    notes: Footnotes,
    memo: Memo,
) -> Row:
    return Row(
        name=name,
        label=label,
        cells=tuple(part_cell(metric, its, notes) for metric, its in zip(metrics, samples, strict=True)),
        rankings=_rankings(name, columns, metrics, samples, memo),
    )


def _rankings(
    name: str, columns: Sequence[Column], metrics: Sequence[Metric | None], samples: Sequence[_Samples], memo: Memo
) -> tuple[Ranking, ...]:
    """What can be said of those that were measured; figures that were read in a report are never judged."""
    held = [
        (column, replace(metric, samples=its, labels=None))
        for column, metric, its in zip(columns, metrics, samples, strict=True)
        if column.record.status is Status.OK and metric is not None and its is not None
    ]
    if len(held) < 2 or held[0][1].better is Better.NONE:  # noqa: PLR2004 - two sides
        return ()
    measured = [
        Contender(name=column.name, key=column.record.key, metric=metric, by_token=name in BY_TOKEN)
        for column, metric in held
        if not column.published
    ]
    read = tuple(column.name for column, _ in held if column.published)
    reason = "figures that were read in a report are not judged"
    unjudged = (Ranking(members=read, verdict=Verdict.NOT_JUDGED, reason=reason),) if read else ()
    return (*rank(measured, memo=memo), *unjudged)


def headline(judged: Judged) -> list[str]:
    """Count what was decided within each group of cases that compare; of stand-ins, and of one case, nothing.

    A winner on the whole is named only where nothing speaks against it.
    """
    rows = [row for row in judged.rows if row.rankings and row.label != MEAN]  # its scenarios count
    real = {column.name for column in judged.columns if not _stands_in(column)}
    groups: dict[str, list[Ranking]] = {}
    for row in rows:
        for its in row.rankings:
            if len(its.members) > 1 and set(its.members) <= real:
                groups.setdefault(common(its.members), []).append(its)
    suite = judged.suite.capitalize()
    every = len(groups) == 1 and len(real) == len(judged.columns)
    lines = [
        f"{suite}{'' if every else f', within {name}'}: {_counted(its)}."
        for name, its in list(groups.items())[:_MOST_GROUPS]
    ]
    if len(judged.columns) < 2 or not rows:  # noqa: PLR2004 - two sides
        return []
    if not lines:
        return [f"{suite}: no two cases compare in any of {_rows_counted(len(rows))}; the tables say why."]
    return [*lines, *_overall(judged, rows)]


def _stands_in(column: Column) -> bool:
    return column.record.key is None or column.record.key.weights.source in STAND_INS


def _counted(rankings: Sequence[Ranking]) -> str:
    """Who is better in how many rows, and what the others came to."""
    wins = Counter(its.winner for its in rankings if its.winner is not None)
    others = Counter(its.verdict for its in rankings if its.winner is None)
    counts = [f"{name} is better in {count}" for name, count in wins.items()]
    counts += [f"{verdict.value} in {others[verdict]}" for verdict in Verdict if others[verdict]]
    return f"of {_rows_counted(len(rankings))} {', '.join(counts)}"


def _rows_counted(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def common(members: Sequence[str]) -> str:
    """How a group is called: by its model, if it has one, else by its members."""
    models = {its.partition("/")[0] for its in members}
    return models.pop() if len(models) == 1 else ", ".join(members)


def _overall(judged: Judged, rows: Sequence[Row]) -> Iterator[str]:
    """A winner on the whole is at least level on every primary metric, against every other, and wins one."""
    primary = [row for row in rows if row.name in PRIMARY[judged.suite]]
    names = [column.name for column in judged.columns]
    whole = [row.rankings[0] for row in primary if set(row.rankings[0].members) == set(names)]
    listed = ", ".join(dict.fromkeys(row.name for row in primary))
    if not primary or len(whole) < len(primary) or any(its.verdict is Verdict.NOT_JUDGED for its in whole):
        return
    never_worse = [name for name in names if all(name in its.level for its in whole)]
    best = next((name for name in never_worse if any(its.winner == name for its in whole)), None)
    if best is not None:
        yield f"On the whole {best}: in no row of {listed} is another better."
    else:
        yield f"No winner on the whole: none is at least level in every row of {listed}."
