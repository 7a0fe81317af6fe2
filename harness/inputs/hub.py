"""The one door to the Hugging Face hub: a repository's snapshot, whole and as published, and whether the hub is there.

Of a model only safetensors are taken. Nothing here reads what is in a file.
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

from harness.errors import BadWeights
from harness.inputs.model_dir import file_sha256, read_json

_WEIGHTS = "model*.safetensors"
_PATTERNS = [_WEIGHTS, "*.json", "tokenizer.model", "*.tiktoken", "*.jinja", "*.txt"]
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.safetensors")
_REACH_TIMEOUT_S = 4.0
_LOOK_TIMEOUT_S = 3.0  # for a look that nothing depends on
_UNAUTHORISED = 401
_BROKEN = 500  # HTTP status codes from here on are the server's own faults
_SHA256_LENGTH = 64
_NAMED = 3  # files in a message; more are counted
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
    """The hub did not answer; what was asked for may well exist."""


def cached_snapshot(repository: str, revision: str | None) -> Path | None:
    """Give the snapshot that is already on this machine, whole with weights; None if there is none."""
    try:
        path = snapshot_download(repository, revision=revision, allow_patterns=_PATTERNS, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    return Path(path) if _is_whole(Path(path)) else None


def download_snapshot(repository: str, revision: str | None) -> Path:
    """Download a model at the commit its revision names now; its files are what the hub says they are.

    Where no hub answers, it is the snapshot already on this machine, of the commit the revision named last.

    Raises:
        HubUnreachable: if no hub answers within a few seconds, or it is broken, and there is no such snapshot.
        BadWeights: if the hub refuses it, it holds no safetensors, or a file did not arrive whole.
    """
    try:
        return _download_model(repository, revision)
    except HubUnreachable:
        if cached := cached_snapshot(repository, revision):
            return cached
        raise


def _download_model(repository: str, revision: str | None) -> Path:
    info = _look_up(repository, revision, "model")
    files = [its.rfilename for its in info.siblings]
    if not any(fnmatch(name, _WEIGHTS) for name in files):
        others = [name for name in files if any(fnmatch(name, pattern) for pattern in _OTHER_WEIGHTS)]
        found = f" (its weights: {_listed(others)})" if others else ""
        raise BadWeights(f"hub: {repository} holds no {_WEIGHTS}{found}; other formats are never loaded")
    return _download(repository, revision, info, "model", _PATTERNS)


def download_data(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download a data set's files that match *patterns*, as `download_snapshot` does a model's.

    Raises:
        HubUnreachable: if no hub answers within a few seconds, or it is broken.
        BadWeights: if the hub refuses it, it has no such file, or a file did not arrive whole.
    """
    info = _look_up(repository, revision, "dataset")
    files = [its.rfilename for its in info.siblings]
    if not any(fnmatch(name, pattern) for name in files for pattern in patterns):
        raise BadWeights(f"hub: {repository} holds no {', '.join(patterns)}, but {_listed(files) or 'nothing'}")
    return _download(repository, revision, info, "dataset", patterns)


def cached_data(repository: str, revision: str | None, patterns: Sequence[str]) -> Path | None:
    """Give the data set's snapshot that is already on this machine, undamaged; None if there is none."""
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
        answer = get_session().head(HfApi().endpoint, timeout=_LOOK_TIMEOUT_S)
    except (OSError, *_TRANSPORT_ERRORS) as error:  # being told to stay offline is an OSError too
        return _first_line(error)
    return f"it answers with status {answer.status_code}" if answer.status_code >= _BROKEN else None


def _look_up(repository: str, revision: str | None, kind: str) -> Any:
    """The commit, and each file with its size and hash."""
    try:
        info = HfApi().repo_info(
            repository, repo_type=kind, revision=revision, timeout=_REACH_TIMEOUT_S, files_metadata=True
        )
    except HFValidationError as error:
        raise BadWeights(f"hub: {repository!r} cannot be a repository's name; give ORG/NAME") from error
    # A page of another's, for instance of a network that wants a login first, is no JSON or no listing.
    except (OSError, ValueError, KeyError, TypeError, *_TRANSPORT_ERRORS) as error:
        _refuse(error, repository, revision)
    # What is not as listed gets deleted, so a name must not lead out of the snapshot.
    outside = [
        its.rfilename for its in info.siblings if its.rfilename.startswith("/") or ".." in its.rfilename.split("/")
    ]
    if outside:
        raise BadWeights(f"hub: {repository} lists files outside itself: {_listed(outside)}; do not use it")
    return info


