from dataclasses import replace

import pytest

from harness.analysis.labels import over_all_labels, over_labels
from harness.results.records import Better, Kind, Metric
from tests.support.samples import measured

LABELS = ("short", "long")


def test_a_process_becomes_the_geometric_mean_of_its_labels_medians():
    metric = measured("ttft_s", (1.0, 2.0, 9.0, 8.0), (3.0, 3.0, 3.0, 12.0), labels=("short", "short", "short", "long"))
    mean = over_labels(metric, LABELS)
    assert mean.samples == ((pytest.approx(4.0),), (pytest.approx(6.0),))  # sqrt(2 x 8), sqrt(3 x 12)
    assert (mean.labels, mean.unit, mean.better) == (None, metric.unit, metric.better)


def test_only_the_labels_asked_for_count():
    metric = measured("ttft_s", (1.0, 4.0, 100.0), labels=("short", "long", "probe"))
    assert over_labels(metric, LABELS).samples == ((pytest.approx(2.0),),)


def test_there_is_none_of_what_was_not_measured_or_is_zero():
    assert over_labels(None, LABELS) is None
    assert over_labels(measured("ttft_s", reason="no clock"), LABELS) is None
    assert over_labels(measured("ttft_s", (1.0,), labels=("short",)), LABELS) is None
    assert over_labels(measured("ttft_s", (0.0, 1.0), labels=LABELS), LABELS) is None


RATES = Metric(
    unit="token/s",
    better=Better.HIGHER,
    kind=Kind.TIMING,
    samples=((10.0, 90.0, 40.0, 40.0), (20.0, 20.0, 5.0, 5.0)),
    labels=("short", "short", "long", "long"),
)


def test_over_all_labels_a_process_is_the_geometric_mean_of_the_medians():
    """Medians 50 and 40, then 20 and 5: roots of 2000 and of 100."""
    whole = over_all_labels(RATES)
    assert [value for (value,) in whole.samples] == pytest.approx([2000**0.5, 10.0])
    assert (whole.labels, whole.unit, whole.better, whole.kind) == (None, "token/s", Better.HIGHER, Kind.TIMING)


@pytest.mark.parametrize(
    "other",
    [
        replace(RATES, labels=None),
        replace(RATES, kind=Kind.MEMORY),
        replace(RATES, samples=((10.0, 90.0, 40.0, 0.0), (20.0, 20.0, 5.0, 5.0))),
        replace(RATES, samples=None, reason="no meter"),
    ],
)
def test_there_is_none_of_what_has_no_labels_is_no_rate_or_reads_nothing(other):
    assert over_all_labels(other) is None
