"""Cases and trainings that tests compare, and the comparison report about them."""

from harness.report.kinds.comparison import compare
from harness.results.records import Series
from tests.support.samples import POLICY, losses, measured, record


def page(*bundles):
    return compare(bundles, POLICY)


def case(name, waits, suite="inference", **others):
    labels = ("load", "generate", "process")
    gib = 2.0**30
    metrics = {
        "ttft_s": measured("ttft_s", *waits),
        "response_s": measured("response_s", *(10 * wait for wait in waits)),
        "peak_footprint_bytes": measured("peak_footprint_bytes", *[(gib, gib, 9 * gib)] * 5, labels=labels),
    }
    return record(f"{suite}/{name}/base", metrics=metrics, **others)


def training(points, tokens=10.0, val=None):
    x = tuple(at for at, _ in points)
    counted = Series(unit="token", x_unit="iteration", x=x, y=(tokens,) * len(x))
    series = {"train_loss": losses(*points), "real_tokens": counted} | ({"val_loss": losses(*val)} if val else {})
    return record("training/tiny/qv", series=series)


def lines_of(chart):
    return {line.label: (line.x, line.y) for line in chart.panels[0].lines}
