"""Random weights by seed: the same on every machine, in whatever order they are drawn."""

import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

_SD = 0.02  # standard deviation of a matrix, as in GPT-2's initialization; nothing depends on it


def draw_weights(
    shapes: Mapping[str, tuple[int, ...]], seed: int, dtype: Any = mx.float32
) -> Iterator[tuple[str, Any]]:
    """Yield each parameter by name: matrices uniform around 0, norms at one, biases at zero.

    Each parameter has its own seed, derived from *seed* and its name.
    """
    largest = max((math.prod(shape) for shape in shapes.values()), default=0)
    buffer = np.empty(largest, dtype=np.float32)  # one for all: fresh pages cost more than drawing
    for name, shape in shapes.items():
        values = buffer[: math.prod(shape)]
        if len(shape) > 1:
            generator = np.random.Generator(np.random.SFC64([seed, zlib.crc32(name.encode())]))
            generator.random(out=values, dtype=np.float32)
            np.subtract(values, np.float32(0.5), out=values)
            np.multiply(values, np.float32(_SD * math.sqrt(12)), out=values)
        else:
            values[:] = 0.0 if name.endswith("bias") else 1.0
        yield name, mx.array(values.reshape(shape), dtype=dtype)
