"""mlx-lm as it was and as it is, in fakes of the calls that changed: a feature is looked for, no version is.

Missing optimizers and schedules are in test_mlxlm_optimizers, a missing BatchGenerator in test_mlxlm_generation,
the functions that dequantize in test_mlxlm_fusing.
"""

import importlib
import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import mlx.core as mx
import pytest

from harness.errors import BadConfig, HarnessError
from harness.inputs.config_files import read_adapter
from harness.inputs.model_dir import write_json
from harness.inputs.plans import Quantization
from harness.worker import mlxlm, probe
from harness.worker.mlxlm import adapters, device, generation, models, quantize
from harness.worker.workloads.context import Context
from harness.worker.workloads.training import measure


@dataclass(kw_only=True)
class OldArgs:
    """TrainingArgs up to 0.28.2."""

    batch_size: int = 4
    iters: int = 100
    val_batches: int = 25
    steps_per_report: int = 10
    steps_per_eval: int = 200
    steps_per_save: int = 100
    max_seq_length: int = 2048
    adapter_file: str = "adapters.safetensors"
    grad_checkpoint: bool = False


@dataclass(kw_only=True)
class NewArgs(OldArgs):
    grad_accumulation_steps: int = 1


class Trainer:
    """The module mlx_lm.tuner.trainer; it notes what it is asked."""

    def __init__(self, arguments, insists_on_validation):
        self.TrainingArgs = arguments
        self.train = self._old if insists_on_validation else self._new
        self.asked, self.validated_on, self.scored = None, [], []

    def _old(self, model, optimizer, train_dataset, val_dataset, args, loss, iterate_batches, training_callback):
        """Up to 0.30: validates before the first step and the last, whatever it is told."""
        self.asked = args
        for iteration in range(1, args.iters + 1):
            if iteration == 1 or iteration % args.steps_per_eval == 0 or iteration == args.iters:
                self.validated_on.append(val_dataset)
                batches = zip(range(args.val_batches), iterate_batches(val_dataset), strict=False)
                self.scored += [batch for _, batch in batches]

    def _new(
        self, model, optimizer, train_dataset, val_dataset=None, args=None, loss=None, iterate_batches=None,
        training_callback=None,
    ):  # fmt: skip
        self.asked = args
        self.validated_on.append(val_dataset)


def trained_by(monkeypatch, trainer, plan, tmp_path):
    monkeypatch.setattr("harness.worker.mlxlm.trainer.trainer", trainer)
    mlxlm.train({}, mlxlm.TrainerRows([], []), 5, plan, tmp_path / "adapter", SimpleNamespace())
    return trainer


@pytest.fixture
def plan(tiny_profile):
    return tiny_profile.training


def test_a_trainer_that_insists_on_validation_gets_no_row_to_validate_on(monkeypatch, plan, tmp_path):
    """Validation is ours: what this one does is what it cannot be kept from, before the first step and the last."""
    trainer = trained_by(monkeypatch, Trainer(NewArgs, insists_on_validation=True), plan, tmp_path)
    assert trainer.validated_on == [(), ()]
    assert trainer.scored == []


def test_a_trainer_that_does_not_validate_is_not_given_rows_for_it(monkeypatch, plan, tmp_path):
    trainer = trained_by(monkeypatch, Trainer(NewArgs, insists_on_validation=False), plan, tmp_path)
    assert trainer.validated_on == [None]


def test_a_trainer_that_cannot_accumulate_is_not_told_to(monkeypatch, plan, tmp_path):
    trainer = trained_by(monkeypatch, Trainer(OldArgs, insists_on_validation=True), plan, tmp_path)
    assert (trainer.asked.iters, trainer.asked.batch_size) == (4, 2)


def test_a_trainer_that_accumulates_is_told_how_often(monkeypatch, plan, tmp_path):
    result = replace(plan, grad_accumulation_steps=2)
    trainer = trained_by(monkeypatch, Trainer(NewArgs, insists_on_validation=False), result, tmp_path)
    assert trainer.asked.grad_accumulation_steps == 2


REFUSED = r"training: 1 problem\n  grad_accumulation_steps = 2: this mlx-lm's trainer accumulates no gradients; give 1"


def test_accumulated_gradients_are_refused_where_they_would_not_be(monkeypatch, plan, tmp_path):
    trainer = Trainer(OldArgs, insists_on_validation=True)
    with pytest.raises(BadConfig, match=REFUSED):
        trained_by(monkeypatch, trainer, replace(plan, grad_accumulation_steps=2), tmp_path)
    assert trainer.asked is None


