"""The only door to the Hugging Face hub: complete, verified snapshots of repositories, and whether the hub answers.

Of a model's weights only safetensors are downloaded. File contents are hashed but not interpreted here.
"""

import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from harness.errors import BadWeights, first_line
from harness.inputs.model_dir import file_sha256, read_json

_WEIGHTS = "model*.safetensors"
_PATTERNS = [_WEIGHTS, "*.json", "tokenizer.model", "*.tiktoken", "*.jinja", "*.txt"]
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.safetensors")
_REACH_TIMEOUT_S = 4.0
_PING_TIMEOUT_S = 3.0  # for a check that nothing depends on
_UNAUTHORIZED = 401
_BROKEN = 500  # HTTP status codes from here on are the server's own faults
_SHA256_LENGTH = 64
_MAX_LISTED = 3  # files in a message; more are counted
# The hub library passes its HTTP library's errors on, and has changed that library twice.
_HTTP_LIBRARIES = [sys.modules[name] for name in ("httpx2", "httpx", "requests.exceptions") if name in sys.modules]
_TRANSPORT_ERRORS = tuple(
    getattr(library, name)
    for library in _HTTP_LIBRARIES
    for name in ("HTTPError", "RequestException")
    if hasattr(library, name)
)
_CUT_ERRORS = tuple(
    getattr(library, name)
    for library in _HTTP_LIBRARIES
    for name in ("RemoteProtocolError", "ReadError", "ChunkedEncodingError")
    if hasattr(library, name)
)


class HubUnreachable(BadWeights):
    """The hub did not answer; the repository may well exist."""


