"""Metrics of a suite, a row each, judged once for table, headline and figures. Pure; it asks `judge`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.analysis.means import over_labels
from harness.cells import Column, Footnotes, part_cell
from harness.judge import Contender, Ranking, Verdict, rank
from harness.metrics import DEFINITIONS
from harness.pages import Cell
from harness.records import Better, Metric, Status
from harness.texts import SCENARIOS

ROWS = {
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
        "test_loss", "test_perplexity", "bits_per_byte", "rating", "eos_rate", "leak_rate", "copied_share",
        "response_words",
        "adapter_kl_nat_per_token", "fused_kl_nat_per_token", "fused_top1_agreement",
    ),
    "inference": (
        "load_s", "disk_bytes", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s",
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
_NOT_THE_WORK = {"probe", "process"}  # phases of the machine's probe, and of all that is in the process
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
    rows = [row for name in names or ROWS[suite] for row in _rows(name, its, notes)]
    return Judged(suite=suite, columns=its, rows=tuple(rows), notes=notes)


def _rows(name: str, columns: Sequence[Column], notes: Footnotes) -> list[Row]:
    metrics = [column.record.metrics.get(name) for column in columns]
    parts = [metric.parts() if metric else {} for metric in metrics]
    labels: dict[str | None, None] = dict.fromkeys(label for its in parts for label in its)
    if name == "peak_active_bytes":
        labels = {label: None for label in labels if label not in _NOT_THE_WORK}
    if not labels and any(metrics):
        labels = {None: None}
    rows = [_row(name, label, columns, metrics, [its.get(label) for its in parts], notes) for label in labels]
    if len(labels) > 1 and set(labels) <= set(SCENARIOS):
        means = [over_labels(metric, labels) for metric in metrics]
        samples = [mean.samples if mean else None for mean in means]
        rows.append(_row(name, "geometric mean", columns, metrics, samples, notes))
    return rows


_Samples = tuple[tuple[float, ...], ...] | None


def _row(
    name: str,
    label: str | None,
    columns: Sequence[Column],
    metrics: Sequence[Metric | None],
    samples: Sequence[_Samples],
    notes: Footnotes,
) -> Row:
    return Row(
        name=name,
        label=label,
        cells=tuple(part_cell(metric, its, notes) for metric, its in zip(metrics, samples, strict=True)),
        rankings=_rankings(columns, metrics, samples),
    )


def _rankings(
    columns: Sequence[Column], metrics: Sequence[Metric | None], samples: Sequence[_Samples]
) -> tuple[Ranking, ...]:
    contenders = [
        Contender(name=column.name, key=column.record.key, metric=replace(metric, samples=its, labels=None))
        for column, metric, its in zip(columns, metrics, samples, strict=True)
        if column.record.status is Status.OK and metric is not None and its is not None
    ]
    if len(contenders) < 2 or contenders[0].metric.better is Better.NONE:  # noqa: PLR2004 - two sides
        return ()
    return rank(contenders)


def headline(judged: Judged) -> str | None:
    """Count what was decided, and name an overall winner only where nothing speaks against it; None of one case."""
    rows = [row for row in judged.rows if row.rankings]
    if len(judged.columns) < 2 or not rows:  # noqa: PLR2004 - two sides
        return None
    wins = Counter(its.winner for row in rows for its in row.rankings if its.winner is not None)
    others = Counter(_undecided(row.rankings) for row in rows if not any(its.winner for its in row.rankings))
    counts = [f"{name} is better in {count}" for name, count in wins.items()]
    counts += [f"{verdict.value} in {others[verdict]}" for verdict in Verdict if others[verdict]]
    return f"{judged.suite.capitalize()}: of {len(rows)} rows {', '.join(counts)}. {_overall(judged, rows)}"


def _undecided(rankings: Sequence[Ranking]) -> Verdict:
    """The verdict on the first group of several; of none, that nothing compares."""
    return next((its.verdict for its in rankings if len(its.members) > 1), Verdict.NOT_COMPARABLE)


def _overall(judged: Judged, rows: Sequence[Row]) -> str:
    """A winner on the whole is at least level on every primary metric, against every other, and wins one."""
    primary = [row for row in rows if row.name in PRIMARY[judged.suite]]
    names = [column.name for column in judged.columns]
    whole = [row.rankings[0] for row in primary if set(row.rankings[0].members) == set(names)]
    if not primary or len(whole) < len(primary):
        return "No winner on the whole: not every case compares with every other in what a choice turns on."
    never_worse = [name for name in names if all(name in its.level or its.winner == name for its in whole)]
    best = [name for name in never_worse if any(its.winner == name for its in whole)]
    if best:
        return f"On the whole {best[0]}: in no row of {_listed(primary)} is another better."
    return "No winner on the whole: none is at least level in every row of what a choice turns on."


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(row.name for row in rows))
