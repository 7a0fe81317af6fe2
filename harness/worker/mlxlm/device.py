"""The device's memory counters and its queue."""

from typing import Any

import mlx.core as mx

from harness.errors import HarnessError
from harness.machine.memory import Allocator


def allocator() -> Allocator:
    """The counters of MLX's allocator.

    Raises:
        HarnessError: if this MLX does not count.
    """
    return Allocator(
        active=_counter("get_active_memory"),
        peak=_counter("get_peak_memory"),
        cache=_counter("get_cache_memory"),
        reset_peak=_counter("reset_peak_memory"),
    )


def _counter(name: str) -> Any:
    """A function of MLX's allocator; it was one of Metal's before other devices had any."""
    for home in (mx, mx.metal):
        if hasattr(home, name):
            return getattr(home, name)
    raise HarnessError(f"mlx.core has no {name}: memory cannot be measured; update MLX: pip install -U mlx")


def has_memory_of_its_own() -> bool:
    """Whether the device's memory is not the machine's, so that what a process uses there shows nowhere else."""
    cuda = getattr(mx, "cuda", None)
    return mx.default_device() != mx.cpu and cuda is not None and bool(cuda.is_available())


def wait_for_device() -> None:
    """Return once nothing is queued on the device."""
    mx.synchronize()
