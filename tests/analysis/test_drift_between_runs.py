import pytest

from harness.analysis.drift import PROBES
from harness.analysis.drift_between_runs import shift
from tests.support.samples import bundle, key, measured, record

GEMM, COPY = PROBES
STEADY = [100.0, 101.0, 99.0, 100.0, 100.5]


def run(rates, *, probe=GEMM, dtype="float32", **changes):
    return bundle(record(key=key(dtype=dtype), metrics={probe: measured(probe, *rates)}), **changes)


def of(probe, baseline, candidate):
    return next(its for its in shift(baseline, candidate) if its.probe == probe)


def test_a_machine_that_is_a_tenth_slower_has_changed():
    its = of(GEMM, run(STEADY), run([rate * 0.9 for rate in STEADY]))
    assert its.beyond_noise is True
    assert its.ratio.point == pytest.approx(0.9)
    assert its.processes == (5, 5)
    assert its.words == "matrix products: 10.00 % slower than when the baseline was made"


def test_a_faster_machine_has_changed_too():
    its = of(COPY, run(STEADY, probe=COPY), run([rate * 1.1 for rate in STEADY], probe=COPY))
    assert (its.beyond_noise, its.words) == (True, "moving memory: 10.00 % faster than when the baseline was made")


def test_a_real_change_within_the_tolerance_does_not_matter():
    its = of(GEMM, run(STEADY), run([rate * 0.975 for rate in STEADY]))
    assert its.ratio.high < 1
    assert its.beyond_noise is False


def test_a_large_change_within_the_noise_is_none():
    its = of(GEMM, run([50.0, 100.0, 150.0, 100.0, 90.0]), run([60.0, 80.0, 140.0, 85.0, 90.0]))
    assert its.ratio.point < 0.97
    assert its.beyond_noise is False


@pytest.mark.parametrize("rates", [[90.0], [90.0, 90.0, 90.0]])
def test_few_processes_leave_it_unknown(rates):
    its = of(GEMM, run([100.0] * len(rates)), run(rates))
    assert (its.ratio, its.beyond_noise) == (None, None)
    assert "too few" in its.words


def test_no_probe_or_one_that_read_0_leaves_it_unknown():
    assert of(COPY, run(STEADY), run(STEADY)).beyond_noise is None
    assert of(GEMM, run(STEADY), run([*STEADY[:4], 0.0])).beyond_noise is None
    assert of(GEMM, run([*STEADY[:4], 0.0]), run(STEADY)).beyond_noise is None


def test_compute_types_are_compared_with_their_like():
    """Mostly processes of the faster type in the candidate, of the slower one in the baseline: the machine is one."""

    def both(slow, fast, **changes):
        records = [
            record(f"inference/{dtype}/base", key=key(dtype=dtype), metrics={GEMM: measured(GEMM, *rates)})
            for dtype, rates in (("float32", slow), ("float16", fast))
        ]
        return bundle(*records, **changes)

    doubled = [rate * 2 for rate in STEADY]
    its = of(GEMM, both(STEADY * 3, doubled), both(STEADY, doubled * 3))
    assert its.ratio.point == pytest.approx(1.0, abs=0.005)
    assert its.processes == (20, 20)


def test_a_compute_type_of_one_side_alone_says_nothing():
    assert of(GEMM, run(STEADY), run(STEADY, dtype="float16")).processes == (0, 0)


def test_a_case_that_was_not_identified_says_nothing():
    lost = bundle(record(key=None, metrics={GEMM: measured(GEMM, *STEADY)}))
    assert of(GEMM, lost, run(STEADY)).beyond_noise is None


def test_many_processes_are_thinned_evenly():
    """The later half of 400 is slower: who took the first 40 alone would not see it."""
    its = of(GEMM, run([100.0] * 400), run([100.0] * 120 + [80.0] * 280))
    assert its.processes == (400, 400)
    assert its.ratio.point == pytest.approx(0.8)
