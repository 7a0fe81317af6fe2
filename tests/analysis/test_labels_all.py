from dataclasses import replace

import pytest

from harness.analysis.labels import over_all_labels
from harness.results.records import Better, Kind, Metric

RATES = Metric(
    unit="token/s",
    better=Better.HIGHER,
    kind=Kind.TIMING,
    samples=((10.0, 90.0, 40.0, 40.0), (20.0, 20.0, 5.0, 5.0)),
    labels=("short", "short", "long", "long"),
)


def test_each_process_is_the_geometric_mean_of_its_labels_medians():
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
