from dataclasses import replace

from harness.worker.workloads.memory_leak import leak_notes, memory_growth
from harness.worker.workloads.steps import step_series
from tests.support.training_steps import MIB, SLOW, steps


def growing(*, active=0, footprint=0, count=20, warmup_iters=2):
    """Steps each of which leaves so many bytes more than the one before."""
    return steps(
        *[
            replace(SLOW, active_bytes=10 * MIB + active * n, footprint_bytes=100 * MIB + footprint * n)
            for n in range(count)
        ],
        warmup_iters=warmup_iters,
    )


def test_growth_is_the_slope_of_the_steady_steps():
    growth = memory_growth(growing(active=300, footprint=5000))
    assert (growth.labels, growth.values) == (("active", "footprint"), (300.0, 5000.0))


def test_what_warms_up_may_grow():
    taken = growing(active=MIB)
    settled = [replace(step, active_bytes=0) for step in taken.all[5:]]
    assert memory_growth(steps(*taken.all[:5], *settled, warmup_iters=5)).values[0] == 0.0


def test_an_unknown_footprint_is_left_out():
    unknown = [replace(step, footprint_bytes=None) for step in growing(active=MIB).all]
    growth = memory_growth(steps(*unknown))
    assert (growth.labels, growth.values) == (("active",), (MIB,))
    assert len(leak_notes(steps(*unknown))) == 1
    assert "footprint_bytes" not in step_series(steps(*unknown))


def test_live_arrays_may_grow_by_64_kib_a_step_and_no_more():
    assert leak_notes(growing(active=2**16)) == []
    assert leak_notes(growing(active=MIB)) == [
        "memory grows by 1.000 MiB a step (active): a leak, or a cache without a bound"
    ]


def test_a_process_may_grow_by_512_kib_a_step_and_no_more():
    assert leak_notes(growing(footprint=2**19)) == []
    assert leak_notes(growing(footprint=3 * MIB)) == [
        "memory grows by 3.000 MiB a step (footprint): a leak, or a cache without a bound"
    ]


def test_a_process_that_has_settled_in_the_second_half_does_not_leak():
    taken = growing(footprint=3 * MIB)
    settled = [replace(step, footprint_bytes=200 * MIB) for step in taken.all[11:]]
    assert leak_notes(steps(*taken.all[:11], *settled, warmup_iters=2)) == []


def test_memory_that_goes_up_and_down_is_not_accused():
    """By 50 MiB each way, and a little upwards in between."""
    wave = [replace(SLOW, footprint_bytes=(100 + 50 * (n % 2) + n) * MIB) for n in range(20)]
    assert leak_notes(steps(*wave)) == []


def test_too_few_steps_accuse_nobody():
    assert leak_notes(growing(active=MIB, count=8)) == []
    assert leak_notes(growing(active=MIB, count=9)) != []
    assert leak_notes(growing(active=MIB, count=1)) == []
