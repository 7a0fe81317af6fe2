"""Temporary replacement of a model's modules, so that several models are computed in the memory of one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_unflatten

from harness.worker.mlxlm.parameter_counts import is_packed


class OnDemand(nn.Module):  # type: ignore[misc]
    """Module that is created for each call and freed once its output is computed."""

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Create the module and call it."""
        return self._make()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of a newly created module, such as `as_linear` of a tied embedding."""
        return getattr(self._make(), name)


@contextmanager
def swapped(model: Any, modules: Mapping[str, Any]) -> Iterator[None]:
    """Replace the modules of *model* that have these names, within the context."""
    originals = [(name, module) for name, module in model.named_modules() if name in modules]
    model.update_modules(tree_unflatten(list(modules.items())))
    try:
        yield
    finally:
        model.update_modules(tree_unflatten(originals))


@contextmanager
def bare(model: Any) -> Iterator[None]:
    """Compute *model* without its adapter, within the context.

    DoRA multiplies with the dequantized matrix and adds the bias separately. In half precision on a 4-bit base, this
    alone can reorder the logits. So the base is multiplied the same way: any difference is due to the adapter.
    """
    modules = {
        name: OnDemand(partial(_Product, base_of(adapter)))
        if "m" in adapter and "linear" in adapter
        else base_of(adapter)
        for name, adapter in adapter_modules(model).items()
    }
    with swapped(model, modules):
        yield


def adapter_modules(model: Any) -> dict[str, Any]:
    """Return the modules that wrap a base matrix in an adapter, by name."""
    return {name: module for name, module in model.named_modules() if "lora_a" in module}


def base_of(adapter: Any) -> Any:
    """Return the base module that an adapter wraps."""
    return adapter["linear"] if "linear" in adapter else adapter["embedding"]


class _Product(nn.Module):  # type: ignore[misc]
    """Product of the base as `DoRALinear` computes it."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self._linear = linear

    def __call__(self, x: Any) -> Any:
        """Multiply with the dequantized matrix and add the bias."""
        linear = self._linear
        weight = linear.weight
        if is_packed(linear):
            mode = {"mode": linear.mode} if hasattr(linear, "mode") else {}  # MLX has others than affine since 0.29
            weight = mx.dequantize(
                weight, linear.scales, linear.get("biases"), group_size=linear.group_size, bits=linear.bits, **mode
            )
        product = x @ weight.T
        return product + linear.bias if "bias" in linear else product
