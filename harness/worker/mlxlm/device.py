"""Memory counters and queue of the device."""

from typing import Any

import mlx.core as mx

from harness.errors import HarnessError
from harness.machine.memory import Allocator


def allocator() -> Allocator:
    """Return the counters of MLX's allocator.

    Raises:
        HarnessError: if this MLX lacks a counter.
    """
    return Allocator(
        active=_counter("get_active_memory"),
        peak=_counter("get_peak_memory"),
        cache=_counter("get_cache_memory"),
        reset_peak=_counter("reset_peak_memory"),
    )


def _counter(name: str) -> Any:
    """Return a function of MLX's allocator; older releases have it under `mx.metal` only."""
    for home in (mx, mx.metal):
        if hasattr(home, name):
            return getattr(home, name)
    raise HarnessError(f"mlx.core has no {name}: memory cannot be measured; update MLX: pip install -U mlx")


def has_memory_of_its_own() -> bool:
    """Tell whether the device has memory apart from the machine's, which no process meter sees."""
    cuda = getattr(mx, "cuda", None)
    return mx.default_device() != mx.cpu and cuda is not None and bool(cuda.is_available())


def wait_for_device() -> None:
    """Block until the device's queue is empty."""
    mx.synchronize()
