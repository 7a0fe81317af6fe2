"""Card of a data set: its rows by split, and their lengths in tokens of each model."""

from collections.abc import Iterator, Sequence

from harness.report.cells import none, text, texts
from harness.report.page import Cell, State, Table
from harness.report.render.yaml_block import Fact
from harness.report.sections.card import NOT_PROVIDED, Card, Part, compose
from harness.results.records import Record, number_in
from harness.units import format_number

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_COUNTED = {
    "rows": "row",
    "tokens": "token",
    "shortest_tokens": "token",
    "median_tokens": "token",
    "longest_tokens": "token",
    "targets": "token",
    "truncated_rows": "row",
    "text_bytes": "byte",
}
_SHORT_HASH = 12


def data_card(records: Sequence[Record], *, file_name: str) -> Card:
    """Write the card of one data set from all *records* that used it."""
    facts = next(record.key.dataset for record in records if record.key and record.key.dataset)
    name, rows = str(facts.get("name", "unnamed")), facts.get("rows")
    counts = rows.items() if isinstance(rows, dict) else ()
    by_split = {str(split): count for split, count in counts if type(count) is int}
    parts = [
        Part(title="Details", table=_details(facts)),
        Part(title="Rows", table=_rows(by_split)) if by_split else Part(title="Rows", words="Not recorded."),
        *_as_tokens(records),
        *(Part(title=title, words=NOT_PROVIDED) for title in ("Collection", "Personal information", "Licence", "Bias")),
    ]
    return compose(
        name=name, kind="data", file_name=file_name, facts=dict(_front(name, by_split)), banner=None, parts=parts
    )


def _front(name: str, rows: dict[str, int]) -> Iterator[tuple[str, Fact]]:
    yield "pretty_name", name
    yield "task_categories", ["text-generation"]
    if rows:
        total = sum(rows.values())
        yield "size_categories", [next((words for bound, words in _SIZES if total < bound), "10M<n")]
    yield "tags", ["tunebench"]


def _details(facts: dict[str, object]) -> Table:
    rows = [texts((name, _in_words(value))) for name, value in facts.items() if name != "rows"]
    return Table(columns=("fact", "value"), rows=tuple(rows), caption="Details")


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _rows(by_split: dict[str, int]) -> Table:
    rows = [(text(split), _count(count, "row")) for split, count in by_split.items()]
    return Table(columns=("split", "rows"), rows=tuple(rows), caption="Rows by split")


def _as_tokens(records: Sequence[Record]) -> Iterator[Part]:
    """Part with the token counts of each split and tokenizer. The same rows have other lengths for another model."""
    rows: dict[tuple[str, ...], tuple[Cell, ...]] = {}
    for record in records:
        if record.key and record.data:
            limit = record.key.settings.get("max_seq_length")
            for split, counts in record.data.items():
                head = (split, record.key.model, record.key.tokenizer, "none" if limit is None else str(limit))
                cells = [_count(number_in(counts, name), unit) for name, unit in _COUNTED.items()]
                rows.setdefault(head, (*texts((split, record.key.model, head[2][:_SHORT_HASH], head[3])), *cells))
    if rows:
        heads = ("split", "model", "tokenizer", "cut at", *(name.replace("_", " ") for name in _COUNTED))
        table = Table(columns=heads, rows=tuple(rows[head] for head in sorted(rows)), caption="Rows as tokens")
        words = "As each model sees the rows, its template included; targets bear loss; text is UTF-8 without markup."
        yield Part(title="As tokens", words=words, table=table)


def _count(value: object, unit: str) -> Cell:
    """Cell with a count, without its unit, which the head of the column names."""
    if not isinstance(value, int | float):
        return none()
    return Cell(text=format_number(value, as_integer=True), state=State.COMPUTED, value=value, unit=unit)
