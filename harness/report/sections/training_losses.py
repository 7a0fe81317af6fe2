"""Losses of several trainings side by side: a table, a row per printed list of losses, and a chart over tokens."""

from collections.abc import Sequence

from harness.report.cells import Column, none, plain, text
from harness.report.figures.charts import Chart, Curve, Dash, Panel
from harness.report.page import Cell, Section, State, Table
from harness.report.sections.chart_captions import (
    NamedRecords,
    limit_cases,
    loss_in_words,
    sentences,
    tokenizer_caution,
)
from harness.report.sections.loss_curves import best, points, running_median, tokens_at, window_of, x_and_y
from harness.units import format_number

_MOST_ITERATIONS = 40  # rows of the trajectory; of more, every nth is shown, and the first, best, worst and last
_MOST_CASES = 12


def trajectory(columns: Sequence[Column]) -> Section:
    """Section with the training and validation loss of each case at the iterations of its validations."""
    validated = [column for column in columns if "val_loss" in column.record.series][:_MOST_CASES]
    curves = [
        dict(points(column.record.series.get(name))) for column in validated for name in ("train_loss", "val_loss")
    ]
    train_curves, val_curves = curves[::2], curves[1::2]
    first_iterations = {min(curve) for curve in train_curves if curve}
    iterations = _thinned(val_curves, sorted({x for curve in val_curves for x in curve} | first_iterations))
    rows = [(plain(x, "iteration"), *(_loss(curve.get(x)) for curve in curves)) for x in iterations]
    heads = [f"{column.name} {kind}" for column in validated for kind in ("train", "val")]
    return Section(
        name="trajectory",
        title="Loss trajectory",
        text="In nat/token over real targets alone, of the first process, by iterations done. train: the step's own "
        "batch. val: all validation rows once.",
        tables=(Table(columns=("iteration", *heads), rows=tuple(rows), caption="Loss trajectory"),),
    )


def _thinned(val_curves: Sequence[dict[float, float]], iterations: Sequence[float]) -> list[float]:
    """Keep evenly spaced iterations, the first and the last, and the best and worst of each validation curve."""
    if len(iterations) <= _MOST_ITERATIONS:
        return list(iterations)
    step = -(-len(iterations) // _MOST_ITERATIONS)
    kept = {iterations[0], iterations[-1], *iterations[::step]}
    for curve in val_curves:
        by_loss = sorted(curve, key=lambda x: curve[x])
        kept |= {by_loss[0], by_loss[-1]}
    return sorted(kept)


def _loss(value: float | None) -> Cell:
    if value is None:
        return none()
    return Cell(text=f"{value:.3f}", state=State.MEASURED, value=value, unit="nat/token")


def losses_in_order(columns: Sequence[Column]) -> Section:
    """Section with losses that a published report prints in order but without iterations: a row each, no curve."""
    rows = [
        (
            text(column.name),
            text(name.removesuffix("_points").replace("_", " ")),
            text(" → ".join(f"{y:.3f}" for y in series.y)),
        )
        for column in columns
        for name, series in column.record.series.items()
        if name.endswith("_points")
    ]
    table = Table(
        columns=("case", "of", "nat/token, in the order printed"), rows=tuple(rows), caption="Losses as printed"
    )
    return Section(
        name="losses-in-order",
        title="Losses in the order printed",
        text="Their iterations are not printed, so they make no curve.",
        tables=(table,),
    )


@limit_cases
def losses_over_tokens(cases: NamedRecords) -> Chart | None:
    """Draw the training and validation losses of several trainings over the tokens trained on."""
    lines: list[Curve] = []
    clauses: list[str] = []
    smoothed = False
    for color, (name, record) in enumerate(cases):
        train, val = record.series.get("train_loss"), record.series.get("val_loss")
        if train and (tokens := tokens_at(record, train.x)):
            window = window_of(len(train.y))
            smoothed |= window > 1
            x, y = _with_known_tokens(tokens, running_median(train.y, window))
            lines.append(Curve(label=f"{name}, training", x=x, y=y, color=color))
            clauses.append(loss_in_words(f"Training loss of {name}", train))
        if val and (tokens := tokens_at(record, val.x)):
            x, y = _with_known_tokens(tokens, val.y)
            lines.append(Curve(label=f"{name}, validation", x=x, y=y, color=color, dash=Dash.DASHED, marker=True))
            clauses.append(f"Best validation loss of {name} {format_number(best(val)[1])}")
    if not lines:
        return None
    medians = "Training losses of more than 200 steps are running medians of a 50th of them. " if smoothed else ""
    several = any(record.processes > 1 for _, record in cases)
    process = "Curves are of the first process of each case. " if several else ""
    return Chart(
        name="losses_over_tokens",
        title="Losses over tokens",
        caption=f"nat/token. {medians}{process}{tokenizer_caution(cases, 'Losses')}".strip(),
        alt=sentences(clauses),
        panels=(Panel(title="Loss", x_label="real tokens", y_label="nat/token", log_y=True, lines=tuple(lines)),),
    )


def _with_known_tokens(
    tokens: Sequence[float | None], losses: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return tokens as x and losses as y, without the points whose tokens are not known."""
    return x_and_y([(x, y) for x, y in zip(tokens, losses, strict=True) if x is not None])