def test_what_the_trainer_cannot_do_is_refused_before_a_model_is_loaded(monkeypatch, tiny_profile):
    monkeypatch.setattr("harness.worker.mlxlm.trainer.trainer", Trainer(OldArgs, insists_on_validation=True))
    monkeypatch.setattr(Context, "load", lambda _: pytest.fail("a model is loaded"))
    result = replace(tiny_profile.training, grad_accumulation_steps=2)
    context = Context(
        job=SimpleNamespace(profile=replace(tiny_profile, training=result)),
        device="cpu: test",
        progress=lambda *_: None,
        stopwatch=SimpleNamespace(),
    )
    with pytest.raises(BadConfig, match=REFUSED):
        measure(context)


@pytest.mark.parametrize("schedule", [{"optimizer": "muon"}, {"optimizer_options": {"no such": 1}}])
def test_what_the_optimizer_cannot_do_is_refused_then_too(monkeypatch, plan, schedule):
    monkeypatch.delattr(mlxlm.optimizers.mlx.optimizers, "Muon", raising=False)
    with pytest.raises(BadConfig):
        mlxlm.check_trainer(replace(plan, **schedule))


class OldBatch:
    """BatchGenerator as it began: it is asked by `next`, and cannot be closed."""

    def __init__(self, model, completion_batch_size=32, prefill_batch_size=8):
        self.left = 2

    def insert(self, prompts, max_tokens):
        return list(range(7, 7 + len(prompts)))

    def next(self):
        self.left -= 1
        return [SimpleNamespace(uid=8, token=40), SimpleNamespace(uid=7, token=30)] if self.left >= 0 else []


class NewBatch(OldBatch):
    """Later `next` tells of prompts as well, in a pair."""

    closed = 0

    def next(self):
        return [], super().next()

    def next_generated(self):
        return super().next()

    def close(self):
        type(self).closed += 1


@pytest.mark.parametrize("kind", [OldBatch, NewBatch])
def test_a_batch_is_asked_for_tokens_by_the_name_it_knows(monkeypatch, kind):
    library = importlib.import_module("mlx_lm.generate")
    monkeypatch.setattr(library, "BatchGenerator", kind)
    assert list(mlxlm.generate_batch(None, [[1], [2]], 2)) == [((1, 40), (0, 30))] * 2
    assert getattr(kind, "closed", 1) == 1


def test_an_architecture_that_counts_no_positions_in_a_batch_cannot_batch(monkeypatch):
    """As GPT-2's in 0.28: its positions begin at a number, and a batch has one for each row."""

    class Unfit(OldBatch):
        def next(self):
            mx.arange(SimpleNamespace())

    monkeypatch.setattr(importlib.import_module("mlx_lm.generate"), "BatchGenerator", Unfit)
    with pytest.raises(mlxlm.CannotBatch, match=r"here: TypeError: arange\(\): incompatible function arguments[^\n]*$"):
        list(mlxlm.generate_batch(None, [[1]], 2))


def test_a_token_is_greedy_without_a_word_on_temperature_or_sampler(monkeypatch):
    """`temp=` went, `sampler=` came: neither is needed for what both do by themselves."""

    def step(prompt, model, *, max_tokens, prompt_cache=None):
        yield from [(5, None), (6, None)][:max_tokens]

    monkeypatch.setattr(generation, "generate_step", step)
    assert list(mlxlm.generate(None, [1, 2], 2)) == [5, 6]


COUNTERS = ("get_active_memory", "get_peak_memory", "get_cache_memory", "reset_peak_memory")


def counting(monkeypatch, **homes):
    """MLX with its counters where *homes* says: each answers with its own name."""
    counters = {name: lambda name=name: name for name in COUNTERS}
    there = SimpleNamespace(**counters)
    bare = SimpleNamespace()
    own = counters if homes["of_mlx"] else {}
    monkeypatch.setattr(device, "mx", SimpleNamespace(**own, metal=there if homes["of_metal"] else bare))


@pytest.mark.parametrize("homes", [{"of_mlx": True, "of_metal": False}, {"of_mlx": False, "of_metal": True}])
def test_memory_is_counted_where_mlx_keeps_its_counters(monkeypatch, homes):
    counting(monkeypatch, **homes)
    result = mlxlm.allocator()
    assert (result.active(), result.peak(), result.cache(), result.reset_peak()) == COUNTERS


def test_an_mlx_that_does_not_count_is_refused(monkeypatch):
    counting(monkeypatch, of_mlx=False, of_metal=False)
    with pytest.raises(
        HarnessError, match=r"mlx\.core has no get_active_memory: memory cannot be measured; update MLX"
    ):
        mlxlm.allocator()


