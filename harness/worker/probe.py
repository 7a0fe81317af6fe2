"""Probe of this machine: rates of matrix products and of memory, and whether the products are right.

It runs in a worker process, so it describes the environment that cases are measured in. It keeps nothing in memory.
"""

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from harness.machine.clock import Stopwatch
from harness.worker.failure_status import lacks_operation

_SIZES = {"cpu": 2048, "gpu": 4096}  # of a product: large enough for the full rate, small enough for a probe
_SLOW_SIZE = 512  # of a half-precision product on a CPU, which has no library for it
_HALF_TYPES = ("float16", "bfloat16")
# Larger than the caches of most machines. A larger block reads at the same rate but costs each worker a second:
# memory that is new to a process has to be handed out first.
_BLOCK_BYTES = {"cpu": 1 << 27, "gpu": 1 << 30}  # a GPU reads the smaller one in less time than it takes to ask
_VECTORS = 4096  # the rows of that block, where it is a matrix
_REPEATS = 3  # the best counts, the first included: noise and warm-up only ever slow a run down

_INNER, _OUTER, _GROUP = 512, 256, 64  # of a checked product: depth, width, quantization group
_ROWS = (1, 8, 64)  # one per kind of kernel: a vector, a few rows, a tile
_BITS = (None, 8, 4)  # None: plain weights
# Relative to the largest entry. float32 is off by some 1e-6, and by 1e-4 where a GPU rounds its inputs to 10 bits; the
# half types by up to 8e-3 and 7e-2 where a device sums in them, as a CPU does. A wrong product is off by about 1.
_TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
_ROUNDED_INPUTS = 5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """Upper bounds of this machine for any model. *method* says how they were measured."""

    gemm_flops_per_s: float
    copy_bytes_per_s: float
    method: str


def roof(stopwatch: Stopwatch, dtype: str) -> Roof:
    """Measure the rates of a matrix product in the compute type *dtype* and of memory.

    The memory rate, in bytes read and written, is the higher of two: a matrix-vector product, which reads as decoding
    does and uses all of MLX's threads; and a copy. On a CPU NumPy copies into memory that is already allocated: MLX's
    own copy takes fresh memory each time and would measure the system's allocation.
    """
    device = _device_type()
    size = _SLOW_SIZE if device == "cpu" and dtype in _HALF_TYPES else _SIZES[device]
    gemm_flops_per_s = _gemm_rate(stopwatch, dtype, size)
    rates = {
        "matrix-vector product, read": _read_rate(stopwatch),
        "copy, read and written": _numpy_copy_rate(stopwatch) if device == "cpu" else _copy_rate(stopwatch),
    }
    mx.clear_cache()
    fastest = max(rates, key=lambda name: rates[name])
    return Roof(
        gemm_flops_per_s=gemm_flops_per_s,
        copy_bytes_per_s=rates[fastest],
        method=f"{dtype} product {size}x{size}; {fastest}, over {_BLOCK_BYTES[device]} bytes; best of {_REPEATS}",
    )


def roofline(stopwatch: Stopwatch) -> dict[str, Any]:
    """Measure the float32 roof, and NumPy's rate for the same product, to show how far MLX's BLAS falls behind."""
    measured = roof(stopwatch, "float32")
    size = _SIZES["cpu"]
    values = _numbers(size, size)
    return {
        "gemm_flops_per_s": measured.gemm_flops_per_s,
        "numpy_gemm_flops_per_s": 2 * size**3 / _best_s(stopwatch, lambda: values @ values),
        "copy_bytes_per_s": measured.copy_bytes_per_s,
        "method": measured.method,
    }


def device() -> dict[str, Any]:
    """Return the facts that MLX's device states about itself."""
    return {"type": _device_type(), **{name: value for name, value in _device_info().items() if value is not None}}


def _device_info() -> dict[str, Any]:
    """Return MLX's device information. Older releases have it for Metal only."""
    if hasattr(mx, "device_info"):
        return dict(mx.device_info(mx.default_device()))
    return dict(mx.metal.device_info()) if _device_type() == "gpu" and mx.metal.is_available() else {}


def device_memory_bytes() -> int | None:
    """Return the size of the device's memory; None if the device does not state it, as a CPU does not."""
    facts = device()
    return facts.get("memory_size") or facts.get("total_memory")  # Metal, CUDA


def self_check() -> dict[str, Any]:
    """Compare products of this device, plain and quantized, with NumPy's in float64.

    `problem` says what is wrong and is None exactly if `ok` is true. A missing operation is noted under `lacking` and
    is no problem: cases that do not need it still count.
    """
    types = ("float32", *_HALF_TYPES) if _device_type() == "gpu" else ("float32",)
    products = [_product(dtype, bits) for dtype in types for bits in _BITS]
    mx.clear_cache()
    problem = next((problem for product in products if (problem := _problem(product)) is not None), None)
    return {
        "ok": problem is None,
        "problem": problem,
        "shape": f"M x {_INNER} times {_INNER} x {_OUTER}, groups of {_GROUP}; errors relative to the largest entry",
        "products": products,
    }