def cached_snapshot(repository: str, revision: str | None) -> Path | None:
    """Return the complete snapshot in the cache, weights included; None if there is none."""
    try:
        path = snapshot_download(repository, revision=revision, allow_patterns=_PATTERNS, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    return Path(path) if _is_whole(Path(path)) else None


def download_snapshot(repository: str, revision: str | None) -> Path:
    """Download a model at the current commit of *revision*, and verify every file against the hub's sizes and hashes.

    Where no hub answers, return the cached snapshot of the commit that the revision named last.

    Raises:
        HubUnreachable: if no hub answers within a few seconds, or it is broken, and no snapshot is cached.
        BadWeights: if the hub refuses the repository, it holds no safetensors, or a file is incomplete.
    """
    try:
        return _download_model(repository, revision)
    except HubUnreachable:
        if cached := cached_snapshot(repository, revision):
            return cached
        raise


def _download_model(repository: str, revision: str | None) -> Path:
    info = _look_up(repository, revision, "model")
    files = [file.rfilename for file in info.siblings]
    if not any(fnmatch(name, _WEIGHTS) for name in files):
        others = [name for name in files if any(fnmatch(name, pattern) for pattern in _OTHER_WEIGHTS)]
        other_weights = f" (its weights: {_listed(others)})" if others else ""
        raise BadWeights(f"hub: {repository} holds no {_WEIGHTS}{other_weights}; other formats are never loaded")
    return _download(repository, revision, info, "model", _PATTERNS)


def download_data(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download the files of a dataset that match *patterns*, verified as in `download_snapshot`.

    Raises:
        HubUnreachable: if no hub answers within a few seconds, or it is broken.
        BadWeights: if the hub refuses the repository, it has no such file, or a file is incomplete.
    """
    info = _look_up(repository, revision, "dataset")
    files = [file.rfilename for file in info.siblings]
    if not any(fnmatch(name, pattern) for name in files for pattern in patterns):
        raise BadWeights(f"hub: {repository} holds no {', '.join(patterns)}, but {_listed(files) or 'nothing'}")
    return _download(repository, revision, info, "dataset", patterns)


def cached_data(repository: str, revision: str | None, patterns: Sequence[str]) -> Path | None:
    """Return the undamaged snapshot of a dataset in the cache; None if there is none."""
    try:
        path = Path(
            snapshot_download(
                repository, repo_type="dataset", revision=revision, allow_patterns=list(patterns), local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    return path if all(_is_as_named(file) for file in path.rglob("*") if file.is_file()) else None


def unreachable() -> str | None:
    """Say why no hub can be reached within a few seconds; None if one answers."""
    try:
        answer = get_session().head(HfApi().endpoint, timeout=_PING_TIMEOUT_S)
    except (OSError, *_TRANSPORT_ERRORS) as error:  # the offline mode of the hub library raises an OSError too
        return first_line(error)
    return f"it answers with status {answer.status_code}" if answer.status_code >= _BROKEN else None


def _look_up(repository: str, revision: str | None, kind: str) -> Any:
    """Ask the hub for the commit of *revision*, and each file with its size and hash."""
    try:
        info = HfApi().repo_info(
            repository, repo_type=kind, revision=revision, timeout=_REACH_TIMEOUT_S, files_metadata=True
        )
    except HFValidationError as error:
        raise BadWeights(f"hub: {repository!r} cannot be a repository's name; give ORG/NAME") from error
    # Another server may answer, for instance a network's login page: that is no JSON, or no listing.
    except (OSError, ValueError, KeyError, TypeError, *_TRANSPORT_ERRORS) as error:
        _refuse(error, repository, revision)
    # Files that differ from the listing are deleted, so no listed name may lead out of the snapshot.
    outside = [
        file.rfilename for file in info.siblings if file.rfilename.startswith("/") or ".." in file.rfilename.split("/")
    ]
    if outside:
        raise BadWeights(f"hub: {repository} lists files outside itself: {_listed(outside)}; do not use it")
    return info


def _download(repository: str, revision: str | None, info: Any, kind: str, patterns: Sequence[str]) -> Path:
    files = [file for file in info.siblings if any(fnmatch(file.rfilename, pattern) for pattern in patterns)]
    try:
        path = Path(snapshot_download(repository, repo_type=kind, revision=info.sha, allow_patterns=list(patterns)))
    except (OSError, ValueError, RuntimeError, *_TRANSPORT_ERRORS) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            remedy = "set HF_HOME to a directory that can be written and has room"
            raise BadWeights(f"hub: {repository} could not be stored: {error}; {remedy}") from error
        if isinstance(error, _CUT_ERRORS) or type(error) in {OSError, RuntimeError, ValueError}:
            names = [file.rfilename for file in files if not _is_cached(repository, file.rfilename, info.sha, kind)]
            problem = f"{_listed(names)} did not arrive whole ({first_line(error)})"
            raise BadWeights(f"hub: {repository}: {problem}; run it again") from error
        _refuse(error, repository, info.sha)
    problems = [f"{file.rfilename} {damage}" for file in files if (damage := _damage(path / file.rfilename, file))]
    if problems:
        remedy = "what is damaged was deleted: run it again; if it comes back so, do not use it"
        raise BadWeights("\n  ".join([f"hub: {repository}: not what the hub says it is; {remedy}", *problems]))
    _remember(path, revision)
    return path


def _refuse(error: Exception, repository: str, revision: str | None) -> NoReturn:
    """Raise our error for an error of the hub library, saying what the user can do."""
    if isinstance(error, LocalEntryNotFoundError) and hasattr(error.__cause__, "response"):
        error = error.__cause__  # the error that sent the library to its cache
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        problem = f"{repository} is gated; accept its licence on its page, then run `hf auth login`"
    elif isinstance(error, RevisionNotFoundError):
        problem = f"there is no {repository}@{revision}; its page lists its branches, tags and commits"
    elif status == _UNAUTHORIZED:
        problem = f"{repository} is private, or there is none; check the name, or run `hf auth login`"
    elif isinstance(error, RepositoryNotFoundError):
        problem = f"there is no {repository}; check the name"
    elif status is not None and status < _BROKEN:
        problem = f"{repository} is refused ({first_line(error)}); see its page, and what your token may read"
    else:
        raise HubUnreachable(f"hub: not reachable for {repository} ({first_line(error)})") from error
    raise BadWeights(f"hub: {problem}") from error


def _damage(path: Path, listed: Any) -> str | None:
    """Say how a file differs from the hub's listing, and delete it; None if it does not differ."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    problem: str | None = None
    if listed.size is not None and size != listed.size:
        problem = f"has {size} bytes, not {listed.size}"
    elif listed.lfs is not None and (sha256 := file_sha256(path)) != listed.lfs.sha256:
        problem = f"has sha256 {sha256}, not {listed.lfs.sha256}"
    if problem:
        _delete(path)
    return problem


def _delete(path: Path) -> None:
    """Delete a file of a snapshot and the blob it links to; otherwise the library would link to that blob again."""
    target = path.parent / path.readlink() if path.is_symlink() else None
    path.unlink()
    if target is not None:
        _delete(target)


def _remember(snapshot: Path, revision: str | None) -> None:
    """Record which commit *revision* names, where the library looks it up when no hub answers.

    The download itself is by commit: the name must not stand for files that are not verified yet.
    Source: huggingface_hub, Understand caching, "refs".
    """
    if revision != snapshot.name:
        ref = snapshot.parents[1] / "refs" / (revision or "main")
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(snapshot.name, encoding="ascii")


def _is_cached(repository: str, name: str, commit: str, kind: str) -> bool:
    return isinstance(try_to_load_from_cache(repository, name, revision=commit, repo_type=kind), str)


def _is_whole(snapshot: Path) -> bool:
    """Return whether the snapshot has weights, every shard of its index, and each as the hub published it."""
    index = snapshot / "model.safetensors.index.json"
    try:
        names = set(read_json(index)["weight_map"].values()) if index.is_file() else set()
    except (ValueError, KeyError, AttributeError):
        return False
    weights = list(snapshot.glob(_WEIGHTS))
    return bool(weights) and all((snapshot / name).is_file() for name in names) and all(map(_is_as_named, weights))


def _is_as_named(path: Path) -> bool:
    """Return whether a file has the sha256 that it is stored under; True where it is stored under another name.

    Source: huggingface_hub, Understand caching, "blobs": those of Git LFS are named by their sha256.
    """
    name = path.readlink().name if path.is_symlink() else ""
    return len(name) != _SHA256_LENGTH or file_sha256(path) == name


def _listed(names: Sequence[str]) -> str:
    remainder = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + remainder
