"""Checks that an adapter is really attached, made where an adapter is created or loaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import BadConfig
from harness.inputs.model_dir import read_config
from harness.inputs.plans import AdapterConfig
from harness.worker import mlxlm

_TEXT = "The quick brown fox jumps over the lazy dog, and 12 + 30 is 42."  # any text will do


@contextmanager
def check_effect(
    loaded: mlxlm.Loaded, doubts: list[str], doubt_about: Callable[[Any, Any, list[int]], str | None]
) -> Iterator[None]:
    """Compare the logits before and after the context attaches an adapter; add the doubt of *doubt_about*, if any."""
    tokens = loaded.tokenizer.encode(_TEXT)
    base = mlxlm.logits(loaded.model, tokens)
    yield
    if doubt := doubt_about(base, loaded.model, tokens):
        doubts.append(doubt)


def refuse_other_tensors(model_dir: Path, adapter: AdapterConfig, file: Path) -> None:
    """Refuse an adapter *file* whose tensors differ from those that *adapter* adds to the model, built lazily.

    Raises:
        BadConfig: naming every tensor that differs.
    """
    model = mlxlm.load_lazily(model_dir)
    mlxlm.attach_adapter(model, replace(adapter, resume=None), read_config(model_dir)["model_type"])
    if problems := mlxlm.check_tensors(model, file):
        place = f"{file}: of another model or config than {adapter.name}; train it again, or give the config it is of"
        raise BadConfig(place, problems)