def _device_type() -> str:
    return str(mx.default_device().type).removeprefix("DeviceType.")


def _numbers(*shape: int) -> Any:
    """Return the same numbers between -0.5 and 0.5 on every call."""
    return np.random.default_rng(0).random(shape, dtype=np.float32) - np.float32(0.5)


def _gemm_rate(stopwatch: Stopwatch, dtype: str, size: int) -> float:
    matrix = mx.array(_numbers(size, size)).astype(getattr(mx, dtype))
    mx.eval(matrix)
    return 2 * size**3 / _best_s(stopwatch, lambda: mx.eval(matrix @ matrix))


def _read_rate(stopwatch: Stopwatch) -> float:
    block_bytes = _BLOCK_BYTES[_device_type()]
    matrix = mx.ones((_VECTORS, block_bytes // 4 // _VECTORS), dtype=mx.float32)
    row = mx.ones((1, matrix.shape[1]), dtype=mx.float32)
    mx.eval(matrix, row)
    return block_bytes / _best_s(stopwatch, lambda: mx.eval(row @ matrix.T))  # as a linear layer multiplies


def _copy_rate(stopwatch: Stopwatch) -> float:
    block = mx.ones(_BLOCK_BYTES["gpu"] // 4, dtype=mx.float32)
    mx.eval(block)
    return 2 * _BLOCK_BYTES["gpu"] / _best_s(stopwatch, lambda: mx.eval(block + 1))


def _numpy_copy_rate(stopwatch: Stopwatch) -> float:
    source, target = np.ones((2, _BLOCK_BYTES["cpu"] // 4), dtype=np.float32)
    return 2 * _BLOCK_BYTES["cpu"] / _best_s(stopwatch, lambda: np.copyto(target, source))


def _best_s(stopwatch: Stopwatch, work: Any) -> float:
    return min(stopwatch.time_s(work) for _ in range(_REPEATS))


def _product(dtype: str, bits: int | None) -> dict[str, Any]:
    """Check one kind of product for each number of rows. *bits* of quantized weights; None for plain weights."""
    errors, lacking = None, None
    try:
        errors = _relative_errors(dtype, bits)
    except RuntimeError as raised:
        if not lacks_operation(raised):
            raise
        lacking = str(raised)
    return {
        "type": dtype,
        "bits": bits,
        "relative_errors": errors,
        "tolerance": _tolerance(dtype),
        "lacking": lacking,
    }


def _relative_errors(dtype: str, bits: int | None) -> dict[str, float | None]:
    """Return, by number of rows, the largest error relative to the largest entry; None if it is not finite."""
    numbers = mx.array(_numbers(_OUTER + max(_ROWS), _INNER)).astype(getattr(mx, dtype))
    weights, inputs = numbers[:_OUTER], numbers[_OUTER:]
    if bits is None:
        exact_weights = _float64(weights)

        def multiply(x: mx.array) -> mx.array:
            return x @ weights.T

    else:
        packed = mx.quantize(weights, group_size=_GROUP, bits=bits)
        exact_weights = _dequantize_by_numpy(*packed, bits)

        def multiply(x: mx.array) -> mx.array:
            return mx.quantized_matmul(x, *packed, transpose=True, group_size=_GROUP, bits=bits)

    expected = _float64(inputs) @ exact_weights.T
    errors = {}
    for rows in _ROWS:
        error = np.abs(_float64(multiply(inputs[:rows])) - expected[:rows]).max() / np.abs(expected[:rows]).max()
        errors[str(rows)] = float(error) if np.isfinite(error) else None
    return errors


def _dequantize_by_numpy(packed: mx.array, scales: mx.array, biases: mx.array, bits: int) -> Any:
    """Dequantize with NumPy: scale * code + bias; codes are packed into 32-bit words, lowest bits first."""
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    codes = (np.array(packed)[..., None] >> shifts) & np.uint32(2**bits - 1)
    groups = codes.reshape(*scales.shape, _GROUP)
    return (_float64(scales)[..., None] * groups + _float64(biases)[..., None]).reshape(_OUTER, _INNER)


def _float64(array: mx.array) -> Any:
    return np.array(array.astype(mx.float32)).astype(np.float64)


def _tolerance(dtype: str) -> float:
    if dtype == "float32" and _device_type() == "gpu":
        return _ROUNDED_INPUTS
    return _TOLERANCES[dtype]


def _problem(product: dict[str, Any]) -> str | None:
    """Describe the first error beyond the tolerance, fewest rows first; None if there is none."""
    for rows, error in (product["relative_errors"] or {}).items():
        if error is None or error > product["tolerance"]:
            size = "not a number" if error is None else f"{error:.2g}"
            weights = "" if product["bits"] is None else f" with {product['bits']}-bit weights"
            return (
                f"the device's products are wrong: relative error {size} in {product['type']}{weights} at M={rows} "
                f"(wanted below {product['tolerance']:g}); numbers measured on it mean nothing"
            )
    return None
