"""Slows mlx-lm's decoding by TUNEBENCH_SLOWED percent in every process that has this folder on its PYTHONPATH.

For proof that a comparison finds a slowdown: each generated token after the first takes so many percent longer, spent
in a busy wait. 0, or no variable, takes the same way through here without the wait, so that both sides of a comparison
differ in the wait alone. mlx_lm.generate is changed as it is imported; nothing is imported on its behalf.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

_MODULE = "mlx_lm.generate"


def slowed(
    steps: Callable[..., Iterator[Any]], percent: float, wait: Callable[[], None]
) -> Callable[..., Iterator[Any]]:
    """Give *steps* with each step after the first *percent* longer; the first one reads the prompt.

    mlx-lm computes one token ahead, beside whatever else is done meanwhile. So each step ends with *wait*, which
    returns once nothing is queued: else the next token would be computed in the time that is to be lost.
    """

    def longer(*arguments: Any, **options: Any) -> Iterator[Any]:
        stream = steps(*arguments, **options)
        first = True
        while True:
            start = time.perf_counter()
            try:
                step = next(stream)
            except StopIteration:
                return
            wait()
            now = time.perf_counter()
            end = now if first else now + (now - start) * percent / 100
            while time.perf_counter() < end:
                pass
            first = False
            yield step

    return longer


class _Changing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the module where it always is, and changes one function once it is there."""

    def __init__(self, percent: float) -> None:
        self._percent = percent
        self._loader: importlib.abc.Loader | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, _: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find *name*, if it is the module that is changed."""
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == _MODULE else None
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave that to the module's own loader."""
        return self._loader.create_module(spec) if self._loader else None

    def exec_module(self, module: ModuleType) -> None:
        """Load it, then change it."""
        if self._loader:
            self._loader.exec_module(module)
        generate: Any = module
        generate.generate_step = slowed(
            generate.generate_step, self._percent, lambda: generate.mx.synchronize(generate.generation_stream)
        )


sys.meta_path.insert(0, _Changing(float(os.environ.get("TUNEBENCH_SLOWED", "0"))))
