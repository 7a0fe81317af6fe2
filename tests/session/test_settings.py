from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BadConfig, HarnessError, UnknownName
from harness.inputs.plans import Quantization
from harness.results.records import RunInfo
from harness.session import settings
from harness.session.settings import SessionOptions

GIVEN = {
    "models": "smollm2",
    "adapters": "qv-r8",
    "profile": "smoke",
    "source": "auto",
    "repeats": None,
    "cooldown_s": None,
    "memory_limit": None,
    "results_dir": "results",
    "run_id": None,
    "report": True,
}


def resolve(**options):
    return settings.resolve(SessionOptions(**options))


def test_the_defaults_are_those_that_users_were_promised():
    assert (settings.DEFAULT_MODELS, settings.DEFAULT_PROFILE, settings.DEFAULT_SOURCE) == ("smollm2", "smoke", "auto")
    assert settings.DEFAULT_RESULTS_DIR == "results"
    assert settings.DEFAULT_ADAPTERS == "qv-r8"


@pytest.mark.parametrize(
    ("option", "value", "show", "shown"),
    [
        ("models", "qwen, gpt2", lambda s: [m.name for m in s.models], ["qwen", "gpt2"]),
        ("models", "gpt2,gpt2", lambda s: [m.name for m in s.models], ["gpt2"]),
        ("models", "hf:org/a@v1", lambda s: [m.revision for m in s.models], ["v1"]),
        ("adapters", "all-r8,qv-r16,", lambda s: [a.name for a in s.adapters], ["all-r8", "qv-r16"]),
        ("profile", "standard", lambda s: s.profile.name, "standard"),
        ("source", "hub", lambda s: s.source, "hub"),
        ("source", "embedded", lambda s: s.source, "embedded"),
        ("quantize", "8", lambda s: s.quantization, Quantization(bits=8)),
        ("dataset", "mlqa", lambda s: s.profile.training_of().dataset, "mlqa"),
        ("iters", 7, lambda s: s.profile.training_of(s.adapters[0]).iters, 7),
        ("repeats", 7, lambda s: s.repeats, 7),
        ("cooldown_s", 2.5, lambda s: s.cooldown_s, 2.5),
        ("memory_limit", "8GiB", lambda s: s.memory_limit_bytes, 8 * 2**30),
        ("memory_limit", "1.5 mb", lambda s: s.memory_limit_bytes, 1.5 * 2**20),
        ("memory_limit", "1000000", lambda s: s.memory_limit_bytes, 1000000),
        ("resume", Path("results/x"), lambda s: s.resume, Path("results/x")),
        ("results_dir", "elsewhere/x", lambda s: s.results_dir, Path("elsewhere/x")),
        ("run_id", "Run_1.a-b", lambda s: s.run_id, "Run_1.a-b"),
        ("report", False, lambda s: s.report, False),
    ],
)
def test_every_option_shows_where_it_is_used(option, value, show, shown):
    assert show(resolve(**GIVEN)) != shown
    assert show(resolve(**{**GIVEN, option: value})) == shown


def test_the_profile_says_how_often_unless_the_user_does():
    assert resolve(**GIVEN).repeats == 1
    assert resolve(**{**GIVEN, "profile": "standard"}).repeats == 5
    assert resolve(**{**GIVEN, "profile": "standard", "repeats": 2}).repeats == 2


RESUMED = RunInfo(
    id="before",
    started_at="2026-01-01T00:00:00Z",
    finished_at=None,
    command=(),
    profile="standard",
    git=None,
    options={
        "models": ["gpt2", "qwen"],
        "lora": ["all-r8"],
        "weights": "embedded",
        "repeats": 7,
        "cooldown_s": 1.5,
        "memory_limit_bytes": 2**30,
    },
)
UNSAID = dict.fromkeys(("models", "adapters", "profile", "source"))


def test_what_is_not_said_is_as_it_was_in_the_run_that_is_gone_on_with():
    went_on = resolve(**{**GIVEN, **UNSAID}, resume=Path("results/before"), resumed=RESUMED)
    assert [model.name for model in went_on.models] == ["gpt2", "qwen"]
    assert (went_on.adapter_names, went_on.profile.name, went_on.source) == (("all-r8",), "standard", "embedded")
    assert (went_on.repeats, went_on.cooldown_s, went_on.memory_limit_bytes) == (7, 1.5, 2**30)


def test_what_is_said_counts_for_more_than_what_the_run_was_asked_for():
    given = {"models": "smollm2", "adapters": "qv-r16", "profile": "standard", "source": "auto"}
    given |= {"repeats": 2, "cooldown_s": 0.0, "memory_limit": "2GiB"}
    went_on = resolve(**{**GIVEN, **given}, resume=Path("results/before"), resumed=RESUMED)
    assert [model.name for model in went_on.models] == ["smollm2"]
    assert (went_on.adapter_names, went_on.profile.name, went_on.source) == (("qv-r16",), "standard", "auto")
    assert (went_on.repeats, went_on.cooldown_s, went_on.memory_limit_bytes) == (2, 0.0, 2**31)


