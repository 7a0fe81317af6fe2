"""Whether an adapter is really attached, asked where one is made or loaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import BadConfig
from harness.inputs.model_dir import read_config
from harness.inputs.plans import AdapterConfig
from harness.worker import mlxlm

_TEXT = "The quick brown fox jumps over the lazy dog, and 12 + 30 is 42."  # chosen; nothing depends on it


@contextmanager
def watched(
    loaded: mlxlm.Loaded, doubts: list[str], doubt_about: Callable[[Any, Any, list[int]], str | None]
) -> Iterator[None]:
    """Ask the model the same before and after an adapter is put into it, and add what *doubt_about* says of that."""
    tokens = loaded.tokenizer.encode(_TEXT)
    base = mlxlm.logits(loaded.model, tokens)
    yield
    if doubt := doubt_about(base, loaded.model, tokens):
        doubts.append(doubt)


def refuse_other_tensors(model_dir: Path, adapter: AdapterConfig, file: Path) -> None:
    """Refuse an adapter file that is not, tensor by tensor, what *adapter* makes of the model. Builds it lazily.

    Raises:
        BadConfig: naming the tensors that differ.
    """
    model = mlxlm.load_lazily(model_dir)
    mlxlm.attach_adapter(model, replace(adapter, resume=None), read_config(model_dir)["model_type"])
    if problems := mlxlm.check_tensors(model, file):
        where = f"{file}: of another model or config than {adapter.name}; train it again, or give the config it is of"
        raise BadConfig(where, problems)
