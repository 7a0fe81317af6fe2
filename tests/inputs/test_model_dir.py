import hashlib
import json
import os
import threading

import pytest

from harness.errors import BadWeights, Unwritable
from harness.inputs import model_dir
from harness.inputs.model_dir import cached_model
from harness.paths import without_home

MANIFEST = "tunebench-manifest.json"


class Builder:
    """Writes two files, and counts how often it was asked to."""

    def __init__(self, text="weights"):
        self.text = text
        self.calls = 0

    def __call__(self, directory):
        self.calls += 1
        (directory / "model.safetensors").write_text(self.text)
        (directory / "config.json").write_text("{}")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_an_entry_is_built_once_and_found_again(own_cache):
    build = Builder()
    first, second = cached_model("a", build), cached_model("a", build)
    assert first == second == own_cache / "models" / "a"
    assert (first / "model.safetensors").read_text() == "weights"
    assert build.calls == 1
    assert names(own_cache / "models") == ["a", "a.lock"]


def test_the_manifest_holds_the_hash_of_every_file(own_cache):
    entry = cached_model("a", Builder())
    assert json.loads((entry / MANIFEST).read_text()) == {
        "config.json": hashlib.sha256(b"{}").hexdigest(),
        "model.safetensors": hashlib.sha256(b"weights").hexdigest(),
    }


def corrupt(entry):
    (entry / "model.safetensors").write_text("wEights")


def lose_a_file(entry):
    (entry / "config.json").unlink()


def lose_the_manifest(entry):
    (entry / MANIFEST).unlink()


def empty_the_manifest(entry):
    (entry / MANIFEST).write_text("{}")


def tear_the_manifest(entry):
    (entry / MANIFEST).write_text((entry / MANIFEST).read_text()[:40])


def make_the_manifest_a_list(entry):
    (entry / MANIFEST).write_text('["model.safetensors"]')


DAMAGES = [corrupt, lose_a_file, lose_the_manifest, empty_the_manifest, tear_the_manifest, make_the_manifest_a_list]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_built_anew(own_cache, damage):
    build = Builder()
    entry = cached_model("a", build)
    damage(entry)
    assert cached_model("a", build) == entry
    assert build.calls == 2
    assert names(entry) == ["config.json", "model.safetensors", MANIFEST]
    assert (entry / "model.safetensors").read_text() == "weights"
    assert names(own_cache / "models") == ["a", "a.lock"]


def test_nothing_of_a_damaged_entry_stays_when_it_is_built_anew(own_cache):
    entry = cached_model("a", Builder())
    lose_the_manifest(entry)
    (entry / "model-00002.safetensors").write_text("left behind")
    cached_model("a", Builder())
    assert names(entry) == ["config.json", "model.safetensors", MANIFEST]


def test_a_build_that_raises_leaves_nothing(own_cache):
    def build(directory):
        (directory / "model.safetensors").write_text("half")
        raise BadWeights("the download broke off")

    with pytest.raises(BadWeights, match="the download broke off"):
        cached_model("a", build)
    assert names(own_cache / "models") == ["a.lock"]


def test_a_failed_build_can_be_tried_again(own_cache):
    def fail(directory):
        raise BadWeights("not yet")

    with pytest.raises(BadWeights):
        cached_model("a", fail)
    assert (cached_model("a", Builder()) / "config.json").is_file()


def test_two_entries_do_not_disturb_each_other(own_cache):
    one, two = Builder("one"), Builder("two")
    first, second = cached_model("a", one), cached_model("b", two)
    corrupt(second)
    cached_model("a", one)
    cached_model("b", two)
    assert (one.calls, two.calls) == (1, 2)
    assert (first / "model.safetensors").read_text() == "one"
    assert (second / "model.safetensors").read_text() == "two"


def test_an_entry_is_built_once_for_two_who_want_it_at_the_same_time(own_cache):
    building, go_on = threading.Event(), threading.Event()
    builds = []

    def build(directory):
        builds.append(directory)
        building.set()
        assert go_on.wait(30)
        Builder()(directory)

    threads = [threading.Thread(target=cached_model, args=("a", build)) for _ in range(2)]
    threads[0].start()
    assert building.wait(30)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(builds) == 1
    assert names(own_cache / "models") == ["a", "a.lock"]


