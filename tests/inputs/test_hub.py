import functools
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from harness.errors import BadWeights
from harness.inputs import hub
from harness.inputs.config_files import read_model
from harness.inputs.hub import HubUnreachable
from harness.worker import weights
from tests.support.hub_server import Fault, in_place_of_the_hub, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TINY = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"0123456789" * 10}
SHA256_OF_TINY = "9cfe7faff7054298ca87557e15a10262de8d3eee77827417fbdfea1c41b9ec23"  # sha256sum
WEIGHTS = "org/tiny/model.safetensors"


@pytest.fixture
def served(monkeypatch, tmp_path):
    """The real library, its cache empty, and a server in place of the hub."""
    repositories = {
        "org/tiny": dict(TINY),
        "org/pickles": {"config.json": b"{}", "pytorch_model.bin": b"code", "model.pt": b"code"},
        "datasets/org/rows": {"train.jsonl": b"{}\n", "README.md": b"rows", "data/test.parquet": b"PAR1"},
    }
    with serving(repositories) as server:
        in_place_of_the_hub(monkeypatch, server, tmp_path / "hub")
        yield server


def refusal(name="org/tiny", revision=None):
    """What `download_snapshot` says, refusing for good."""
    with pytest.raises(BadWeights) as caught:
        hub.download_snapshot(name, revision)
    assert not isinstance(caught.value, HubUnreachable)
    return str(caught.value)


def test_a_download_is_of_the_commit_that_the_revision_names(served):
    commit = served.commit("org/tiny")
    snapshot = hub.download_snapshot("org/tiny", "main")
    assert snapshot.name == commit
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == TINY
    files = [path for path in served.asked if "/resolve/" in path]
    assert len(files) == 4
    assert all(f"/resolve/{commit}/" in path for path in files)
    assert sum("main" in path for path in served.asked) == 1, "it may have moved by the second time"


@pytest.mark.parametrize("revision", [None, "v1", "commit"])
def test_what_was_downloaded_is_found_again_without_a_hub_and_nothing_else_is(served, revision):
    revision = served.commit("org/tiny") if revision == "commit" else revision
    snapshot = hub.download_snapshot("org/tiny", revision)
    served.asked.clear()
    assert hub.cached_snapshot("org/tiny", revision) == snapshot
    assert hub.cached_snapshot("org/tiny", "main" if revision else "v1") is None
    assert served.asked == []


def test_a_second_download_takes_no_bytes_again(served):
    hub.download_snapshot("org/tiny", None)
    hub.download_snapshot("org/tiny", None)
    assert sorted(served.downloaded()) == ["config.json", "model.safetensors"]


def test_only_what_a_model_is_read_from_is_downloaded(served):
    served.repositories["org/tiny"] |= {"pytorch_model.bin": b"code", "modeling.py": b"code", "other.safetensors": b"x"}
    hub.download_snapshot("org/tiny", None)
    assert sorted(served.downloaded()) == ["config.json", "model.safetensors"]


def test_a_repository_with_pickles_alone_is_refused_before_anything_is_downloaded(served):
    assert refusal("org/pickles") == (
        "hub: org/pickles holds no model*.safetensors (its weights: pytorch_model.bin, model.pt); "
        "other formats are never loaded"
    )
    assert served.downloaded() == []


def test_a_long_list_of_files_is_cut_in_a_message(served):
    served.repositories["org/pickles"] = {f"pytorch_model-{number}.bin": b"" for number in range(5)}
    assert "(its weights: pytorch_model-0.bin, pytorch_model-1.bin, pytorch_model-2.bin and 2 more)" in refusal(
        "org/pickles"
    )


