"""A run as text for other programs: the bundle that every command here reads, or a line a reading for a spreadsheet."""

import csv
import io
from collections.abc import Iterator

from harness import codec
from harness.errors import UnknownName
from harness.records import Bundle, Metric, Record

FORMATS = ("json", "csv")
_HEAD = (
    "run", "case", "status", "reason", "model", "weights", "device", "metric", "label", "unit", "better", "kind",
    "process", "reading", "value",
)  # fmt: skip
# What makes a spreadsheet take a text for a formula. Source: OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full-width ones, too


def export(bundle: Bundle, form: str) -> str:
    """Write a run in one of FORMATS.

    Raises:
        UnknownName: if there is no such format.
    """
    if form == "json":
        return codec.encode(bundle, indent=1).decode()
    if form == "csv":
        return _csv(bundle)
    raise UnknownName("export format", form, FORMATS)


def _csv(bundle: Bundle) -> str:
    """One line a reading, and one for what was not measured, with the reason in place of a value."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    lines.writerow(_HEAD)
    for record in bundle.records:
        case = (bundle.run.id, record.case, record.status.value, record.reason or "", *_measured_with(record))
        if not record.metrics:
            lines.writerow([*map(_inert, case), *[""] * (len(_HEAD) - len(case))])
        for name, metric in record.metrics.items():
            for label, process, reading, value in _readings(metric):
                about = (name, label or "", metric.unit, metric.better.value, metric.kind.value)
                lines.writerow([*map(_inert, (*case, *about)), process, reading, _inert(value)])
    return file.getvalue()


def _measured_with(record: Record) -> tuple[str, str, str]:
    key = record.key
    return ("", "", "") if key is None else (key.model, key.weights.source, key.device)


def _readings(metric: Metric) -> Iterator[tuple[str | None, int | None, int | None, float | str]]:
    if metric.samples is None:
        yield None, None, None, f"not measured: {metric.reason}"
    for label, samples in metric.parts().items():
        for process, readings in enumerate(samples, start=1):
            for place, value in enumerate(readings, start=1):
                yield label, process, place, value


def _inert(value: float | str) -> float | str:
    """A text that no spreadsheet takes for a formula: an apostrophe before it makes it a text. Numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
