"""Summarize a record on one line, for the terminal and `tunebench show`."""

from statistics import median

from harness.analysis.stats.estimates import summarize
from harness.results.metrics import NO_WORK
from harness.results.records import Record, Status
from harness.units import NOT_MEASURED, format_value

_WORK = "any phase of the work"
# Suite -> (metric, label or None for all labels, word before the figure)
_HEADLINES: dict[str, tuple[tuple[str, str | None, str], ...]] = {
    "training": (
        ("train_tokens_per_s", None, "train"),
        ("val_loss_first", None, "val loss"),
        ("val_loss_best", None, "best"),
        ("peak_active_bytes", _WORK, "peak"),
    ),
    "evaluation": (
        ("test_loss", None, "test loss"),
        ("bits_per_byte", None, "bits/byte"),
        ("eos_rate", None, "stopped by itself"),
        ("peak_active_bytes", _WORK, "peak"),
    ),
    "inference": (
        ("ttft_s", None, "TTFT"),
        ("prefill_tokens_per_s", None, "prefill"),
        ("decode_tokens_per_s", None, "decode"),
        ("peak_active_bytes", _WORK, "peak"),
    ),
}


def headline_cells(record: Record) -> dict[str, str]:
    """Map the word for each headline figure to its text.

    A figure is the median over scenarios of their medians; for memory it is the highest phase of the work.
    """
    cells = {}
    for name, label, word in _HEADLINES.get(record.suite, ()):
        metric = record.metrics.get(name)
        parts = {} if metric is None else metric.parts()
        selected = [
            samples
            for part_label, samples in parts.items()
            if label in {None, part_label} or (label == _WORK and part_label not in NO_WORK)
        ]
        if metric is None or not selected:
            cells[word] = NOT_MEASURED
            continue
        medians = [summarize(samples).median for samples in selected]
        value = max(medians) if label == _WORK else median(medians)
        cells[word] = format_value(value, "" if metric.unit in {"nat/token", "bit/byte", "share"} else metric.unit)
    return cells


def headline(record: Record) -> str:
    """Format a record on one line: its headline figures, or its status and reason if it did not end ok."""
    if record.status is not Status.OK:
        return f"{record.status.value}: {record.reason}"
    cells = headline_cells(record) or {"metrics": str(len(record.metrics))}
    return ", ".join(f"{word} {value}" for word, value in cells.items())
