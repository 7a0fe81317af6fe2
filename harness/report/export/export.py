"""Export a run for other programs: as a JSON bundle, CSV, Parquet, or the format of another benchmark tool."""

import csv
import io
from collections.abc import Callable, Iterator

from harness.errors import HarnessError, UnknownName
from harness.report.export import benchmark_formats
from harness.results import codec
from harness.results.records import Bundle, Metric, Record

_PYTEST, _ACTION = "pytest-benchmark", "github-action-benchmark"
PARQUET = "parquet"
FORMATS = ("json", "csv", PARQUET, _PYTEST, _ACTION)
_Value = str | float | None
_HEAD = (
    "run", "case", "status", "reason", "model", "weights", "device", "metric", "label", "unit", "better", "kind",
    "process", "reading", "value",
)  # fmt: skip
# First characters that make a spreadsheet read a text as a formula. Source: OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the last four are full-width


def export(bundle: Bundle, form: str, *, better: str | None = None) -> bytes:
    """Write a run in one of FORMATS; text formats are in UTF-8.

    *better* selects the metrics for github-action-benchmark: "lower" (the default) or "higher".

    Raises:
        UnknownName: if there is no such format.
        HarnessError: if the run holds nothing that the format has room for.
    """
    if better is not None and form != _ACTION:
        raise HarnessError(f"--better {better} is an option of --format {_ACTION}; leave it out with {form}")
    makers: dict[str, Callable[[], bytes | str]] = {
        "json": lambda: codec.encode(bundle, indent=1),
        "csv": lambda: _csv(bundle),
        PARQUET: lambda: _parquet(bundle),
        _PYTEST: lambda: benchmark_formats.pytest_benchmark_json(bundle),
        _ACTION: lambda: benchmark_formats.github_action_benchmark_json(
            bundle, better or benchmark_formats.DIRECTIONS[0]
        ),
    }
    if form not in makers:
        raise UnknownName("export format", form, FORMATS)
    made = makers[form]()
    return made if isinstance(made, bytes) else made.encode(errors="replace")  # half a character is no UTF-8


def _csv(bundle: Bundle) -> str:
    """Write one line per reading; a metric that was not measured has one line with the reason as its value."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    lines.writerow(_HEAD)
    for line in _lines(bundle):
        lines.writerow(["" if cell is None else _inert(cell) for cell in line])
    return file.getvalue()


def _parquet(bundle: Bundle) -> bytes:
    """Write the same lines as Parquet; a value is a number or null, and the column *not_measured* has the reason.

    Raises:
        HarnessError: if pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - large, and few need it
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise HarnessError("Parquet needs pyarrow: pip install 'tunebench[datasets]'") from error
    types = {"process": pa.int64(), "reading": pa.int64(), "value": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in (*_HEAD, "not_measured")])
    rows = [
        (*line[:-1], *((line[-1], None) if isinstance(line[-1], float | int) else (None, line[-1])))
        for line in _lines(bundle)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in schema]
    out = pa.BufferOutputStream()
    pq.write_table(
        pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema),
        out,
    )
    return bytes(out.getvalue())


def _lines(bundle: Bundle) -> Iterator[tuple[_Value, ...]]:
    """Yield the lines under the heading _HEAD; a cell that does not apply is None."""
    for record in bundle.records:
        case = (bundle.run.id, record.case, record.status.value, record.reason, *_measured_with(record))
        if not record.metrics:
            yield (*case, *[None] * (len(_HEAD) - len(case)))
        for name, metric in record.metrics.items():
            for label, process, reading, value in _readings(metric):
                about = (name, label, metric.unit, metric.better.value, metric.kind.value)
                yield (*case, *about, process, reading, value)


def _measured_with(record: Record) -> tuple[str | None, ...]:
    key = record.key
    return (None, None, None) if key is None else (key.model, key.weights.source, key.device)


def _readings(metric: Metric) -> Iterator[tuple[str | None, int | None, int | None, float | str]]:
    if metric.samples is None:
        yield None, None, None, f"not measured: {metric.reason}"
    for label, samples in metric.parts().items():
        for process, readings in enumerate(samples, start=1):
            for place, value in enumerate(readings, start=1):
                yield label, process, place, value


def _inert(value: float | str) -> float | str:
    """Put an apostrophe before a text that a spreadsheet would read as a formula; return numbers unchanged."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