def test_a_cache_that_cannot_be_written_is_named_with_its_remedy(tmp_path, monkeypatch):
    file = tmp_path / "cache"
    file.write_text("a file in the place of a directory")
    monkeypatch.setenv("TUNEBENCH_CACHE", str(file))
    with pytest.raises(Unwritable, match=rf"^{file}.*set TUNEBENCH_CACHE to a directory"):
        cached_model("a", Builder())


def test_a_file_in_the_place_of_an_entry_is_refused_and_left_alone(own_cache):
    in_the_way = own_cache / "models" / "a"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine")
    with pytest.raises(Unwritable):
        cached_model("a", Builder())
    assert in_the_way.read_text() == "mine"
    assert names(own_cache / "models") == ["a", "a.lock"]


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    """FIPS 180-2, appendix B.1: the digest of "abc"."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert model_dir.file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_longer_than_a_piece_is_hashed_whole(tmp_path):
    content = bytes(range(256)) * 20_000  # 5.1 MB
    path = tmp_path / "long"
    path.write_bytes(content)
    assert model_dir.file_sha256(path) == hashlib.sha256(content).hexdigest()


def test_several_files_have_one_hash_in_the_order_of_their_names(tmp_path):
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("x")
    two.write_text("y")
    lines = "".join(f"{n} {hashlib.sha256(t).hexdigest()}\n" for n, t in (("a", b"x"), ("b", b"y")))
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert model_dir.files_sha256([one, two]) == model_dir.files_sha256([two, one]) == expected
    one.rename(tmp_path / "c")
    assert model_dir.files_sha256([tmp_path / "c", two]) != expected


def test_only_safetensors_of_the_model_are_weight_files(tmp_path):
    shards = ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"]
    for name in [*shards, "adapters.safetensors", "pytorch_model.bin", "model.pt", "config.json"]:
        (tmp_path / name).touch()
    assert [path.name for path in model_dir.weight_files(tmp_path)] == sorted(shards)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "tokenizer.model", "chat_template.jinja"])
def test_a_change_of_a_tokenizer_file_changes_the_tokenizer_s_hash(tmp_path, name):
    (tmp_path / name).write_text("old")
    digest = model_dir.tokenizer_sha256(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert model_dir.tokenizer_sha256(tmp_path) == digest
    (tmp_path / name).write_text("new")
    assert model_dir.tokenizer_sha256(tmp_path) != digest


def test_a_json_file_is_written_with_its_keys_in_order_and_read_back(tmp_path):
    path = tmp_path / "config.json"
    model_dir.write_json(path, {"b": "ü", "a": 1})
    assert path.read_text(encoding="utf-8") == '{\n "a": 1,\n "b": "ü"\n}\n'
    assert model_dir.read_json(path) == {"a": 1, "b": "ü"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "cannot be read: .*; give a model's directory"),
        ("[1]", "cannot be read"),
        ("{}", "names no model_type"),
        ('{"model_type": 1}', "names no model_type"),
    ],
)
def test_a_config_that_is_none_is_refused_by_name(tmp_path, content, problem):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadWeights, match=f"config\\.json {problem}"):
        model_dir.read_config(tmp_path)


def test_a_model_that_brings_python_of_its_own_is_refused(tmp_path):
    """Some releases of mlx-lm would run it, others leave it out and build something else."""
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "model_file": "own.py"}')
    with pytest.raises(BadWeights) as refusal:
        model_dir.read_config(tmp_path)
    problem = (
        f"{without_home(str(tmp_path / 'config.json'))}: model_file is 'own.py': a model's own Python is never run"
    )
    assert str(refusal.value) == f"{problem}; use a model of an architecture that mlx-lm has"


def test_files_are_whole_after_they_were_dropped_from_the_page_cache(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_text("weights")
    requests = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: requests.append(arguments[1:]), raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    assert model_dir.drop_from_page_cache([path]) is True
    assert requests == [(0, 0, 4)]  # the whole file
    assert path.read_text() == "weights"


def test_a_system_that_cannot_drop_files_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    assert model_dir.drop_from_page_cache([tmp_path / "model.safetensors"]) is False
