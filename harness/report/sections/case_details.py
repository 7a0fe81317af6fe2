"""Details of each case beyond single metrics: memory by phase, answers to the prompts, and files it wrote."""

from collections.abc import Sequence

from harness.analysis.judge import STAND_INS
from harness.inputs.cases import SUITES
from harness.report.cells import Column, Footnotes, code, computed, metric_cell, text
from harness.report.page import Listing, Section, Table
from harness.results.metrics import NO_WORK
from harness.results.records import Output, Record
from harness.units import count_of

_MEMORY = ("peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes")
_MOST_PROMPTS = 20
_MOST_CASES = 12
_SHORT_HASH = 12
_ENDINGS = {"stop": "ended by itself", "length": "cut at the token limit", "unknown": "how it ended is not known"}


def memory(columns: dict[str, list[Column]], *, suites: Sequence[str] = SUITES) -> Section:
    """Section with peak memory by suite, case and phase of the work."""
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
    """Section with each prompt and the unedited answers of all cases below it, without answers of random weights."""
    answered = [column for column in columns if column.record.outputs]
    real = [column for column in answered if not _is_stand_in(column)]
    shown_columns = real[:_MOST_CASES]
    outputs = {
        column.name: {(output.prompt_id, output.prompt): output for output in column.record.outputs}
        for column in shown_columns
    }
    prompts = list(dict.fromkeys(prompt for by_prompt in outputs.values() for prompt in by_prompt))
    listings = []
    for prompt in prompts[:_MOST_PROMPTS]:
        prompt_id, prompt_text = prompt
        listings.append(Listing(title=f"Prompt {prompt_id}", text=prompt_text))
        for name, by_prompt in outputs.items():
            output = by_prompt.get(prompt)
            if output is None:
                listings.append(Listing(title=f"{name}: not recorded", text=""))
            else:
                listings.append(Listing(title=f"{name}: {_length_and_ending(output)}", text=output.text))
    left_out = len(prompts) - _MOST_PROMPTS
    sentences = [
        f"The first {min(len(prompts), _MOST_PROMPTS)} prompts in the suite's order, none chosen.",
        f"{left_out} more prompts are in the JSON." if left_out > 0 else "",
        f"{len(real) - len(shown_columns)} more cases are in the JSON." if len(real) > len(shown_columns) else "",
        f"Left out as noise of random weights: {len(answered) - len(real)}." if len(answered) > len(real) else "",
    ]
    return Section(
        name="answers", title="Answers", text=" ".join(filter(None, sentences)), listings=tuple(listings), detail=True
    )


def _is_stand_in(column: Column) -> bool:
    return column.record.key is not None and column.record.key.weights.source in STAND_INS


def _length_and_ending(output: Output) -> str:
    tokens = "" if output.output_tokens is None else f", {output.output_tokens} tokens"
    ending = _ENDINGS.get(output.finish_reason, output.finish_reason)
    return f"{count_of(len(output.text.split()), 'word')}{tokens}, {ending}"


def artifacts(records: Sequence[Record]) -> Section:
    """Section with the files that the cases wrote: path, size and hash."""
    rows = [
        (text(record.case), code(file.path), computed(file.bytes, "byte"), text(file.sha256[:_SHORT_HASH]))
        for record in records
        for file in record.artifacts
    ]
    table = Table(columns=("case", "file", "size", "sha256"), rows=tuple(rows), caption="Files the cases left")
    return Section(name="artifacts", title="Files", tables=(table,), detail=True)
