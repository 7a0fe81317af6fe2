"""Rows of a suite's metrics with their verdicts, judged once for tables and headline; `judge` decides."""

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
from harness.units import count_of

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
# The metrics that decide between cases; the others explain the difference.
PRIMARY = {
    "training": ("train_bytes_per_s", "train_wall_s", "val_loss_best", "peak_active_bytes"),
    "evaluation": ("bits_per_byte",),
    "inference": ("load_s", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "peak_active_bytes"),
}
MEAN = "geometric mean"
_MOST_GROUPS = 6  # sentences of a headline
_ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NONE: ""}


def arrow(name: str) -> str:
    """Return an arrow up where a higher value is better, an arrow down where a lower one is, "" otherwise."""
    return _ARROWS[DEFINITIONS[name].better]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRow:
    """A metric and label, with a cell per column, and a ranking of each group of columns that compare."""

    name: str
    label: str | None
    cells: tuple[Cell, ...]
    rankings: tuple[Ranking, ...]

    @property
    def title(self) -> str:
        """Metric, label, and the arrow that shows the better direction."""
        return " ".join(filter(None, (self.name, self.label, arrow(self.name))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All judged rows of a suite, for its tables and its headline."""

    suite: str
    columns: tuple[Column, ...]
    rows: tuple[JudgedRow, ...]
    notes: Footnotes


def judge_suite(suite: str, columns: Sequence[Column], names: Iterable[str] | None = None) -> Judged:
    """Write and judge every row of a suite, or the rows of the metrics *names*."""
    measured = tuple(column for column in columns if column.record.metrics)
    notes = Footnotes()
    memo: Memo = {}
    rows = [row for name in names or ROWS[suite] for row in _rows(name, measured, notes, memo)]
    return Judged(suite=suite, columns=measured, rows=tuple(rows), notes=notes)


def _rows(name: str, columns: Sequence[Column], notes: Footnotes, memo: Memo) -> list[JudgedRow]:
    metrics = [column.record.metrics.get(name) for column in columns]
    parts = [metric.parts() if metric else {} for metric in metrics]
    labels: dict[str | None, None] = dict.fromkeys(label for by_label in parts for label in by_label)
    if name == "peak_active_bytes":
        labels = {label: None for label in labels if label not in NO_WORK}
    if not labels and any(metrics):
        labels = {None: None}
    rows = [
        _row(name, label, columns, metrics, [by_label.get(label) for by_label in parts], notes, memo)
        for label in labels
    ]
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
) -> JudgedRow:
    return JudgedRow(
        name=name,
        label=label,
        cells=tuple(part_cell(metric, readings, notes) for metric, readings in zip(metrics, samples, strict=True)),
        rankings=_rankings(name, columns, metrics, samples, memo),
    )


def _rankings(
    name: str, columns: Sequence[Column], metrics: Sequence[Metric | None], samples: Sequence[_Samples], memo: Memo
) -> tuple[Ranking, ...]:
    """Rank the cases that were measured; figures from published reports are never judged."""
    with_readings = [
        (column, replace(metric, samples=readings, labels=None))
        for column, metric, readings in zip(columns, metrics, samples, strict=True)
        if column.record.status is Status.OK and metric is not None and readings is not None
    ]
    if len(with_readings) < 2 or with_readings[0][1].better is Better.NONE:  # noqa: PLR2004 - two sides
        return ()
    measured = [
        Contender(name=column.name, key=column.record.key, metric=metric, by_token=name in BY_TOKEN)
        for column, metric in with_readings
        if not column.published
    ]
    published = tuple(column.name for column, _ in with_readings if column.published)
    reason = "figures that were read in a report are not judged"
    unjudged = (Ranking(members=published, verdict=Verdict.NOT_JUDGED, reason=reason),) if published else ()
    return (*rank(measured, memo=memo), *unjudged)


def headline(judged: Judged) -> list[str]:
    """Count the verdicts within each group of cases that compare, without stand-ins and groups of one case.

    An overall winner is named only where no primary metric speaks against it.
    """
    rows = [row for row in judged.rows if row.rankings and row.label != MEAN]  # the scenarios count, not their mean
    real = {column.name for column in judged.columns if not _stands_in(column)}
    groups: dict[str, list[Ranking]] = {}
    for row in rows:
        for ranking in row.rankings:
            if len(ranking.members) > 1 and set(ranking.members) <= real:
                groups.setdefault(group_name(ranking.members), []).append(ranking)
    suite = judged.suite.capitalize()
    one_group = len(groups) == 1 and len(real) == len(judged.columns)
    lines = [
        f"{suite}{'' if one_group else f', within {name}'}: {_verdict_counts(rankings)}."
        for name, rankings in list(groups.items())[:_MOST_GROUPS]
    ]
    if len(judged.columns) < 2 or not rows:  # noqa: PLR2004 - two sides
        return []
    if not lines:
        return [f"{suite}: no two cases compare in any of {count_of(len(rows), 'row')}; the tables say why."]
    return [*lines, *_overall_winner(judged, rows)]


def _stands_in(column: Column) -> bool:
    return column.record.key is None or column.record.key.weights.source in STAND_INS


def _verdict_counts(rankings: Sequence[Ranking]) -> str:
    """Count the rows that each case wins, and the verdicts of the rows without a winner."""
    wins = Counter(ranking.winner for ranking in rankings if ranking.winner is not None)
    others = Counter(ranking.verdict for ranking in rankings if ranking.winner is None)
    counts = [f"{name} is better in {count}" for name, count in wins.items()]
    counts += [f"{verdict.value} in {others[verdict]}" for verdict in Verdict if others[verdict]]
    return f"of {count_of(len(rankings), 'row')} {', '.join(counts)}"


def group_name(members: Sequence[str]) -> str:
    """Name a group of cases by the model they share, or by all members where they have several models."""
    models = {member.partition("/")[0] for member in members}
    return models.pop() if len(models) == 1 else ", ".join(members)


def _overall_winner(judged: Judged, rows: Sequence[JudgedRow]) -> Iterator[str]:
    """Name the case that is at least level with all others on every primary metric, and wins at least one."""
    primary = [row for row in rows if row.name in PRIMARY[judged.suite]]
    names = [column.name for column in judged.columns]
    rankings = [row.rankings[0] for row in primary if set(row.rankings[0].members) == set(names)]
    metrics = ", ".join(dict.fromkeys(row.name for row in primary))
    not_judged = any(ranking.verdict is Verdict.NOT_JUDGED for ranking in rankings)
    if not primary or len(rankings) < len(primary) or not_judged:
        return
    never_worse = [name for name in names if all(name in ranking.level for ranking in rankings)]
    winner = next((name for name in never_worse if any(ranking.winner == name for ranking in rankings)), None)
    if winner is not None:
        yield f"On the whole {winner}: in no row of {metrics} is another better."
    else:
        yield f"No winner on the whole: none is at least level in every row of {metrics}."
