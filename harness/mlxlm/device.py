"""The device's memory counters and its queue."""

import mlx.core as mx

from harness.memory import Allocator


def allocator() -> Allocator:
    """The counters of MLX's allocator."""
    return Allocator(
        active=mx.get_active_memory,
        peak=mx.get_peak_memory,
        cache=mx.get_cache_memory,
        reset_peak=mx.reset_peak_memory,
    )


def wait_for_device() -> None:
    """Return once nothing is queued on the device."""
    mx.synchronize()
