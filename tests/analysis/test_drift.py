import pytest

from harness.analysis.drift import PROBES, between_runs_text, drifts_between_runs, drifts_in_session, in_session_text
from tests.support.samples import bundle, key, measured, record

GEMM, COPY = PROBES


def session(rates, *, probe=GEMM, case="inference/tiny/base"):
    """A session of one case, a process a rate; give its order and its records."""
    order = [f"{case}#{number}" for number in range(1, len(rates) + 1)]
    return order, [record(case, metrics={probe: measured(probe, *rates)})]


def drift_of(order, records, probe=GEMM):
    return next(drift for drift in drifts_in_session(order, records) if drift.probe == probe)


def test_a_machine_that_slows_down_by_a_tenth_has_drifted():
    drift = drift_of(*session([100.0, 101.0, 99.0, 100.0, 90.0, 91.0, 89.0, 90.0]))
    assert drift.beyond_noise
    assert drift.ratio.point == pytest.approx(0.9, rel=0.01)
    assert in_session_text(drift).startswith("-10.00 % from the first to the second half")


def test_a_machine_that_speeds_up_has_drifted_too():
    drift = drift_of(*session([90.0, 91.0, 89.0, 90.0, 100.0, 101.0, 99.0, 100.0], probe=COPY), probe=COPY)
    assert drift.beyond_noise
    assert in_session_text(drift).startswith("+11.1")


def test_noise_without_a_trend_is_no_drift():
    assert not drift_of(*session([100.0, 90.0, 101.0, 91.0, 99.0, 92.0, 100.0, 90.0])).beyond_noise


def test_a_trend_too_small_to_matter_is_no_drift():
    drift = drift_of(*session([100.0, 100.1, 100.2, 100.3, 101.0, 101.1, 101.2, 101.3]))
    assert drift.ratio.low > 1
    assert not drift.beyond_noise


def test_a_few_processes_tell_nothing():
    drift = drift_of(*session([100.0, 50.0]))
    assert (drift.ratio, drift.beyond_noise, drift.processes) == (None, None, (1, 1))
    assert in_session_text(drift) == "2 processes are too few to tell a drift, or a probe read 0"


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
    drift = drift_of(["training/gone/r8#1", *order, "inference/tiny/base#9"], records)
    assert drift.processes == (4, 4)


def test_rates_of_different_compute_types_are_not_mistaken_for_a_drift():
    """The second half of the session is all bfloat16, twice as fast as the first."""
    bfloat16, float32 = "inference/half/base", "inference/tiny/base"
    noise = (1.0, 1.01, 0.99, 1.0)
    records = [
        record(float32, metrics={GEMM: measured(GEMM, *(100 * factor for factor in noise))}),
        record(
            bfloat16, key=key(dtype="bfloat16"), metrics={GEMM: measured(GEMM, *(200 * factor for factor in noise))}
        ),
    ]
    turns = [f"{case}#{number}" for case in (float32, bfloat16) for number in (1, 2, 3, 4)]
    assert not drift_of(turns, records).beyond_noise


# --- between two runs ---

STEADY = [100.0, 101.0, 99.0, 100.0, 100.5]


def run(rates, *, probe=GEMM, dtype="float32", **changes):
    return bundle(record(key=key(dtype=dtype), metrics={probe: measured(probe, *rates)}), **changes)


def drift_between(probe, baseline, candidate):
    return next(drift for drift in drifts_between_runs(baseline, candidate) if drift.probe == probe)


def test_a_machine_that_is_a_tenth_slower_has_changed():
    drift = drift_between(GEMM, run(STEADY), run([rate * 0.9 for rate in STEADY]))
    assert drift.beyond_noise is True
    assert drift.ratio.point == pytest.approx(0.9)
    assert drift.processes == (5, 5)
    assert between_runs_text(drift) == "matrix products: 10.00 % slower than when the baseline was made"


def test_a_faster_machine_has_changed_too():
    drift = drift_between(COPY, run(STEADY, probe=COPY), run([rate * 1.1 for rate in STEADY], probe=COPY))
    assert (drift.beyond_noise, between_runs_text(drift)) == (
        True,
        "moving memory: 10.00 % faster than when the baseline was made",
    )


def test_a_real_change_within_the_tolerance_does_not_matter():
    drift = drift_between(GEMM, run(STEADY), run([rate * 0.975 for rate in STEADY]))
    assert drift.ratio.high < 1
    assert drift.beyond_noise is False


def test_a_large_change_within_the_noise_is_none():
    drift = drift_between(GEMM, run([50.0, 100.0, 150.0, 100.0, 90.0]), run([60.0, 80.0, 140.0, 85.0, 90.0]))
    assert drift.ratio.point < 0.97
    assert drift.beyond_noise is False


@pytest.mark.parametrize("rates", [[90.0], [90.0, 90.0, 90.0]])
def test_few_processes_leave_it_unknown(rates):
    drift = drift_between(GEMM, run([100.0] * len(rates)), run(rates))
    assert (drift.ratio, drift.beyond_noise) == (None, None)
    assert "too few" in between_runs_text(drift)


def test_no_probe_or_one_that_read_0_leaves_it_unknown():
    assert drift_between(COPY, run(STEADY), run(STEADY)).beyond_noise is None
    assert drift_between(GEMM, run(STEADY), run([*STEADY[:4], 0.0])).beyond_noise is None
    assert drift_between(GEMM, run([*STEADY[:4], 0.0]), run(STEADY)).beyond_noise is None


def test_compute_types_are_compared_with_their_like():
    """Mostly processes of the faster type in the candidate, of the slower one in the baseline: the machine is one."""

    def both(slow, fast, **changes):
        records = [
            record(f"inference/{dtype}/base", key=key(dtype=dtype), metrics={GEMM: measured(GEMM, *rates)})
            for dtype, rates in (("float32", slow), ("float16", fast))
        ]
        return bundle(*records, **changes)

    doubled = [rate * 2 for rate in STEADY]
    drift = drift_between(GEMM, both(STEADY * 3, doubled), both(STEADY, doubled * 3))
    assert drift.ratio.point == pytest.approx(1.0, abs=0.005)
    assert drift.processes == (20, 20)


def test_a_compute_type_of_one_side_alone_says_nothing():
    assert drift_between(GEMM, run(STEADY), run(STEADY, dtype="float16")).processes == (0, 0)


def test_a_case_that_was_not_identified_says_nothing():
    lost = bundle(record(key=None, metrics={GEMM: measured(GEMM, *STEADY)}))
    assert drift_between(GEMM, lost, run(STEADY)).beyond_noise is None


def test_many_processes_are_thinned_evenly():
    """The later half of 400 is slower: who took the first 40 alone would not see it."""
    drift = drift_between(GEMM, run([100.0] * 400), run([100.0] * 120 + [80.0] * 280))
    assert drift.processes == (400, 400)
    assert drift.ratio.point == pytest.approx(0.8)
