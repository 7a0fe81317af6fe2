"""The one door to the Hugging Face hub: a snapshot of a repository, safetensors only, and whether the hub is there."""

import sys
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from harness.errors import BadWeights
from harness.modeldir import read_json

_PATTERNS = ["*.json", "*.safetensors", "tokenizer.model", "*.tiktoken", "*.jinja", "*.txt"]
_REACH_TIMEOUT_S = 4.0
_LOOK_TIMEOUT_S = 3.0  # for a look that nothing depends on
_BROKEN = 500  # HTTP status codes from here on are the server's own faults
# The hub library passes its HTTP library's errors on, and has changed that library twice.
_TRANSPORT_ERRORS = tuple(
    getattr(sys.modules[module], name)
    for module, name in (("httpx2", "HTTPError"), ("httpx", "HTTPError"), ("requests", "RequestException"))
    if module in sys.modules
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
    """Download a repository at the commit its revision names now.

    Raises:
        HubUnreachable: if no hub answers within a few seconds.
        BadWeights: if the repository is not there, is gated, or holds no safetensors.
    """
    try:
        info = HfApi().model_info(repository, revision=revision, timeout=_REACH_TIMEOUT_S)
        path = snapshot_download(repository, revision=info.sha, allow_patterns=_PATTERNS)
    except GatedRepoError as error:
        raise BadWeights(
            f"hub: {repository} is gated; accept its licence on its page, then run `hf auth login`"
        ) from error
    except HFValidationError as error:
        raise BadWeights(f"hub: {repository!r} cannot be a repository's name; give ORG/NAME") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise BadWeights(
            f"hub: there is no {repository}{f'@{revision}' if revision else ''}; check the name"
        ) from error
    except (HfHubHTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, OSError, *_TRANSPORT_ERRORS) as error:
        raise HubUnreachable(f"hub: not reachable for {repository} ({_first_line(error)})") from error
    if not any(Path(path).glob("model*.safetensors")):
        raise BadWeights(f"hub: {repository} holds no model*.safetensors; other formats are never loaded")
    return Path(path)


def unreachable() -> str | None:
    """Say why no hub can be reached within a few seconds; None if one answers."""
    try:
        answer = get_session().head(HfApi().endpoint, timeout=_LOOK_TIMEOUT_S)
    except (OSError, *_TRANSPORT_ERRORS) as error:  # being told to stay offline is an OSError too
        return _first_line(error)
    return f"it answers with status {answer.status_code}" if answer.status_code >= _BROKEN else None


def _is_whole(snapshot: Path) -> bool:
    """Whether there are weights, and every shard that an index names."""
    index = snapshot / "model.safetensors.index.json"
    try:
        names = set(read_json(index)["weight_map"].values()) if index.is_file() else set()
    except (ValueError, KeyError, AttributeError):
        return False
    return any(snapshot.glob("model*.safetensors")) and all((snapshot / name).is_file() for name in names)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