@pytest.mark.parametrize(
    ("kind", "metal", "told"),
    [("gpu", True, {"type": "gpu", "memory_size": 5}), ("gpu", False, {"type": "gpu"}), ("cpu", True, {"type": "cpu"})],
)
def test_an_older_mlx_tells_of_metal_s_device_alone(monkeypatch, kind, metal, told):
    result = SimpleNamespace(is_available=lambda: metal, device_info=lambda: {"memory_size": 5})
    monkeypatch.setattr(probe, "mx", SimpleNamespace(metal=result))
    monkeypatch.setattr(probe, "_device_type", lambda: kind)
    assert probe.device() == told
    assert probe.device_memory_bytes() == told.get("memory_size")


class Tokenizer:
    """A tokenizer whose template, unless told otherwise, gives tokens: in a list, since transformers 5 in a dict."""

    def __init__(self, tokenized):
        self.tokenized = tokenized

    def apply_chat_template(self, conversation, add_generation_prompt=False, tokenize=True, **_):
        text = "".join(turn["content"] for turn in conversation) + "?" * add_generation_prompt
        return self.tokenized(text) if tokenize else text

    def encode(self, text, add_special_tokens=True):
        return [0] * add_special_tokens + [ord(letter) for letter in text]


@pytest.mark.parametrize("tokenized", [lambda text: [1], lambda text: {"input_ids": [1], "attention_mask": [1]}])
def test_a_conversation_s_tokens_are_those_of_its_text_whatever_a_template_returns(tokenized):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert mlxlm.conversation_tokens(Tokenizer(tokenized), turns) == [97, 98]
    assert mlxlm.prompt_tokens(Tokenizer(tokenized), turns[:1]) == [97, 63]


@pytest.mark.parametrize("adds_its_own", [True, False])
@pytest.mark.parametrize(
    ("generation_config", "told"), [(None, {2}), ({"eos_token_id": [3, 4]}, {3, 4}), ({"top_k": 1}, {2})]
)
def test_the_tokens_that_end_a_text_are_the_same_with_every_mlx_lm(
    monkeypatch, tmp_path, adds_its_own, generation_config, told
):
    """Older ones do not read generation_config.json, or leave out the tokenizer's own, here 1."""
    write_json(tmp_path / "config.json", {"model_type": "x", "eos_token_id": 2})
    if generation_config is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation_config))

    def load_tokenizer(directory, eos_token_ids):
        result = {eos_token_ids} if isinstance(eos_token_ids, int) else set(eos_token_ids)
        return SimpleNamespace(
            eos_token_id=1, eos_token_ids=result | ({1} if adds_its_own else set()), chat_template="x"
        )

    model = SimpleNamespace(parameters=lambda: {"w": mx.zeros(1)}, eval=lambda: None, set_dtype=lambda _: None)
    monkeypatch.setattr(models, "load_tokenizer", load_tokenizer)
    monkeypatch.setattr(models, "load_model", lambda _: (model, {}, "a third value, as load has one since 0.30"))
    loaded = mlxlm.load(tmp_path, None)
    assert loaded.model is model
    assert loaded.tokenizer.eos_token_ids == told | {1}


def test_an_adapter_says_all_that_mlx_lm_has_had_other_defaults_for(load_nano, monkeypatch):
    """Its keys were query and value before 0.28.2 and all matrices since, its scale was 10 and 20."""
    asked = []
    real = adapters.linear_to_lora_layers

    def noted(model, num_layers, config, use_dora=False):
        asked.append((num_layers, config, use_dora))
        real(model, num_layers, config, use_dora=use_dora)

    monkeypatch.setattr(adapters, "linear_to_lora_layers", noted)
    mlxlm.attach_adapter(load_nano("gpt2").model, read_adapter("qv-r8"), "gpt2")
    ((layers, config, dora),) = asked
    assert (layers, dora) == (4, False)
    assert config == {"rank": 8, "scale": 20.0, "dropout": 0.0, "keys": ["attn.c_attn"]}


def quantized_by(monkeypatch, quantize_model):
    monkeypatch.setattr(quantize, "quantize_model", quantize_model)
    model = SimpleNamespace(named_modules=list)
    return quantize.quantize_as_configured(model, {"quantization": {"bits": 4, "group_size": 32, "mode": "affine"}})


def test_quantizing_says_bits_group_and_mode_and_gives_no_predicate(monkeypatch):
    """Predicates have had two arities, bits and group size two defaults, and neither is relied on."""

    def quantize_model(model, config, group_size, bits, *, mode):
        return Quantization(bits=bits, group_size=group_size, mode=mode), config

    assert quantized_by(monkeypatch, quantize_model) == Quantization(bits=4, group_size=32, mode="affine")


def test_an_mlx_that_knows_no_modes_is_refused_and_nothing_is_quantized_otherwise(monkeypatch):
    def quantize_model(model, config, q_group_size, q_bits, quant_predicate=None):
        pytest.fail("something is quantised")

    with pytest.raises(BadConfig, match=r"this MLX cannot: .*unexpected keyword argument 'mode'"):
        quantized_by(monkeypatch, quantize_model)