def test_what_is_said_nowhere_is_the_default():
    plain = resolve(**{**GIVEN, **UNSAID})
    assert [model.name for model in plain.models] == ["smollm2"]
    assert (plain.adapter_names, plain.profile.name, plain.source) == (("qv-r8",), "smoke", "auto")
    assert (plain.cooldown_s, plain.memory_limit_bytes) == (0.0, None)


def test_a_run_that_is_gone_on_with_keeps_its_name():
    with pytest.raises(BadConfig, match="keeps its name"):
        resolve(**{**GIVEN, **UNSAID, "run_id": "other"}, resume=Path("results/before"), resumed=RESUMED)


@pytest.mark.parametrize("size", ["", "0", "much", "8 apples", "-1", "8GiBB"])
def test_a_memory_limit_that_is_no_size_is_refused(size):
    with pytest.raises(BadConfig, match=r"--memory-limit: 1 problem\n  .* is no size; give one such as 8GiB"):
        resolve(**{**GIVEN, "memory_limit": size})


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_pause_that_no_clock_can_wait_is_refused(seconds):
    with pytest.raises(BadConfig, match="--cooldown"):
        resolve(**{**GIVEN, "cooldown_s": seconds})


@pytest.mark.parametrize("repeats", [0, -1])
def test_a_case_is_measured_at_least_once(repeats):
    with pytest.raises(BadConfig, match=rf"--repeats: 1 problem\n  {repeats} processes a case; give a whole number"):
        resolve(**{**GIVEN, "repeats": repeats})


@pytest.mark.parametrize("run_id", ["", "a/b", "../x", ".hidden", "-x", "a b", "x\n", "ä"])
def test_a_run_is_not_named_what_a_directory_should_not_be(run_id):
    with pytest.raises(BadConfig, match=r"--run-id: 1 problem\n.*use letters, digits"):
        resolve(**{**GIVEN, "run_id": run_id})


@pytest.mark.parametrize(("option", "flag"), [("models", "--models"), ("adapters", "--lora")])
@pytest.mark.parametrize("nothing", ["", " , ,"])
def test_a_list_that_names_nothing_is_refused(option, flag, nothing):
    with pytest.raises(BadConfig, match=f"{flag}: 1 problem\n  nothing is named"):
        resolve(**{**GIVEN, option: nothing})


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("models", "model"),
        ("adapters", "adapter config"),
        ("profile", "profile"),
        ("source", "weights source"),
    ],
)
def test_a_name_that_nothing_answers_to_is_refused(option, what):
    with pytest.raises(UnknownName, match=f"unknown {what} 'nope'"):
        resolve(**{**GIVEN, option: "nope"})


def test_another_profile_is_another_run():
    with pytest.raises(BadConfig, match="the run is of the profile 'standard'; measure 'smoke' as a run of its own"):
        resolve(**{**GIVEN, **UNSAID, "profile": "smoke"}, resume=Path("results/before"), resumed=RESUMED)


def config(directory, name="mine", more=""):
    path = directory / f"{name}.toml"
    path.write_text(f'rank = 8\nscale = 20.0\nlayers = 16\nkeys = "qv"\n{more}\n')
    return str(path)


def test_a_config_brings_its_models_where_none_are_named_and_goes_with_all_that_are(tmp_path):
    adapters = config(tmp_path, "a", 'models = ["gpt2", "qwen"]') + ",qv-r8"
    resolved = resolve(**{**GIVEN, "models": None, "adapters": adapters})
    assert [model.name for model in resolved.models] == ["gpt2", "qwen", "smollm2"]
    assert [adapter.models for adapter in resolved.adapters] == [("gpt2", "qwen"), ("smollm2",)]
    named = resolve(**{**GIVEN, "models": "tinyllama", "adapters": adapters})
    assert [model.name for model in named.models] == ["tinyllama"]
    assert [adapter.models for adapter in named.adapters] == [(), ()]


def test_the_reference_profile_brings_the_published_protocols():
    resolved = resolve(**{**GIVEN, "models": None, "adapters": None, "profile": "reference", "iters": 64})
    models = {adapter.name: adapter.models for adapter in resolved.adapters}
    assert models == {
        "s0": ("tinyllama", "qwen"),
        "s2": ("qwen",),
        "s3": ("tinyllama",),
        "s4": ("gpt2", "tinyllama"),
    }
    assert {resolved.profile.training_of(adapter).iters for adapter in resolved.adapters} == {64}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("s0", {"rank": 16, "layers": 8, "batch_size": 2, "iters": 100, "learning_rate": 5e-5}),
        ("s2", {"rank": 32, "batch_size": 4, "iters": 15_000, "grad_accumulation_steps": 32, "max_seq_length": 2048}),
        ("s2", {"val_every": 100, "checkpoint_every": 500, "dropout": 0.05, "learning_rate": 2e-4}),
        ("s3", {"rank": 8, "layers": 16, "batch_size": 1, "iters": 50, "learning_rate": 1e-4, "grad_checkpoint": True}),
        ("s3", {"seed": 42, "split_rows": (40, 10, 5), "max_seq_length": 512}),
        ("s4", {"quantization": Quantization(bits=8)}),
    ],
)
def test_a_protocol_is_the_one_its_report_prints(name, facts):
    resolved = resolve(**{**GIVEN, "models": None, "adapters": name, "profile": "reference"})
    (adapter,), plan = resolved.adapters, resolved.profile.training_of(resolved.adapters[0])
    assert {fact: getattr(adapter if hasattr(adapter, fact) else plan, fact) for fact in facts} == facts