@pytest.mark.parametrize(
    ("location", "fault", "wanted"),
    [
        (
            "org/tiny",
            Fault(status=401),
            "org/tiny is private, or there is none; check the name, or run `hf auth login`",
        ),
        ("org/tiny", Fault(status=404, code="RepoNotFound"), "there is no org/tiny; check the name"),
        (
            "org/tiny/*",
            Fault(status=403, code="GatedRepo"),
            "org/tiny is gated; accept its licence on its page, then run `hf auth login`",
        ),
        ("org/tiny", Fault(status=403), "org/tiny is refused (403 Forbidden"),
        (WEIGHTS, Fault(status=403), "org/tiny is refused (403 Forbidden"),
        (WEIGHTS, Fault(status=404, code="EntryNotFound"), "org/tiny is refused (404 Client Error"),
    ],
)
def test_a_refusal_of_the_hub_says_why_and_is_no_absence(served, location, fault, wanted):
    served.faults[location] = fault
    message = refusal()
    assert message.startswith(f"hub: {wanted}")
    assert "\n" not in message


def test_an_unknown_revision_is_refused_by_name(served):
    assert refusal(revision="v9") == "hub: there is no org/tiny@v9; its page lists its branches, tags and commits"


def test_a_name_that_no_repository_can_have_is_refused_by_name(served):
    assert refusal("not/a/name") == "hub: 'not/a/name' cannot be a repository's name; give ORG/NAME"
    assert served.asked == []


@pytest.mark.parametrize(
    ("location", "fault", "message"),
    [
        ("org/tiny", Fault(status=500), "500 .*Internal Server Error"),
        (WEIGHTS, Fault(status=503), "503 .*Service Unavailable"),
        (WEIGHTS, Fault(download_status=502), "502 .*Bad Gateway"),
        ("org/tiny", Fault(body=b"<html>Log in to this network</html>"), "Expecting value"),
        ("org/tiny", Fault(body=b"{}"), "id"),
    ],
)
def test_a_hub_that_is_broken_is_not_reached_with_the_reason_in_a_line(served, location, fault, message):
    served.faults[location] = fault
    with pytest.raises(HubUnreachable, match=rf"^hub: not reachable for org/tiny \(.*{message}.*\)$"):
        hub.download_snapshot("org/tiny", None)


def test_a_slow_hub_is_waited_for(served):
    served.faults["org/tiny"] = Fault(latency_s=0.05)
    assert hub.download_snapshot("org/tiny", None)


def test_a_hub_that_is_too_slow_is_given_up(served, monkeypatch):
    monkeypatch.setattr(hub, "_REACH_TIMEOUT_S", 0.05)
    served.faults["org/tiny"] = Fault(latency_s=30)  # or until the server is closed
    with pytest.raises(HubUnreachable, match="timed out"):
        hub.download_snapshot("org/tiny", None)


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Fault(short_by=3), r"model\.safetensors did not arrive whole \(.* of size 100 but has size 97 .*run it again"),
        (Fault(cut_by=3), r"model\.safetensors did not arrive whole \(.*97 .*run it again"),
        (Fault(flipped=True), rf"(?s)run it again.*\n  model\.safetensors has sha256 \w+, not {SHA256_OF_TINY}$"),
    ],
)
def test_damage_on_the_way_names_the_file_and_leaves_nothing_behind(served, fault, wanted):
    served.faults[WEIGHTS] = fault
    assert re.search(wanted, message := refusal())
    assert message.startswith("hub: org/tiny: ")
    assert hub.cached_snapshot("org/tiny", served.commit("org/tiny")) is None
    served.faults.clear()
    assert (hub.download_snapshot("org/tiny", None) / "model.safetensors").read_bytes() == TINY["model.safetensors"]


def test_a_file_of_another_size_than_the_hub_s_is_deleted_with_what_it_links_to(served):
    snapshot = hub.download_snapshot("org/tiny", None)
    file = snapshot / "config.json"
    stored = file.resolve()
    stored.write_bytes(b"{} ")
    assert refusal().endswith("\n  config.json has 3 bytes, not 23")
    assert not file.is_symlink()
    assert not stored.exists()


@pytest.mark.parametrize("by_commit", [False, True])
def test_what_was_downloaded_is_taken_where_no_hub_answers(served, by_commit):
    revision = served.commit("org/tiny") if by_commit else None
    snapshot = hub.download_snapshot("org/tiny", revision)
    served.faults["org/tiny"] = Fault(status=500)
    assert hub.download_snapshot("org/tiny", revision) == snapshot


