"""Model directories in the layout of mlx-lm: hashes of their files, and complete entries in the cache.

A cache entry is built in a temporary directory under a lock and moved into place with a manifest of hashes. An entry
whose files do not match the manifest is rebuilt.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import BadWeights, Unwritable
from harness.paths import cache_dir, without_home

DRAWN = "tunebench-random.json"  # in place of weights: the seed for drawing them when the model is loaded
_MANIFEST = "tunebench-manifest.json"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "chat_template.jinja")


def cached_model(name: str, build: Callable[[Path], None]) -> Path:
    """Return the cache entry *name*, built now if it is missing, incomplete or corrupt."""
    final = cache_dir() / "models" / name
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.with_name(f"{name}.lock")):
            if not _is_whole(final):
                for abandoned in final.parent.glob(f"{name}.*/"):  # of a build that was killed; we hold the lock
                    shutil.rmtree(abandoned, ignore_errors=True)
                partial = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=final.parent))
                try:
                    build(partial)
                    digests = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
                    write_json(partial / _MANIFEST, digests)
                    shutil.rmtree(final, ignore_errors=True)
                    partial.replace(final)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        remedy = "set TUNEBENCH_CACHE to a directory that can be written and has room"
        raise Unwritable(f"{final}: {error.strerror or error}; {remedy}") from error
    return final


def _is_whole(directory: Path) -> bool:
    try:
        digests = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
        return bool(digests) and all(file_sha256(directory / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_sha256(paths: list[Path]) -> str:
    """Return one SHA-256 for several files: over their names and hashes, sorted by name."""
    lines = [f"{path.name} {file_sha256(path)}\n" for path in sorted(paths)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weight_files(directory: Path) -> list[Path]:
    """List the weight files of a model directory: safetensors, as nothing else is ever loaded."""
    return sorted(directory.glob("model*.safetensors"))


def tokenizer_files(directory: Path) -> list[Path]:
    """List the files that decide how text is tokenized, chat template included."""
    return [directory / name for name in _TOKENIZER_FILES if (directory / name).is_file()]


def tokenizer_sha256(directory: Path) -> str:
    """Return one SHA-256 for the files that decide how text is tokenized."""
    return files_sha256(tokenizer_files(directory))


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json of a model directory.

    Raises:
        BadWeights: if it cannot be read, or names Python code to run: mlx-lm 0.30.6 to 0.31.3 run that unasked.
    """
    path = directory / "config.json"
    try:
        config = read_json(path)
    except (OSError, TypeError, ValueError) as error:
        raise BadWeights(f"{without_home(str(path))} cannot be read: {error}; give a model's directory") from error
    if not isinstance(config.get("model_type"), str):
        raise BadWeights(f"{without_home(str(path))} names no model_type; give a directory saved by mlx-lm")
    if (code := config.get("model_file")) is not None:
        problem = f"{without_home(str(path))}: model_file is {code!r}: a model's own Python is never run"
        raise BadWeights(f"{problem}; use a model of an architecture that mlx-lm has")
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file whose top level is an object."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def write_json(path: Path, value: object) -> None:
    """Write a small JSON file with sorted keys."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def drop_from_page_cache(paths: list[Path]) -> bool:
    """Drop these files from the page cache, so that the next read comes from disk; False where the system cannot."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return True
