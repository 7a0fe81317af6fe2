"""Charts that compare cases: decoding speed by scenario and by context, memory by phase, quality against speed.

Each function returns a chart as values, without drawing it, or None where there is nothing to show. Titles are plain;
captions and descriptions are made of the numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from statistics import median

from harness.analysis.judge import STAND_INS
from harness.analysis.stats.estimates import process_values, summarize
from harness.report.figures.charts import Bars, Chart, Curve, Dash, Dots, Panel
from harness.report.sections.chart_captions import (
    NamedRecords,
    limit_cases,
    process_count,
    sentences,
    tokenizer_caution,
)
from harness.results.metrics import NO_WORK
from harness.results.records import Metric
from harness.units import format_number, format_value

MediansByLabel = dict[str, list[float]]  # the median of each process, in ascending order

_GIB = 2.0**30
_WIDE_RANGE = 10.0  # highest over lowest, from which a linear axis would press the lowest together
_SPREAD = 0.5  # of a category's width, over which its cases are spread


@limit_cases
def speed_by_scenario(cases: NamedRecords) -> Chart | None:
    """Draw the decoding speed in each scenario, with the median of every process."""
    measured = _measured(cases, "decode_tokens_per_s")
    labels = list(dict.fromkeys(chain.from_iterable(parts for _, parts in measured)))
    shifts = [_SPREAD * ((i + 0.5) / len(measured) - 0.5) for i in range(len(measured))]
    places = [
        [labels.index(label) + shift for label in parts] for (_, parts), shift in zip(measured, shifts, strict=True)
    ]
    panel = Panel(title="Decoding", x_label="scenario", y_label="token/s", categories=tuple(labels))
    chart = Chart(name="speed_by_scenario", title="Decoding speed by scenario", caption="", alt="", panels=(panel,))
    return _with_speeds(chart, cases, measured, places)


@limit_cases
def context_scaling(cases: NamedRecords) -> Chart | None:
    """Draw the decoding speed after contexts of several lengths."""
    measured = []
    for name, parts in _measured(cases, "context_decode_tokens_per_s"):
        by_depth = {label: parts[label] for label in sorted(parts, key=depth) if depth(label) < math.inf}
        if by_depth:
            measured.append((name, by_depth))
    places = [[depth(label) for label in parts] for _, parts in measured]
    panel = Panel(title="Decoding", x_label="tokens of context before", y_label="token/s")
    chart = Chart(name="context_scaling", title="Decoding speed after a context", caption="", alt="", panels=(panel,))
    return _with_speeds(chart, cases, measured, places)


@limit_cases
def memory_by_phase(cases: NamedRecords) -> Chart | None:
    """Draw the peak memory of the arrays in each phase of the work."""
    measured = []
    for name, parts in _measured(cases, "peak_active_bytes"):
        work = {label: values for label, values in parts.items() if label not in NO_WORK}
        if work:
            measured.append((name, work))
    labels = list(dict.fromkeys(chain.from_iterable(parts for _, parts in measured)))
    if not labels:
        return None
    bars = tuple(
        Bars(
            label=name,
            heights=tuple(median(parts[label]) / _GIB if label in parts else None for label in labels),
            color=color,
        )
        for color, (name, parts) in enumerate(measured)
    )
    clauses = []
    for name, parts in measured:
        medians = {label: median(values) for label, values in parts.items()}
        highest = max(medians, key=medians.__getitem__)
        clauses.append(f"{name} takes most in the phase {highest}, {format_value(medians[highest], 'byte')}")
    return Chart(
        name="memory_by_phase",
        title="Peak memory by phase",
        caption=(
            f"GiB (2^30 bytes) that the arrays of the allocator took at most. Bars: the median of "
            f"{_processes(measured)}; no interval is drawn. A missing bar: the case has no such phase."
        ),
        alt=sentences(clauses),
        panels=(
            Panel(title="Peak of arrays in use", x_label="phase", y_label="GiB", categories=tuple(labels), bars=bars),
        ),
    )


def quality_against_speed(cases: NamedRecords) -> Chart | None:
    """Draw bits per byte over decoding speed, a dot per name. Records of one name belong together, whatever the suite.

    Records of stand-in weights are left out, because their quality means nothing.
    """
    metrics: dict[str, dict[str, Metric]] = {}
    for name, record in cases:
        if record.key is None or record.key.weights.source in STAND_INS:
            continue
        for metric_name in ("decode_tokens_per_s", "bits_per_byte"):
            if (metric := record.metrics.get(metric_name)) and metric.samples:
                metrics.setdefault(name, {}).setdefault(metric_name, metric)
    points = [
        (name, summarize(pair["decode_tokens_per_s"].samples or ()), summarize(pair["bits_per_byte"].samples or ()))
        for name, pair in metrics.items()
        if len(pair) == 2  # noqa: PLR2004 - both were measured
    ]
    if not points:
        return None
    dots = tuple(
        Dots(label="", x=(speed.median,), y=(bits.median,), color=color, texts=(name,))
        for color, (name, speed, bits) in enumerate(points)
    )
    counts = sorted({summary.processes for _, speed, bits in points for summary in (speed, bits)})
    return Chart(
        name="quality_against_speed",
        title="Quality against speed",
        caption=(
            f"Bits per byte of the evaluation (lower is better) over the decoding speed in token/s, median of all "
            f"scenarios. Dots: the median of {process_count(counts)}; no interval is drawn. "
            f"{tokenizer_caution(cases, 'Speeds')}Models with stand-in weights are left out."
        ),
        alt=sentences(
            f"{name}: {format_number(bits.median)} bit/B at {format_number(speed.median)} token/s"
            for name, speed, bits in points
        ),
        panels=(Panel(title="Lower right is better", x_label="token/s", y_label="bit/B", dots=dots),),
    )


def depth(label: str | None) -> float:
    """Return the number of tokens in a label such as "depth 512"; infinity for any other label, so it sorts last."""
    number = (label or "").rpartition(" ")[2]
    return float(number) if number.isdecimal() else math.inf


def _measured(cases: NamedRecords, metric_name: str) -> list[tuple[str, MediansByLabel]]:
    """Return the process medians of a metric by label, for each case that has the metric."""
    metrics = [(name, record.metrics.get(metric_name)) for name, record in cases]
    parts_by_case = [(name, metric.parts()) for name, metric in metrics if metric is not None]
    return [
        (name, {label or "all": sorted(process_values(samples)) for label, samples in parts.items()})
        for name, parts in parts_by_case
        if parts
    ]


def _with_speeds(
    chart: Chart,
    cases: NamedRecords,
    measured: Sequence[tuple[str, MediansByLabel]],
    places: Sequence[Sequence[float]],
) -> Chart | None:
    """Add each case's medians and readings to *chart*, at the x in *places*; None if nothing was measured."""
    if not measured:
        return None
    lines, dots = [], []
    for color, ((name, parts), x) in enumerate(zip(measured, places, strict=True)):
        medians = tuple(median(values) for values in parts.values())
        lines.append(Curve(label=name, x=tuple(x), y=medians, color=color, dash=Dash.DOTTED, marker=True))
        dots += _process_dots(x, parts, color)
    speeds = [y for line in lines for y in line.y]
    log = max(speeds) > _WIDE_RANGE * min(speeds) > 0
    caption = (
        f"token/s{', on a logarithmic axis' * log}. Line: the median of {_processes(measured)}; dots: each process's "
        f"median, where there are several. No interval is drawn. {tokenizer_caution(cases, 'Speeds')}"
    )
    panels = (replace(chart.panels[0], lines=tuple(lines), dots=tuple(dots), log_y=log),)
    return replace(chart, caption=caption.strip(), alt=sentences(_ranges(measured, "token/s")), panels=panels)


def _process_dots(places: Sequence[float], parts: MediansByLabel, color: int) -> list[Dots]:
    """Dots for the processes of each label; none where a single process is the median itself."""
    points = [
        (x, value) for x, values in zip(places, parts.values(), strict=True) if len(values) > 1 for value in values
    ]
    if not points:
        return []
    return [Dots(label="", x=tuple(x for x, _ in points), y=tuple(y for _, y in points), color=color)]


def _ranges(measured: Sequence[tuple[str, MediansByLabel]], unit: str) -> list[str]:
    """State each case's lowest and highest median with their labels."""
    clauses = []
    for name, parts in measured:
        medians = {label: median(values) for label, values in parts.items()}
        low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        if len(medians) == 1:
            clauses.append(f"{name}: {format_number(medians[low])} {unit} ({low})")
        else:
            first, last = format_number(medians[low]), format_number(medians[high])
            clauses.append(f"{name}: from {first} ({low}) to {last} {unit} ({high})")
    return clauses


def _processes(measured: Sequence[tuple[str, MediansByLabel]]) -> str:
    return process_count(sorted({len(values) for _, parts in measured for values in parts.values()}))