def test_what_was_downloaded_is_not_taken_where_the_hub_refuses(served):
    hub.download_snapshot("org/tiny", None)
    served.faults["org/tiny"] = Fault(status=403, code="GatedRepo")
    assert "is gated" in refusal()


def test_weights_that_rotted_on_this_machine_are_not_taken_and_the_next_download_mends_them(served):
    snapshot = hub.download_snapshot("org/tiny", None)
    file = snapshot / "model.safetensors"
    file.resolve().write_bytes(b"1" + TINY["model.safetensors"][1:])
    assert hub.cached_snapshot("org/tiny", None) is None
    assert "model.safetensors has sha256" in refusal()
    hub.download_snapshot("org/tiny", None)
    assert file.read_bytes() == TINY["model.safetensors"]
    assert hub.cached_snapshot("org/tiny", None) == snapshot


def test_weights_that_nobody_came_to_check_are_not_taken(served):
    """The library ends and the process is killed: the commit is known, and what is stored is not what was published."""
    commit = served.commit("org/tiny")
    served.faults[WEIGHTS] = Fault(flipped=True)
    hub.snapshot_download("org/tiny", revision=commit)
    assert hub.cached_snapshot("org/tiny", commit) is None


@pytest.mark.parametrize("name", ["../../../../mine.json", "{home}/mine.json", "data/../../../../../mine.json"])
def test_a_listing_cannot_reach_files_outside_the_snapshot(served, tmp_path, name):
    mine = tmp_path / "mine.json"
    mine.write_text("precious")
    name = name.format(home=tmp_path)
    siblings = [{"rfilename": "model.safetensors"}, {"rfilename": name, "size": 1}]
    listing = {"id": "org/tiny", "sha": served.commit("org/tiny"), "siblings": siblings}
    served.faults["org/tiny"] = Fault(body=json.dumps(listing).encode())
    assert refusal() == f"hub: org/tiny lists files outside itself: {name}; do not use it"
    assert mine.read_text() == "precious"
    assert served.downloaded() == []


def test_all_damaged_files_are_named_at_once(served):
    served.repositories["org/tiny"]["model-2.safetensors"] = b"more"
    served.faults["org/tiny/*"] = Fault(flipped=True)
    named = [line.split()[0] for line in refusal().splitlines()[1:]]
    assert named == ["model.safetensors", "model-2.safetensors"]


def test_a_cache_that_cannot_be_written_is_not_an_absent_hub(served, tmp_path):
    (tmp_path / "hub").write_text("a file where a directory should be")
    assert re.search(r"^hub: org/tiny could not be stored: .*; set HF_HOME to a directory", refusal())


def test_a_data_set_s_files_are_downloaded_by_pattern(served):
    snapshot = hub.download_data("org/rows", None, ["*.jsonl", "*.parquet"])
    assert snapshot.name == served.commit("datasets/org/rows")
    assert sorted(served.downloaded()) == ["test.parquet", "train.jsonl"]


def test_a_data_set_without_such_files_is_refused_with_what_it_has(served):
    with pytest.raises(BadWeights) as caught:
        hub.download_data("org/rows", None, ["*.csv"])
    assert str(caught.value) == "hub: org/rows holds no *.csv, but train.jsonl, README.md, data/test.parquet"
    assert served.downloaded() == []


def test_a_data_set_that_rotted_on_this_machine_is_not_taken(served):
    snapshot = hub.download_data("org/rows", None, ["*.parquet"])
    assert hub.cached_data("org/rows", None, ["*.parquet"]) == snapshot
    (snapshot / "data" / "test.parquet").resolve().write_bytes(b"PAR2")
    assert hub.cached_data("org/rows", None, ["*.parquet"]) is None


def test_a_model_of_the_same_name_is_no_data_set(served):
    with pytest.raises(BadWeights, match="there is no org/tiny; check the name"):
        hub.download_data("org/tiny", None, ["*.json"])


@pytest.fixture
def of_the_registry():
    """A model with a stand-in, whose repository the server has."""
    return replace(read_model("gpt2"), repository="org/tiny")


