import gc

import mlx.core as mx

from harness.worker import mlxlm


def test_the_allocator_s_counters_are_those_of_mlx():
    gc.collect()  # nothing of other tests is freed in between
    counters = mlxlm.allocator()
    before = mx.get_active_memory()
    counters.reset_peak()
    block = mx.zeros(1_000_000)
    mx.eval(block)
    assert mx.get_active_memory() - before >= 4_000_000
    assert counters.peak() >= mx.get_active_memory()
    highest = counters.peak()
    del block
    assert counters.peak() == highest
    counters.reset_peak()
    assert highest - counters.peak() >= 4_000_000
    assert counters.cache() == mx.get_cache_memory()
