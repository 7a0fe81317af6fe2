import pytest

from harness.analysis.labels import over_labels
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