def test_auto_pins_what_it_downloads_and_takes_it_from_the_cache_when_the_hub_breaks(served, of_the_registry):
    first = weights.prepare(of_the_registry, "auto")
    served.faults["org/tiny"] = Fault(status=500)
    assert weights.prepare(of_the_registry, "auto") == first
    assert (first.weights.source, first.weights.revision) == ("hub", served.commit("org/tiny"))
    assert first.warnings == ()


def test_auto_measures_a_stand_in_where_the_hub_is_broken(served, of_the_registry):
    served.faults["org/tiny"] = Fault(status=500)
    ready = weights.prepare(of_the_registry, "auto")
    assert ready.weights.source == "nano"
    assert re.search(r"^gpt2: hub: not reachable for org/tiny \(.*500.*a random stand-in", ready.warnings[0])


@pytest.mark.parametrize("fault", [Fault(status=401), Fault(status=404, code="RepoNotFound"), Fault(flipped=True)])
def test_auto_measures_no_stand_in_where_the_hub_refuses_or_the_weights_are_damaged(served, of_the_registry, fault):
    served.faults[WEIGHTS if fault.flipped else "org/tiny"] = fault
    with pytest.raises(BadWeights) as caught:
        weights.prepare(of_the_registry, "auto")
    assert not isinstance(caught.value, HubUnreachable)


FAULTS = {
    "short": (Fault(short_by=3), "model.safetensors did not arrive whole"),
    "flipped": (Fault(flipped=True), "model.safetensors has sha256"),
    "gated": (Fault(status=403, code="GatedRepo"), "is gated; accept its licence"),
    "broken": (Fault(status=500), "not reachable for org/broken"),
}


def test_a_model_is_fetched_by_the_command_and_each_fault_is_one_message_of_it(nano, tmp_path):
    """With processes as users start them. What was damaged comes whole the second time."""
    files = {path.name: path.read_bytes() for path in Path(nano("tinyllama").directory).iterdir()}
    unset = {"HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"}
    with serving({f"org/{name}": files for name in FAULTS}) as server:
        for name, (fault, _) in FAULTS.items():
            damaged = fault.flipped or fault.short_by
            server.faults[f"org/{name}/model.safetensors" if damaged else f"org/{name}"] = fault
        environment = {name: value for name, value in os.environ.items() if name not in unset} | {
            "HF_ENDPOINT": server.endpoint,
            "HF_HOME": str(tmp_path),
            "NO_PROXY": "127.0.0.1",
        }

        def fetch(name):
            command = [sys.executable, "-m", "harness", "models", "fetch", f"hf:org/{name}", "--weights", "hub"]
            return subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
            )

        for name, fetching in [(name, fetch(name)) for name in FAULTS]:
            out, err = fetching.communicate()
            assert (fetching.returncode, out) == (2, ""), err
            assert FAULTS[name][1] in err
            assert err.count("hub: ") == 1
            assert "Traceback" not in err
        server.faults.clear()
        again = fetch("flipped")
        out, err = again.communicate()
        assert (again.returncode, err) == (0, "")
        assert server.commit("org/flipped")[:7] in out
        (stored,) = tmp_path.glob("hub/models--org--flipped/snapshots/*/model.safetensors")
        assert stored.read_bytes() == files["model.safetensors"]


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
    requests = []

    class Session:
        def head(self, url, *, timeout):
            requests.append((url, timeout))
            if isinstance(answer, Exception):
                raise answer
            return SimpleNamespace(status_code=answer)

    monkeypatch.setattr(hub, "get_session", Session)
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(endpoint="https://hub.example"))
    return requests


@pytest.mark.parametrize("status", [200, 307, 403, 404])
def test_a_hub_that_answers_can_be_reached_whatever_it_says(monkeypatch, status):
    requests = looks_at(monkeypatch, status)
    assert hub.unreachable() is None
    assert requests == [("https://hub.example", 3.0)]


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
    monkeypatch.setattr(hub, "_PING_TIMEOUT_S", 0.05)
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