def test_a_run_whose_configs_brought_the_models_is_gone_on_with_the_same_ones():
    first = resolve(**{**GIVEN, "models": None, "adapters": "s4", "iters": 5, "quantize": "8"})
    options = {"models": [model.name for model in first.models], "lora": ["s4"], **first.options}
    run = replace(RESUMED, profile="smoke", options=options)
    again = resolve(**{**GIVEN, "models": None, "adapters": None, "profile": None, "source": None, "resumed": run})
    assert (again.models, again.adapters, again.profile) == (first.models, first.adapters, first.profile)
    assert (again.quantization, again.options) == (first.quantization, first.options)


@pytest.mark.parametrize(
    ("more", "changes", "problem"),
    [
        ("quantize = 8", {"quantize": "4"}, "mine has a base of 8 bit, --quantize says 4; leave one of them out"),
        ("quantize = 8", {"quantize": "none"}, "mine has a base of 8 bit, --quantize says none; leave one of them out"),
        (
            "[training]\ngrad_accumulation_steps = 32",
            {"iters": 31},
            "mine: 31 iterations make no update, as gradients are accumulated over 32; give --iters 32 or more",
        ),
    ],
)
def test_a_config_that_contradicts_the_options_is_refused(tmp_path, more, changes, problem):
    with pytest.raises(BadConfig) as refusal:
        resolve(**{**GIVEN, "adapters": config(tmp_path, more=more), **changes})
    assert str(refusal.value) == f"--lora: 1 problem\n  {problem}"


def test_matrices_that_are_trained_themselves_are_not_quantized(tmp_path):
    path = tmp_path / "full.toml"
    path.write_text('kind = "full"\nlayers = 2\n')
    with pytest.raises(BadConfig, match="full trains the matrices themselves; quantised ones have no gradient"):
        resolve(**{**GIVEN, "adapters": str(path), "quantize": "4"})
    assert resolve(**{**GIVEN, "adapters": str(path), "quantize": "none"}).adapters[0].kind == "full"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"quantize": "3"}, "unknown quantisation '3'.*Known: 4, 8, none"), ({"iters": 0}, "--iters: .*0 iterations")],
)
def test_an_amount_that_cannot_be_is_refused(changes, problem):
    with pytest.raises(HarnessError, match=f"(?s){problem}"):
        resolve(**{**GIVEN, **changes})


def test_data_that_cannot_be_read_are_refused_before_anything_is_measured(tmp_path):
    data = tmp_path / "all.jsonl"
    data.write_text('{"text": "a"}\n' * 9 + "nonsense\n")
    with pytest.raises(BadConfig, match=r"all\.jsonl: 1 problem\n  line 10: not JSON"):
        resolve(**{**GIVEN, "dataset": f"path:{data}"})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("batch_size = 8", "7 rows to train on, and a batch takes 8"),
        ("split_rows = [8, 1, 1]", r"8 \+ 1 \+ 1 = 10 rows, and there are 9"),
        ("mask_prompt = true", "the rows are text and have no prompt"),
    ],
)
def test_data_that_do_not_fit_the_training_are_refused(tmp_path, more, problem):
    data = tmp_path / "all.jsonl"
    data.write_text('{"text": "a"}\n' * 9)
    asked = {**GIVEN, "dataset": f"path:{data}"}
    assert resolve(**{**asked, "adapters": config(tmp_path, more="[training]\nbatch_size = 7")})
    with pytest.raises(BadConfig, match=problem):
        resolve(**{**asked, "adapters": config(tmp_path, more=f"[training]\n{more}")})


def test_prompts_that_cannot_be_read_are_refused(tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"prompt": "q", "completion": "a"}\n' * 9)
    (tmp_path / "prompts.jsonl").write_text("nonsense")
    with pytest.raises(BadConfig, match=r"prompts\.jsonl: 1 problem\n  line 1: not JSON"):
        resolve(**{**GIVEN, "dataset": f"path:{tmp_path}"})


def test_data_that_have_to_be_fetched_are_not_fetched_for_a_look_at_the_options():
    assert resolve(**{**GIVEN, "dataset": "hf:org/name"}).profile.training_of().dataset == "hf:org/name"


def test_as_many_iterations_as_one_update_takes_are_enough(tmp_path):
    path = config(tmp_path, more="[training]\ngrad_accumulation_steps = 32")
    assert resolve(**{**GIVEN, "adapters": path, "iters": 32}).adapters[0].name == "mine"
