import functools
import json
import socket
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from harness import hub
from harness.errors import BadWeights
from harness.hub import HubUnreachable

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NO_RESPONSE = SimpleNamespace(headers={}, request=None)


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """A hub that has one commit, downloads into *tmp_path* and notes what it was asked."""
    asked = []

    class Api:
        def model_info(self, repository, *, revision, timeout):
            asked.append(("model_info", repository, revision))
            assert timeout == 4.0
            return SimpleNamespace(sha=COMMIT)

    def snapshot_download(repository, *, revision, allow_patterns):
        asked.append(("snapshot_download", repository, revision))
        assert not {"*.bin", "*.pt", "*.pth", "*.py", "*"} & set(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    return asked


def fails_with(monkeypatch, error):
    def model_info(self, *arguments, **options):
        raise error

    monkeypatch.setattr(hub, "HfApi", type("Api", (), {"model_info": model_info}))


def test_a_download_is_of_the_commit_that_the_revision_names(answers, tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert hub.download_snapshot("someone/model", "main") == tmp_path
    assert answers == [("model_info", "someone/model", "main"), ("snapshot_download", "someone/model", COMMIT)]


def test_a_repository_without_safetensors_is_refused(answers, tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(BadWeights, match=r"^hub: someone/model holds no model\*\.safetensors") as refusal:
        hub.download_snapshot("someone/model", None)
    assert not isinstance(refusal.value, HubUnreachable)


def test_a_gated_repository_says_how_to_get_access(monkeypatch):
    fails_with(monkeypatch, GatedRepoError("403", response=NO_RESPONSE))
    with pytest.raises(
        BadWeights, match=r"^hub: someone/model is gated; accept its licence.*`hf auth login`"
    ) as refusal:
        hub.download_snapshot("someone/model", None)
    assert not isinstance(refusal.value, HubUnreachable)


@pytest.mark.parametrize(
    ("error", "revision", "wanted"),
    [
        (RepositoryNotFoundError("404", response=NO_RESPONSE), None, r"there is no someone/model; check the name"),
        (RevisionNotFoundError("404", response=NO_RESPONSE), "v9", r"there is no someone/model@v9; check the name"),
    ],
)
def test_what_is_not_there_is_refused_by_name(monkeypatch, error, revision, wanted):
    fails_with(monkeypatch, error)
    with pytest.raises(BadWeights, match=wanted) as refusal:
        hub.download_snapshot("someone/model", revision)
    assert not isinstance(refusal.value, HubUnreachable)


@pytest.mark.parametrize(
    "error",
    [
        HfHubHTTPError("502 Bad Gateway\nmore", response=NO_RESPONSE),
        OfflineModeIsEnabled("502 Bad Gateway"),
        LocalEntryNotFoundError("502 Bad Gateway"),
        ConnectionResetError("502 Bad Gateway"),
    ],
)
def test_a_hub_that_does_not_answer_well_is_unreachable_with_the_reason_in_a_line(monkeypatch, error):
    fails_with(monkeypatch, error)
    with pytest.raises(HubUnreachable) as refusal:
        hub.download_snapshot("someone/model", None)
    assert str(refusal.value) == "hub: not reachable for someone/model (502 Bad Gateway)"


def test_a_closed_door_is_an_unreachable_hub(monkeypatch):
    """With the real library, so that its transport's own errors are met: a port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(hub, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=endpoint))
        with pytest.raises(HubUnreachable, match="not reachable for someone/model"):
            hub.download_snapshot("someone/model", None)


def test_a_hub_that_never_answers_is_given_up(monkeypatch):
    """With the real library: the connection is made, and then nothing is said."""
    monkeypatch.setattr(hub, "_REACH_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(hub, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=endpoint))
        with pytest.raises(HubUnreachable, match="not reachable for someone/model"):
            hub.download_snapshot("someone/model", None)


def looks_at(monkeypatch, answer):
    """A hub that answers a look, or raises what it is given; gives what it was asked."""
    asked = []

    class Session:
        def head(self, url, *, timeout):
            asked.append((url, timeout))
            if isinstance(answer, Exception):
                raise answer
            return SimpleNamespace(status_code=answer)

    monkeypatch.setattr(hub, "get_session", Session)
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(endpoint="https://hub.example"))
    return asked


@pytest.mark.parametrize("status", [200, 307, 403, 404])
def test_a_hub_that_answers_can_be_reached_whatever_it_says(monkeypatch, status):
    asked = looks_at(monkeypatch, status)
    assert hub.unreachable() is None
    assert asked == [("https://hub.example", 3.0)]


def test_a_hub_that_is_broken_is_not_reached(monkeypatch):
    looks_at(monkeypatch, 502)
    assert hub.unreachable() == "it answers with status 502"


@pytest.mark.parametrize("error", [OfflineModeIsEnabled("offline\nmore"), ConnectionResetError("offline")])
def test_a_hub_that_cannot_be_asked_is_not_reached_with_the_reason_in_a_line(monkeypatch, error):
    looks_at(monkeypatch, error)
    assert hub.unreachable() == "offline"


def test_a_closed_door_is_seen_without_asking_for_anything(monkeypatch):
    """With the real library, so that its transport's own errors are met: a port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(hub, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=endpoint))
        assert hub.unreachable()


def test_a_hub_that_never_answers_a_look_is_given_up(monkeypatch):
    monkeypatch.setattr(hub, "_LOOK_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(hub, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=endpoint))
        assert hub.unreachable()


@pytest.fixture
def local(monkeypatch, tmp_path):
    """The real library on an empty cache of its own, and a way to put files of a commit there."""

    def snapshot_download(repository, **options):
        assert options["local_files_only"] is True  # or the hub would be asked
        return huggingface_hub.snapshot_download(repository, cache_dir=tmp_path, **options)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    home = tmp_path / "models--someone--model"

    def put(*names: str) -> Path:
        snapshot = home / "snapshots" / COMMIT
        snapshot.mkdir(parents=True, exist_ok=True)
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / "main").write_text(COMMIT)
        for name in names:
            (snapshot / name).touch()
        return snapshot

    return put


def test_a_snapshot_on_this_machine_is_found_without_asking_anyone(local):
    snapshot = local("config.json", "tokenizer.json", "model.safetensors")
    assert hub.cached_snapshot("someone/model", None) == snapshot
    assert hub.cached_snapshot("someone/model", COMMIT) == snapshot
    assert snapshot.name == COMMIT


def test_a_machine_without_a_snapshot_has_none(local):
    assert hub.cached_snapshot("someone/model", None) is None


def test_a_snapshot_of_another_revision_is_not_taken(local):
    local("config.json", "model.safetensors")
    assert hub.cached_snapshot("someone/model", "v9") is None


def test_a_snapshot_without_weights_is_not_taken(local):
    local("config.json", "tokenizer.json")
    assert hub.cached_snapshot("someone/model", None) is None


def test_a_name_that_no_repository_can_have_has_no_snapshot(local):
    assert hub.cached_snapshot("not/a/name", None) is None


def test_a_snapshot_that_was_only_half_downloaded_is_not_taken(local):
    snapshot = local("config.json", "tokenizer.json", "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert hub.cached_snapshot("someone/model", None) is None


def test_a_name_that_no_repository_can_have_is_refused_by_name():
    with pytest.raises(BadWeights, match="not/a/name"):
        hub.download_snapshot("not/a/name", None)