def _download(repository: str, revision: str | None, info: Any, kind: str, patterns: Sequence[str]) -> Path:
    wanted = [its for its in info.siblings if any(fnmatch(its.rfilename, pattern) for pattern in patterns)]
    try:
        path = Path(snapshot_download(repository, repo_type=kind, revision=info.sha, allow_patterns=list(patterns)))
    except (OSError, ValueError, RuntimeError, *_TRANSPORT_ERRORS) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            remedy = "set HF_HOME to a directory that can be written and has room"
            raise BadWeights(f"hub: {repository} could not be stored: {error}; {remedy}") from error
        if isinstance(error, _CUT_ERRORS) or type(error) in {OSError, RuntimeError, ValueError}:
            names = [its.rfilename for its in wanted if not _is_here(repository, its.rfilename, info.sha, kind)]
            problem = f"{_listed(names)} did not arrive whole ({_first_line(error)})"
            raise BadWeights(f"hub: {repository}: {problem}; run it again") from error
        _refuse(error, repository, info.sha)
    problems = [f"{its.rfilename} {damage}" for its in wanted if (damage := _damage(path / its.rfilename, its))]
    if problems:
        remedy = "what is damaged was deleted: run it again; if it comes back so, do not use it"
        raise BadWeights("\n  ".join([f"hub: {repository}: not what the hub says it is; {remedy}", *problems]))
    _remember(path, revision)
    return path


def _refuse(error: Exception, repository: str, revision: str | None) -> NoReturn:
    """Say what an error of the hub library means for who asked."""
    if isinstance(error, LocalEntryNotFoundError) and hasattr(error.__cause__, "response"):
        error = error.__cause__  # what the library met before it looked for the file on this machine
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        problem = f"{repository} is gated; accept its licence on its page, then run `hf auth login`"
    elif isinstance(error, RevisionNotFoundError):
        problem = f"there is no {repository}@{revision}; its page lists its branches, tags and commits"
    elif status == _UNAUTHORISED:
        problem = f"{repository} is private, or there is none; check the name, or run `hf auth login`"
    elif isinstance(error, RepositoryNotFoundError):
        problem = f"there is no {repository}; check the name"
    elif status is not None and status < _BROKEN:
        problem = f"{repository} is refused ({_first_line(error)}); see its page, and what your token may read"
    else:
        raise HubUnreachable(f"hub: not reachable for {repository} ({_first_line(error)})") from error
    raise BadWeights(f"hub: {problem}") from error


def _damage(path: Path, its: Any) -> str | None:
    """How a file differs from what the hub says of it, deleted if it does; None if it does not."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    problem: str | None = None
    if its.size is not None and size != its.size:
        problem = f"has {size} bytes, not {its.size}"
    elif its.lfs is not None and (found := file_sha256(path)) != its.lfs.sha256:
        problem = f"has sha256 {found}, not {its.lfs.sha256}"
    if problem:
        _delete(path)
    return problem


def _delete(path: Path) -> None:
    """Delete a file of a snapshot with what it links to, or the library would link to that again."""
    target = path.parent / path.readlink() if path.is_symlink() else None
    path.unlink()
    if target is not None:
        _delete(target)


def _remember(snapshot: Path, revision: str | None) -> None:
    """Note which commit *revision* names, where the library looks it up when there is no hub to ask.

    It was not told the name, or the name would stand for files that are still to be checked.
    Source: huggingface_hub, Understand caching, "refs".
    """
    if revision != snapshot.name:
        ref = snapshot.parents[1] / "refs" / (revision or "main")
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(snapshot.name, encoding="ascii")


def _is_here(repository: str, name: str, commit: str, kind: str) -> bool:
    return isinstance(try_to_load_from_cache(repository, name, revision=commit, repo_type=kind), str)


def _is_whole(snapshot: Path) -> bool:
    """Whether there are weights, every shard that an index names, and each as the hub had it."""
    index = snapshot / "model.safetensors.index.json"
    try:
        names = set(read_json(index)["weight_map"].values()) if index.is_file() else set()
    except (ValueError, KeyError, AttributeError):
        return False
    weights = list(snapshot.glob(_WEIGHTS))
    return bool(weights) and all((snapshot / name).is_file() for name in names) and all(map(_is_as_named, weights))


def _is_as_named(path: Path) -> bool:
    """Whether a file has the sha256 that it is stored under; True where it is stored under none.

    Source: huggingface_hub, Understand caching, "blobs": those of Git LFS are named by their sha256.
    """
    name = path.readlink().name if path.is_symlink() else ""
    return len(name) != _SHA256_LENGTH or file_sha256(path) == name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
