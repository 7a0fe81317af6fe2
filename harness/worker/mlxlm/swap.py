"""A model's modules put aside for a while, so that several models are computed in the memory of one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_unflatten

from harness.worker.mlxlm.sizes import is_packed


class OnDemand(nn.Module):  # type: ignore[misc]
    """A module that is made anew each time it is used, and goes when what it said is computed."""

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module says."""
        return self._make()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """What a model asks its matrices for besides calling them: `as_linear` of a tied table."""
        return getattr(self._make(), name)


@contextmanager
def swapped(model: Any, modules: Mapping[str, Any]) -> Iterator[None]:
    """Have *model* computed with these modules in place of its own of the same names, within the context."""
    before = [(name, its) for name, its in model.named_modules() if name in modules]
    model.update_modules(tree_unflatten(list(modules.items())))
    try:
        yield
    finally:
        model.update_modules(tree_unflatten(before))


@contextmanager
def bare(model: Any) -> Iterator[None]:
    """Have *model* computed without its adapter, within the context.

    DoRA multiplies with the dequantised matrix and adds the bias apart. In half precision on a 4-bit base that alone
    can turn the logits over, so the base is multiplied likewise: what differs then is the adapter's doing.
    """
    modules = {
        name: OnDemand(partial(_Product, base_of(its))) if "m" in its and "linear" in its else base_of(its)
        for name, its in adapter_modules(model).items()
    }
    with swapped(model, modules):
        yield


def adapter_modules(model: Any) -> dict[str, Any]:
    """The modules that hold an adapter around a matrix of the base, by name."""
    return {name: module for name, module in model.named_modules() if "lora_a" in module}


def base_of(adapter: Any) -> Any:
    """The module of the base that an adapter was put around."""
    return adapter["linear"] if "linear" in adapter else adapter["embedding"]


class _Product(nn.Module):  # type: ignore[misc]
    """What `DoRALinear` computes of its base."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self._linear = linear

    def __call__(self, x: Any) -> Any:
        """The base's product."""
        its = self._linear
        weight = its.weight
        if is_packed(its):
            mode = {"mode": its.mode} if hasattr(its, "mode") else {}  # MLX has others than affine since 0.29
            weight = mx.dequantize(
                weight, its.scales, its.get("biases"), group_size=its.group_size, bits=its.bits, **mode
            )
        product = x @ weight.T
        return product + its.bias if "bias" in its else product
