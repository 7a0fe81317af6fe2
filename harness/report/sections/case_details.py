"""What was measured beyond single metrics: losses along the way, memory by phase, answers side by side. Pure."""

from collections.abc import Sequence

from harness.analysis.judge import STAND_INS
from harness.inputs.cases import SUITES
from harness.report.cells import Column, Footnotes, code, computed, metric_cell, none, plain, text
from harness.report.page import Cell, Listing, Section, State, Table
from harness.report.sections.loss_curves import points
from harness.results.metrics import NO_WORK
from harness.results.records import Output, Record

_MEMORY = ("peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes")
_MOST_MARKS = 40  # rows of a trajectory; beyond, every so-many-th validation is shown, and the first, best and last
_MOST_PROMPTS = 20
_MOST_CASES = 12


def trajectory(columns: Sequence[Column]) -> Section:
    """Training and validation loss where validation took place."""
    its = [column for column in columns if "val_loss" in column.record.series][:_MOST_CASES]
    curves = [dict(points(column.record.series.get(name))) for column in its for name in ("train_loss", "val_loss")]
    marks = _thinned(curves[1::2], sorted({x for curve in curves[1::2] for x in curve} | _ends(curves[::2])))
    rows = [(plain(mark, "iteration"), *(_loss(curve.get(mark)) for curve in curves)) for mark in marks]
    heads = [f"{column.name} {kind}" for column in its for kind in ("train", "val")]
    return Section(
        name="trajectory",
        title="Loss trajectory",
        text="In nat/token over real targets alone, of the first process, by iterations done. train: the step's own "
        "batch. val: all validation rows once.",
        tables=(Table(columns=("iteration", *heads), rows=tuple(rows), caption="Loss trajectory"),),
    )


def in_order(columns: Sequence[Column]) -> Section:
    """Losses that a report printed one after the other, without saying at which iterations: no curve, but a row."""
    rows = [
        (
            text(column.name),
            text(name.removesuffix("_points").replace("_", " ")),
            text(" → ".join(f"{y:.3f}" for y in its.y)),
        )
        for column in columns
        for name, its in column.record.series.items()
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


def _ends(curves: Sequence[dict[float, float]]) -> set[float]:
    """The first reading of each training loss."""
    return {min(curve) for curve in curves if curve}


def _thinned(validations: Sequence[dict[float, float]], marks: Sequence[float]) -> list[float]:
    """At most so many marks, evenly chosen, and always the first, the last, and the best and worst of each curve."""
    if len(marks) <= _MOST_MARKS:
        return list(marks)
    kept = {marks[0], marks[-1]} | {marks[place] for place in range(0, len(marks), -(-len(marks) // _MOST_MARKS))}
    for curve in validations:
        ordered = sorted(curve, key=lambda x: curve[x])
        kept |= {ordered[0], ordered[-1]}
    return sorted(kept)


def _loss(value: float | None) -> Cell:
    if value is None:
        return none()
    return Cell(text=f"{value:.3f}", state=State.MEASURED, value=value, unit="nat/token")


def memory(columns: dict[str, list[Column]], *, suites: Sequence[str] = SUITES) -> Section:
    """Peaks by suite, case and phase of the work."""
    notes = Footnotes()
    rows = []
    for suite in suites:
        for column in columns[suite]:
            metrics = column.record.metrics
            labels = dict.fromkeys(label for name in _MEMORY if name in metrics for label in metrics[name].parts())
            for label in labels:
                if label not in NO_WORK:
                    cells = (metric_cell(metrics.get(name), label, notes) for name in _MEMORY)
                    rows.append((text(f"{suite} {column.name}"), text(label or ""), *cells))
    return Section(
        name="memory",
        title="Memory",
        text="High-water marks of each phase, reset at its start; the cache as large as at its end.",
        tables=(
            Table(
                columns=("case", "phase", *_MEMORY),
                rows=tuple(rows),
                notes=tuple(notes.texts),
                caption="Memory by phase",
            ),
        ),
        detail=True,
    )


def answers(columns: Sequence[Column]) -> Section:
    """Every prompt once, with the answers one below the other, as they came; of random weights none."""
    its = [column for column in columns if column.record.outputs]
    real = [column for column in its if not _is_random(column)]
    shown = real[:_MOST_CASES]
    found = {column.name: {(it.prompt_id, it.prompt): it for it in column.record.outputs} for column in shown}
    questions = list(dict.fromkeys(question for answer in found.values() for question in answer))
    listings = []
    for question in questions[:_MOST_PROMPTS]:
        listings.append(Listing(title=f"Prompt {question[0]}", text=question[1]))
        for name, answer in found.items():
            output = answer.get(question)
            if output is None:
                listings.append(Listing(title=f"{name}: not recorded", text=""))
            else:
                listings.append(Listing(title=f"{name}: {_about(output)}", text=output.text))
    left_out = len(questions) - _MOST_PROMPTS
    sentences = [
        f"The first {min(len(questions), _MOST_PROMPTS)} prompts in the suite's order, none chosen.",
        f"{left_out} more prompts are in the JSON." if left_out > 0 else "",
        f"{len(real) - len(shown)} more cases are in the JSON." if len(real) > len(shown) else "",
        f"Left out as noise of random weights: {len(its) - len(real)}." if len(its) > len(real) else "",
    ]
    return Section(
        name="answers", title="Answers", text=" ".join(filter(None, sentences)), listings=tuple(listings), detail=True
    )


def _is_random(column: Column) -> bool:
    return column.record.key is not None and column.record.key.weights.source in STAND_INS


def _about(output: Output) -> str:
    words = len(output.text.split())
    tokens = "" if output.output_tokens is None else f", {output.output_tokens} tokens"
    ending = _ENDINGS.get(output.finish_reason, output.finish_reason)
    return f"{words} word{'' if words == 1 else 's'}{tokens}, {ending}"


_ENDINGS = {"stop": "ended by itself", "length": "cut at the token limit", "unknown": "how it ended is not known"}


def artifacts(records: Sequence[Record]) -> Section:
    """What the cases left as files: path, size, hash."""
    rows = [
        (text(record.case), code(its.path), computed(its.bytes, "byte"), text(its.sha256[:12]))
        for record in records
        for its in record.artifacts
    ]
    table = Table(columns=("case", "file", "size", "sha256"), rows=tuple(rows), caption="Files the cases left")
    return Section(name="artifacts", title="Files", tables=(table,), detail=True)
