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


def has_memory_of_its_own() -> bool:
    """Whether the device's memory is not the machine's, so that what a process uses there shows nowhere else."""
    cuda = getattr(mx, "cuda", None)
    return mx.default_device() != mx.cpu and cuda is not None and bool(cuda.is_available())


def wait_for_device() -> None:
    """Return once nothing is queued on the device."""
    mx.synchronize()
