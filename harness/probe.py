"""How fast this machine is at the two things models consist of: matrix products and moving memory.

Measured in a worker process, so that it tells of the environment a case is measured in.
"""

from typing import Any

import mlx.core as mx
import numpy as np

from harness.meters import Stopwatch

_SIZE = 2048
_COPY_BYTES = 1 << 28
_REPEATS = 4  # the best of these: noise only ever slows a product down


def roofline(stopwatch: Stopwatch) -> dict[str, Any]:
    """Rates of an fp32 product of 2048 x 2048 in MLX and in NumPy, and of a copy of 256 MiB."""
    values = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), dtype=np.float32)
    matrix = mx.array(values)
    source = mx.zeros(_COPY_BYTES // 4, dtype=mx.float32)
    mx.eval(matrix, source)
    flops = 2 * _SIZE**3
    return {
        "gemm_flops_per_s": flops / _best_s(stopwatch, lambda: mx.eval(matrix @ matrix)),
        "numpy_gemm_flops_per_s": flops / _best_s(stopwatch, lambda: values @ values),
        "copy_bytes_per_s": 2 * _COPY_BYTES / _best_s(stopwatch, lambda: mx.eval(source + 1)),
        "method": f"fp32 product {_SIZE}x{_SIZE}; add over {_COPY_BYTES} bytes, read and written; best of {_REPEATS}",
    }


def device() -> dict[str, Any]:
    """The device MLX computes on, as it describes itself."""
    described = mx.default_device()
    facts = mx.device_info(described) if hasattr(mx, "device_info") else {}
    return {
        "type": str(described.type).removeprefix("DeviceType."),
        **{k: v for k, v in facts.items() if v is not None},
    }


def _best_s(stopwatch: Stopwatch, work: Any) -> float:
    stopwatch.time_s(work)
    return min(stopwatch.time_s(work) for _ in range(_REPEATS))
