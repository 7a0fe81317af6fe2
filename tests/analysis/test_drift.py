import pytest

from harness.analysis.drift import PROBES, drifts
from tests.support.samples import key, measured, record

GEMM, COPY = PROBES


def session(rates, *, probe=GEMM, case="inference/tiny/base"):
    """A session of one case, a process a rate; give its order and its records."""
    order = [f"{case}#{number}" for number in range(1, len(rates) + 1)]
    return order, [record(case, metrics={probe: measured(probe, *rates)})]


def drift_of(order, records, probe=GEMM):
    return next(its for its in drifts(order, records) if its.probe == probe)


def test_a_machine_that_slows_down_by_a_tenth_has_drifted():
    found = drift_of(*session([100.0, 101.0, 99.0, 100.0, 90.0, 91.0, 89.0, 90.0]))
    assert found.beyond_noise
    assert found.ratio.point == pytest.approx(0.9, rel=0.01)
    assert found.words.startswith("matrix products: -10.00 % from the first to the second half")


def test_a_machine_that_speeds_up_has_drifted_too():
    found = drift_of(*session([90.0, 91.0, 89.0, 90.0, 100.0, 101.0, 99.0, 100.0], probe=COPY), probe=COPY)
    assert found.beyond_noise
    assert found.words.startswith("moving memory: +11.1")


def test_noise_without_a_trend_is_no_drift():
    assert not drift_of(*session([100.0, 90.0, 101.0, 91.0, 99.0, 92.0, 100.0, 90.0])).beyond_noise


def test_a_trend_too_small_to_matter_is_no_drift():
    found = drift_of(*session([100.0, 100.1, 100.2, 100.3, 101.0, 101.1, 101.2, 101.3]))
    assert found.ratio.low > 1
    assert not found.beyond_noise


def test_a_few_processes_tell_nothing():
    found = drift_of(*session([100.0, 50.0]))
    assert (found.ratio, found.beyond_noise, found.processes) == (None, False, 2)
    assert found.words == "matrix products: 2 processes are too few to tell a drift, or a probe read 0"


@pytest.mark.parametrize("order", [[], ["inference/tiny/base#1"]])
def test_a_session_without_halves_tells_nothing(order):
    assert not drift_of(order, session([100.0])[1]).beyond_noise


def test_the_halves_are_those_of_the_order_in_which_processes_ran():
    """Each case alone is steady; the one measured first is on a faster machine."""
    fast, slow = "inference/tiny/base", "training/tiny/r8"
    records = [
        record(fast, metrics={GEMM: measured(GEMM, 100.0, 101.0, 90.0, 91.0)}),
        record(slow, metrics={GEMM: measured(GEMM, 102.0, 100.0, 89.0, 90.0)}),
    ]
    turns = [f"{case}#{number}" for number in (1, 2, 3, 4) for case in (fast, slow)]
    assert drift_of(turns, records).beyond_noise
    by_case = [f"{case}#{number}" for case in (fast, slow) for number in (1, 2, 3, 4)]
    assert not drift_of(by_case, records).beyond_noise


def test_a_process_without_a_reading_is_passed_over():
    order, records = session([100.0, 101.0, 99.0, 100.0, 90.0, 91.0, 89.0, 90.0])
    found = drift_of(["training/gone/r8#1", *order, "inference/tiny/base#9"], records)
    assert found.processes == 8


def test_rates_of_different_compute_types_are_not_mistaken_for_a_drift():
    """The second half of the session is all bfloat16, twice as fast as the first."""
    half, whole = "inference/half/base", "inference/tiny/base"
    noise = (1.0, 1.01, 0.99, 1.0)
    records = [
        record(whole, metrics={GEMM: measured(GEMM, *(100 * its for its in noise))}),
        record(half, key=key(dtype="bfloat16"), metrics={GEMM: measured(GEMM, *(200 * its for its in noise))}),
    ]
    turns = [f"{case}#{number}" for case in (whole, half) for number in (1, 2, 3, 4)]
    assert not drift_of(turns, records).beyond_noise
