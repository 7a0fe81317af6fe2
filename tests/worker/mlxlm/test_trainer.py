import gc
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import mlx.optimizers
import mlx_lm
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset

from harness.errors import BadConfig
from harness.inputs import hub
from harness.inputs.config_files import known, read_adapter, read_model
from harness.inputs.plans import AdapterConfig, AdapterKind, TrainingPlan
from harness.worker import mlxlm
from harness.worker.mlxlm.trainer import _trainer_loss, _true_loss
from harness.worker.model_costs import ModelShape
from harness.worker.workloads.count_parameters import count, count_all
from harness.worker.workloads.rows import tokenize_rows
from tests.support.features import accumulating

MODELS = tuple(known("models"))
QV = AdapterConfig(
    name="mine", rank=8, scale=20.0, dropout=0.0, layers=16, keys={"default": ("self_attn.q_proj", "self_attn.v_proj")}
)


# Total, and trainable at rank 8: all matrices of the last 16 blocks, of all; query and value of the last 16, of all.
# Counted from the repositories' config.json files; GPT-2 has 12 blocks and query, key and value in one matrix.
PUBLISHED = {
    "tinyllama": (1_100_048_384, 4_587_520, 6_307_840, 819_200, 1_126_400),
    "qwen": (1_543_714_304, 5_275_648, 9_232_384, 622_592, 1_089_536),
    "qwen-0.5b": (494_032_768, 2_932_736, 4_399_104, 360_448, 540_672),
    "gpt2": (124_439_808, 1_179_648, 1_179_648, 294_912, 294_912),
    "smollm2": (134_515_008, 1_302_528, 2_442_240, 245_760, 460_800),
    "smollm2-360m": (361_821_120, 2_170_880, 4_341_760, 409_600, 819_200),
    "llama-1b": (1_235_814_400, 5_636_096, 5_636_096, 851_968, 851_968),
    "gemma-270m": (268_098_176, 1_687_552, 1_898_496, 327_680, 368_640),
    "gemma-1b": (999_885_952, 4_014_080, 6_522_880, 458_752, 745_472),
    "qwen3-0.6b": (596_049_920, 2_883_584, 5_046_272, 655_360, 1_146_880),
}
COLUMNS = [(keys, layers) for keys in ("all", "qv") for layers in (16, None)]


def rank_8(keys, layers):
    return AdapterConfig(name="r8", rank=8, scale=20.0, layers=layers, keys=keys)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameters_are_the_published_ones(name):
    total, *trainable = PUBLISHED[name]
    counted = [count(read_model(name), rank_8(*column)) for column in COLUMNS]
    assert {item["total_parameters"] for item in counted} == {total}
    assert [element["trainable_parameters"] for element in counted] == trainable


def closed_form(config, keys, layers):
    """r (d_in + d_out) for every adapted matrix, from the sizes of the config alone."""
    if config["model_type"] == "gpt2":
        width, blocks = config["n_embd"], config["n_layer"]
        matrices = [(width, 3 * width)]
        matrices += [(width, width), (width, 4 * width), (4 * width, width)] if keys == "all" else []
    else:
        width, wide, blocks = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        head = config.get("head_dim", width // heads)
        matrices = [(width, heads * head), (width, kv_heads * head)]
        if keys == "all":
            matrices += [(width, kv_heads * head), (heads * head, width), (width, wide), (width, wide), (wide, width)]
    return min(layers or blocks, blocks) * sum(8 * (rows + columns) for rows, columns in matrices)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_trainable_parameters_are_those_of_the_closed_form(name):
    config = read_model(name).config
    assert [closed_form(config, *column) for column in COLUMNS] == list(PUBLISHED[name][1:])


def test_every_model_of_the_registry_is_counted_here():
    assert set(PUBLISHED) == set(known("models"))


@pytest.mark.parametrize(
    ("model", "adapter", "published"),
    [
        ("tinyllama", "qv-r8", 819_200),
        ("tinyllama", "qv-r16", 819_200),
        ("qwen", "all-r8", 5_275_648),
        ("qwen", "s0", 622_592),
        ("qwen", "s2", 9_232_384),
        ("tinyllama", "s3", 819_200),
    ],
)
def test_the_trainable_parameters_are_those_of_published_runs(model, adapter, published):
    assert count(read_model(model), read_adapter(adapter))["trainable_parameters"] == published


@pytest.mark.parametrize(("model", "published"), [("tinyllama", 4_874_240), ("qwen", 5_644_288)])
def test_dora_trains_a_magnitude_for_each_row_as_well(model, published):
    dora = replace(rank_8("all", 16), kind=AdapterKind.DORA)
    assert count(read_model(model), dora)["trainable_parameters"] == published


@pytest.mark.parametrize("name", ["gpt2", "gemma-270m", "qwen3-0.6b"])
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_count_as_what_they_stand_for(name, bits):
    """An affine group of 64 has a scale and an offset of 32 bits each here: a bit a weight more."""
    config = {**read_model(name).config, "quantization": {"group_size": 64, "bits": bits}}
    built = mlxlm.build(config)
    assert mlxlm.total_parameters(built) == PUBLISHED[name][0]
    assert mlxlm.bits_per_weight(built) == pytest.approx(bits + 1, rel=0.06)  # norms and positions stay as they were


def test_what_the_registry_does_not_have_is_counted_as_it_lies_on_this_machine(nano, monkeypatch):
    """And only that: finding a snapshot hashes its weights, which takes seconds a model."""
    here = Path(nano("gpt2").directory)
    monkeypatch.setattr(hub, "cached_snapshot", lambda repository, revision: here if revision == "v2" else None)
    counted = count(read_model("hf:org/any@v2"), read_adapter("qv-r8"))
    assert (counted["model_type"], counted["total_parameters"]) == ("gpt2", 1_055_488)
    assert counted["trainable_parameters"] == 4 * 8 * (128 + 3 * 128)
    monkeypatch.setattr(hub, "cached_snapshot", lambda *_: pytest.fail("asked for a model of the registry"))
    assert count(read_model("qwen"), None)["total_parameters"] == PUBLISHED["qwen"][0]


def test_weights_that_do_not_fit_their_config_are_not_counted(nano, tmp_path):
    path = shutil.copytree(nano("qwen").directory, tmp_path / "odd")
    shutil.copy2(Path(nano("gpt2").directory) / "config.json", path)
    counted = count_all([read_model(f"path:{path}")], None)[f"path:{path}"]
    assert "config.json and weights do not make a 'gpt2' model" in counted["problem"]


def test_counting_a_billion_parameters_allocates_next_to_nothing():
    gc.collect()  # nothing of other tests is freed in between
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    count(read_model("tinyllama"), read_adapter("qv-r8"))
    assert mx.get_peak_memory() - before < 10_000_000  # the model has 4.4 GB


SHAPES = {
    "smollm2": ModelShape(
        layers=30,
        block_parameters=2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536,
        head_parameters=49152 * 576,
        attention_width=9 * 64,
        kv_width=3 * 64,
        vocabulary=49152,
        hidden=576,
        stored_bytes=4 * 134_515_008,
        weight_bytes=4 * 134_515_008,  # tied
        kv_bytes_per_element=4,
    ),
    "tinyllama": ModelShape(
        layers=22,
        block_parameters=2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 5632,  # q and o, k and v, the gated layer
        head_parameters=32000 * 2048,
        attention_width=32 * 64,
        kv_width=4 * 64,
        vocabulary=32000,
        hidden=2048,
        stored_bytes=4 * 1_100_048_384,
        weight_bytes=4 * (1_100_048_384 - 32000 * 2048),  # the input embedding is a table of its own
        kv_bytes_per_element=4,
    ),
    "qwen": ModelShape(
        layers=28,
        block_parameters=2 * 1536 * 1536 + 2 * 1536 * 256 + 3 * 1536 * 8960,
        head_parameters=151936 * 1536,
        attention_width=12 * 128,
        kv_width=2 * 128,
        vocabulary=151936,
        hidden=1536,
        stored_bytes=4 * 1_543_714_304,
        weight_bytes=4 * 1_543_714_304,  # tied
        kv_bytes_per_element=4,
    ),
    "gpt2": ModelShape(
        layers=12,
        block_parameters=768 * (3 * 768 + 768) + 2 * 768 * 4 * 768,  # c_attn and c_proj, the two of the layer
        head_parameters=50257 * 768,
        attention_width=768,
        kv_width=768,
        vocabulary=50257,
        hidden=768,
        stored_bytes=4 * 124_439_808,
        weight_bytes=4 * (124_439_808 - 1024 * 768),  # of the positions' table one row is read
        kv_bytes_per_element=4,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_model_s_shape_is_that_of_its_published_config(name):
    assert mlxlm.shape_of(mlxlm.build(read_model(name).config)) == SHAPES[name]


def test_reading_the_shape_of_a_billion_parameters_allocates_next_to_nothing():
    gc.collect()  # nothing of other tests is freed in between
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mlxlm.shape_of(mlxlm.build(read_model("tinyllama").config))
    assert mx.get_peak_memory() - before < 10_000_000


def test_a_quantised_model_has_the_shape_of_the_whole_one_in_fewer_bytes(load_nano):
    """4 bits a weight and a scale and an offset of 32 bits for 32 weights: 6 bits, or 0.75 bytes."""
    model = load_nano("smollm2").model
    whole = mlxlm.shape_of(model)
    nn.quantize(model, group_size=32, bits=4)
    shape = mlxlm.shape_of(model)
    matrices = 4 * whole.block_parameters + whole.head_parameters
    stored = whole.stored_bytes - 4 * matrices + matrices * 3 // 4
    assert shape == replace(whole, stored_bytes=stored, weight_bytes=stored)


def test_an_adapter_changes_nothing_of_the_shape_but_the_bytes(load_nano):
    model = load_nano("tinyllama").model
    before = mlxlm.shape_of(model)
    attached = mlxlm.attach_adapter(model, QV, "llama")
    more = 4 * attached.trainable_parameters
    after = replace(before, stored_bytes=before.stored_bytes + more, weight_bytes=before.weight_bytes + more)
    assert mlxlm.shape_of(model) == after


def nll_by_numpy(model, row):
    """One row at a time, in double precision."""
    logits = np.array(model(mx.array([row]))[0].astype(mx.float32)).astype(np.float64)[:-1]
    highest = logits.max(axis=-1)
    normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=-1))
    return normaliser - logits[np.arange(len(row) - 1), row[1:]]


def ragged_rows():
    generator = np.random.default_rng(3)
    return [generator.integers(0, 1024, size=length).tolist() for length in (9, 33, 2, 17, 40)]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_batch_size_does_not_change_a_row_s_likelihood(load_nano, batch_size):
    model = load_nano("tinyllama").model
    rows = ragged_rows()
    losses = mlxlm.token_nll(model, rows, batch_size)
    assert [len(loss) for loss in losses] == [len(row) - 1 for row in rows]
    for value, row in zip(losses, rows, strict=True):
        np.testing.assert_allclose(value, nll_by_numpy(model, row), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_model_that_knows_nothing_scores_the_logarithm_of_its_vocabulary(batch_size):
    losses = mlxlm.token_nll(lambda tokens: mx.zeros((*tokens.shape, 7)), [[1, 2, 3], [4, 5], [6, 0, 1, 2]], batch_size)
    assert [len(loss) for loss in losses] == [2, 1, 3]
    np.testing.assert_allclose(np.concatenate(losses), math.log(7), rtol=1e-6)


def test_the_padding_after_a_row_is_scored_last(load_nano):
    model = load_nano("tinyllama").model
    rows = ragged_rows()
    for value, row in zip(mlxlm.padded_nll(model, rows, 2), rows, strict=True):
        np.testing.assert_allclose(value, nll_by_numpy(model, [*row, 0]), rtol=1e-6)


def test_every_token_is_scored_by_the_ones_before_it():
    """A model that is sure that n + 1 follows n, by 50 over all others: it is right, or off by 50."""

    def counts_up(tokens):
        return 50 * (mx.arange(10) == (tokens + 1)[..., None]).astype(mx.float32)

    (right, wrong, right_again) = mlxlm.token_nll(counts_up, [[1, 2, 3, 4], [4, 3, 2], [7, 8]], 4)
    np.testing.assert_allclose(right, [0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(wrong, [50, 50], rtol=1e-6)
    np.testing.assert_allclose(right_again, [0], atol=1e-6)


def test_a_key_that_matches_nothing_is_refused_with_the_keys_there_are(load_nano):
    loaded = load_nano("tinyllama")
    wrong = replace(QV, keys={"default": ("self_attn.q_proj", "attn.c_attn", "mlp")})
    with pytest.raises(BadConfig) as refusal:
        mlxlm.attach_adapter(loaded.model, wrong, "llama")
    first, *problems = str(refusal.value).splitlines()
    assert first == "adapter mine: 2 problems"
    known = (
        "mlp.down_proj, mlp.gate_proj, mlp.up_proj, "
        "self_attn.k_proj, self_attn.o_proj, self_attn.q_proj, self_attn.v_proj"
    )
    assert problems == [
        f"  key 'attn.c_attn' matches no matrix of a 'llama' block; known: {known}",
        f"  key 'mlp' matches no matrix of a 'llama' block; known: {known}",
    ]
    assert not [name for name, _ in tree_flatten(loaded.model.parameters()) if "lora" in name]


def test_more_layers_than_there_are_become_all_of_them_and_are_noted(load_nano):
    """Per block of the shrunk TinyLlama, from 128 to 256 and to 32: 8 (128 + 256) + 8 (128 + 32) = 4352."""
    attached = mlxlm.attach_adapter(load_nano("tinyllama").model, QV, "llama")
    assert attached.layers == 4
    assert attached.note == "adapter mine: 16 layers asked for, the model has 4"
    assert attached.trainable_parameters == 4 * 4352
    assert attached.facts() == {
        "name": "mine",
        "kind": "lora",
        "rank": 8,
        "scale": 20.0,
        "peft_alpha_equivalent": 160.0,
        "dropout": 0.0,
        "layers": 4,
        "layers_requested": 16,
        "keys": ["self_attn.q_proj", "self_attn.v_proj"],
        "modules": [f"model.layers.{block}.self_attn.{side}_proj" for block in range(4) for side in "qv"],
        "resumed_from_sha256": None,
    }


def test_layers_count_from_the_last_block(load_nano):
    attached = mlxlm.attach_adapter(load_nano("tinyllama").model, replace(QV, layers=2), "llama")
    assert attached.modules == (
        "model.layers.2.self_attn.q_proj",
        "model.layers.2.self_attn.v_proj",
        "model.layers.3.self_attn.q_proj",
        "model.layers.3.self_attn.v_proj",
    )
    assert (attached.layers, attached.note) == (2, None)


def test_all_layers_are_nothing_to_note(load_nano):
    attached = mlxlm.attach_adapter(load_nano("gpt2").model, read_adapter("all-r32"), "gpt2")
    assert (attached.layers, attached.note) == (4, None)
    assert attached.facts()["layers_requested"] is None
    assert attached.facts()["keys"] == ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


def test_only_the_adapter_is_trainable(load_nano):
    model = load_nano("tinyllama").model
    total = mlxlm.total_parameters(model)
    attached = mlxlm.attach_adapter(model, QV, "llama")
    trainable = dict(tree_flatten(model.trainable_parameters()))
    assert {name.rpartition(".")[2] for name in trainable} == {"lora_a", "lora_b"}
    assert sum(array.size for array in trainable.values()) == attached.trainable_parameters
    assert mlxlm.total_parameters(model) == total + attached.trainable_parameters


@pytest.fixture
def trained(load_nano, tmp_path):
    """A model with an adapter that says something, its logits, and where the adapter was saved."""
    mlxlm.seed_everything(1)
    loaded = load_nano("tinyllama")
    attached = mlxlm.attach_adapter(loaded.model, replace(QV, layers=3), "llama")
    model = loaded.model
    model.update(tree_map(lambda array: array + 0.01, model.trainable_parameters()))
    model.eval()
    files = mlxlm.save_adapter(model, attached, tmp_path / "adapter")
    assert sorted(path.name for path in files) == ["adapter_config.json", "adapters.safetensors"]
    return attached, logits_of(model), tmp_path / "adapter"


def logits_of(model):
    return np.array(model(mx.array([[5, 6, 7, 8]])))


def test_a_saved_adapter_is_loaded_as_it_was(load_nano, trained):
    attached, expected, directory = trained
    loaded = load_nano("tinyllama")
    base = logits_of(loaded.model)
    again = mlxlm.load_adapter(loaded.model, attached.config, directory)
    np.testing.assert_allclose(logits_of(loaded.model), expected, rtol=1e-6, atol=1e-7)
    assert np.abs(expected - base).max() > 0.01
    assert again == attached


def test_mlx_lm_itself_reads_a_saved_adapter(nano, trained):
    _, expected, directory = trained
    model = mlx_lm.load(nano("tinyllama").directory, adapter_path=str(directory))[0]
    np.testing.assert_allclose(logits_of(model), expected, rtol=1e-6, atol=1e-7)


def test_a_saved_adapter_says_what_it_is(trained):
    assert json.loads((trained[2] / "adapter_config.json").read_text()) == {
        "fine_tune_type": "lora",
        "num_layers": 3,
        "lora_parameters": {
            "rank": 8,
            "scale": 20.0,
            "dropout": 0.0,
            "keys": ["self_attn.q_proj", "self_attn.v_proj"],
        },
    }


def test_half_precision_is_in_memory_as_the_device_wants_it_when_loading_returns(nano, tmp_path):
    directory = shutil.copytree(nano("tinyllama").directory, tmp_path / "half")
    weights = directory / "model.safetensors"
    halves = {name: array.astype(mx.float16) for name, array in mx.load(str(weights)).items()}
    mx.save_safetensors(str(weights), halves, metadata={"format": "mlx"})
    gc.collect()  # nothing of other tests is freed in between
    before = mx.get_active_memory()
    loaded = mlxlm.load(directory, None)
    size, dtype = (4, "float32") if mx.default_device() == mx.cpu else (2, "float16")
    assert loaded.dtype == dtype
    assert mx.get_active_memory() - before >= size * sum(array.size for array in halves.values())
    assert not loaded.model.training


def test_a_tokenizer_without_a_chat_template_gets_the_plain_one_and_others_keep_theirs(nano, tmp_path):
    directory = shutil.copytree(nano("gpt2").directory, tmp_path / "bare")
    config = json.loads((directory / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    question, template = [{"role": "user", "content": "Hi"}], "Q: {{ messages[0].content }}"
    bare, own = mlxlm.load(directory, template).tokenizer, mlxlm.load(Path(nano("gpt2").directory), template).tokenizer
    assert bare.decode(mlxlm.prompt_tokens(bare, question)) == "Q: Hi"
    assert own.decode(mlxlm.prompt_tokens(own, question)) == "User: Hi\nAnswer:"


@pytest.mark.parametrize("name", MODELS)
def test_a_conversation_has_the_tokens_that_mlx_lm_trains_on(load_nano, name):
    tokenizer = load_nano(name).tokenizer
    row = {"messages": [{"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "Ho 12"}]}
    tokens = mlxlm.conversation_tokens(tokenizer, row["messages"])
    assert tokens == list(ChatDataset([row], tokenizer).process(row)[0])
    prompt = mlxlm.prompt_tokens(tokenizer, row["messages"][:1])
    assert tokens[: len(prompt)] == prompt
    assert tokens[len(prompt) :] != []


@pytest.mark.parametrize(("name", "closing"), [("tinyllama", {0, 1, 2}), ("smollm2", {0, 1, 2}), ("gpt2", {0})])
def test_what_closes_an_answer_is_not_text(load_nano, name, closing):
    assert mlxlm.closing_tokens(load_nano(name).tokenizer) == closing


def test_a_split_tells_which_rows_were_read_since_it_was_last_asked():
    rows = mlxlm.TrainerRows([{"text": text} for text in ("a", "b", "c")], [((1, 2), 0), ((3,), 0), ((4, 5), 1)])
    assert rows.take() == []
    assert rows[2] == ([4, 5], 1)
    assert rows[0] == ([1, 2], 0)
    assert rows.take() == [2, 0]
    assert rows.take() == []


class Notes:
    """A watcher that writes everything down."""

    def __init__(self):
        self.calls, self.batches, self.steps = [], [], []

    def batch_wanted(self):
        self.calls.append("wanted")

    def batch_starts(self, rows, padded_tokens):
        self.calls.append("starts")
        self.batches.append((list(rows), padded_tokens))

    def step_ended(self, iteration, losses, learning_rate):
        self.calls.append("ended")
        self.steps.append((iteration, losses, learning_rate))


class Printed(TrainingCallback):
    """What mlx-lm's trainer reports, loss by loss."""

    def __init__(self):
        self.losses = []

    def on_train_loss_report(self, train_info):
        self.losses.append(train_info["train_loss"])


class Recording(CacheDataset):
    """A split for mlx-lm's own loop that notes which rows it took."""

    def __init__(self, rows, tokenizer):
        super().__init__(ChatDataset(rows, tokenizer))
        self.taken = []

    def __getitem__(self, idx):
        self.taken.append(idx)
        return super().__getitem__(idx)


def talk(words):
    return {"messages": [{"role": "user", "content": "why " * words}, {"role": "assistant", "content": "so"}]}


PLAN = TrainingPlan(
    dataset="aphorisms",
    iters=9,
    batch_size=2,
    learning_rate=1e-3,
    max_seq_length=512,
    val_every=3,
    warmup_iters=1,
    grad_accumulation_steps=1,
    seed=5,
)
TRAINING, VALIDATION = [talk(n) for n in (3, 20, 60, 9, 33, 41)], [talk(n) for n in (5, 8, 2, 30, 4)]


def fresh(loaded, plan):
    mlxlm.seed_everything(plan.seed)
    mlxlm.attach_adapter(loaded.model, read_adapter("qv-r8"), loaded.model_type)
    return loaded


def split(loaded, plan=PLAN):
    rows = tokenize_rows(loaded.tokenizer, TRAINING, form="chat", mask_prompt=plan.mask_prompt)
    return mlxlm.TrainerRows(TRAINING, [(row.tokens, row.start) for row in rows])


def watched(loaded, plan, tmp_path):
    """Train as the harness does, and tell what the watcher was told."""
    notes = Notes()
    rows = split(loaded, plan)
    mlxlm.train(loaded.model, rows, len(VALIDATION), plan, tmp_path / "mine.safetensors", notes)
    return notes


@pytest.mark.parametrize("accumulated", [1, pytest.param(2, marks=accumulating)])
def test_training_is_to_the_bit_what_mlx_lm_does_with_its_own_loss_and_validation(load_nano, tmp_path, accumulated):
    """The reference is mlx-lm's loop, which draws its validation's order from the same generator."""
    plan = replace(PLAN, grad_accumulation_steps=accumulated, max_seq_length=60)
    mine = fresh(load_nano("gpt2"), plan)
    notes = watched(mine, plan, tmp_path)

    theirs = fresh(load_nano("gpt2"), plan)
    recording, printed = Recording(TRAINING, theirs.tokenizer), Printed()
    trainer.train(
        model=theirs.model,
        optimizer=mlx.optimizers.Adam(learning_rate=plan.learning_rate),
        train_dataset=recording,
        val_dataset=Recording(VALIDATION, theirs.tokenizer),
        args=trainer.TrainingArgs(
            batch_size=2,
            iters=9,
            val_batches=-1,
            steps_per_eval=3,
            steps_per_report=1,
            steps_per_save=100,
            max_seq_length=60,
            adapter_file=str(tmp_path / "theirs.safetensors"),
            **({} if accumulated == 1 else {"grad_accumulation_steps": accumulated}),
        ),
        training_callback=printed,
    )
    taken = [recording.taken[i : i + 2] for i in range(0, 18, 2)]
    assert [value for value, _ in notes.batches] == taken
    assert len({tuple(rows_taken) for rows_taken in taken}) == 3  # three batches an epoch, three epochs
    assert [losses.trainer for _, losses, _ in notes.steps] == printed.losses
    ours = dict(tree_flatten(mine.model.trainable_parameters()))
    reference = dict(tree_flatten(theirs.model.trainable_parameters()))
    assert ours.keys() == reference.keys()
    for name, array in reference.items():
        np.testing.assert_array_equal(np.array(ours[name]), np.array(array), err_msg=name)
    assert (tmp_path / "mine.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


@pytest.mark.parametrize("max_seq_length", [512, 60, 16])
def test_the_true_loss_is_over_the_real_targets_and_the_trainer_s_over_one_padding_more(
    load_nano, tmp_path, max_seq_length
):
    """With a learning rate of 0 every batch is scored by the bare model; rows of 60 or of 16 tokens are cut there."""
    plan = replace(PLAN, iters=3, learning_rate=0.0, max_seq_length=max_seq_length)
    loaded = fresh(load_nano("gpt2"), plan)
    rows = split(loaded)
    notes = watched(loaded, plan, tmp_path)
    assert sorted(row for batch, _ in notes.batches for row in batch) == [0, 1, 2, 3, 4, 5]
    lengths = [len(rows[row][0]) for row in range(6)]
    assert min(lengths) < 60 < max(lengths)
    for (batch, _), (_, losses, _) in zip(notes.batches, notes.steps, strict=True):
        cut = [rows[row][0][:max_seq_length] for row in batch]
        true = [nll_by_numpy(loaded.model, row) for row in cut]
        trainer_s = [nll_by_numpy(loaded.model, [*row, 0][:max_seq_length]) for row in cut]
        assert losses.true == pytest.approx(np.concatenate(true).mean(), rel=1e-5)
        assert losses.trainer == pytest.approx(np.concatenate(trainer_s).mean(), rel=1e-5)


def test_what_the_true_loss_is_made_of_is_no_parameter_and_does_not_stay(load_nano, tmp_path):
    loaded = fresh(load_nano("gpt2"), PLAN)
    seen = []

    class Curious(Notes):
        def step_ended(self, iteration, losses, learning_rate):
            seen.append(({*loaded.model}, {name for name, _ in tree_flatten(loaded.model.parameters())}))

    rows = split(loaded)
    mlxlm.train(loaded.model, rows, len(VALIDATION), PLAN, tmp_path / "adapter.safetensors", Curious())
    for attributes, parameters in seen:
        assert {"_true_nats", "_true_targets"} < attributes
        assert not [name for name in parameters if "true" in name]
    assert not [name for name in loaded.model if "true" in name]
    assert {name.rpartition(".")[2] for name in mx.load(str(tmp_path / "adapter.safetensors"))} == {"lora_a", "lora_b"}


class KnowsNothing(nn.Module):
    def __call__(self, tokens):
        return mx.zeros((*tokens.shape, 7))


def test_a_batch_without_a_real_target_has_no_true_loss():
    """A row of one token: mlx-lm trains on the padding after it, and on nothing else. Of two tokens one is a target."""
    model = KnowsNothing()
    loss, targets = _trainer_loss(model, mx.array([[5, 0, 0]]), mx.array([[0, 1]]))
    assert (loss.item(), targets.item()) == (pytest.approx(math.log(7)), 1)
    assert math.isnan(_true_loss(model))
    _, targets = _trainer_loss(model, mx.array([[5, 6, 0]]), mx.array([[0, 2]]))
    assert (model["_true_targets"].item(), targets.item()) == (1, 2)
    assert _true_loss(model) == pytest.approx(math.log(7))


COMPILED = """
import sys
from pathlib import Path
sys.path[:0] = [".", "tests/worker/mlxlm"]
from harness.worker.blas_shim import load_fast_blas
load_fast_blas()
import mlx.core as mx
from harness.worker import mlxlm
import test_trainer as these
loaded = these.fresh(mlxlm.load(Path(sys.argv[1]), None), these.PLAN)
notes = these.watched(loaded, these.PLAN, Path(sys.argv[2]))
print([(losses.true, losses.trainer) for _, losses, _ in notes.steps])
"""


def test_a_compiled_step_tells_the_true_loss_as_well(nano, load_nano, tmp_path):
    """These tests do not compile (a C++ compiler takes its seconds), so a process of its own does."""
    environment = {name: value for name, value in os.environ.items() if name != "MLX_DISABLE_COMPILE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILED, nano("gpt2").directory, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    notes = watched(fresh(load_nano("gpt2"), PLAN), PLAN, tmp_path)
    compiled = np.array(json.loads(done.stdout.splitlines()[-1].replace("(", "[").replace(")", "]")))
    np.testing.assert_allclose(compiled, [(item.true, item.trainer) for _, item, _ in notes.steps], rtol=1e-4)
    assert (compiled[:, 0] != compiled[:, 1]).all()


@pytest.mark.parametrize(("longest", "positions"), [(1, 32), (32, 32), (33, 64), (70, 79), (90, 79)])
def test_a_batch_is_as_long_as_mlx_lm_makes_it(longest, positions):
    """To a multiple of 32, and to 79 inputs where rows are cut at 80 tokens."""
    split = [([1] * longest, 0), ([1], 0)]
    batch, _ = next(trainer.iterate_batches(split, 2, 80))
    assert batch[:, :-1].shape == (2, positions)
    assert mlxlm.padded_length(longest, 80) == positions


def test_a_watcher_is_told_of_every_batch_and_every_step(load_nano, tmp_path):
    """Lengths are padded to a multiple of 32 of the longer row."""
    loaded = fresh(load_nano("gpt2"), PLAN)
    rows = split(loaded)
    notes = watched(loaded, PLAN, tmp_path)
    assert notes.calls == ["wanted", "starts", "ended"] * 9
    assert [iteration for iteration, *_ in notes.steps] == list(range(1, 10))
    assert [rate for *_, rate in notes.steps] == pytest.approx([1e-3] * 9)
    lengths = [len(rows[row][0]) for row in range(6)]
    for pair, padded_tokens in notes.batches:
        assert padded_tokens == 2 * 32 * math.ceil(max(lengths[row] for row in pair) / 32)
    assert notes.steps[-1][1].true < notes.steps[0][1].true  # it learns: nine steps on six rows


def test_the_seed_decides_the_batches_and_the_adapter(load_nano):
    def draw(seed):
        mlxlm.seed_everything(seed)
        model = load_nano("gpt2").model
        mlxlm.attach_adapter(model, read_adapter("qv-r8"), "gpt2")
        a = dict(tree_flatten(model.trainable_parameters()))["model.h.0.attn.c_attn.lora_a"]
        return np.random.permutation(50).tolist(), a.tolist()  # noqa: NPY002 - the generator mlx-lm uses

    assert draw(1) == draw(1)
    assert draw(1)[0] != draw(2)[0]
    assert draw(1)[1] != draw(2)[1]


def test_each_generated_token_is_the_likeliest_after_all_before_it(load_nano):
    loaded = load_nano("tinyllama")
    tokens = [5, 6, 7]
    for _ in range(6):
        tokens.append(int(loaded.model(mx.array([tokens]))[0, -1].argmax().item()))
    assert list(mlxlm.generate(loaded.model, [5, 6, 7], 6)) == tokens[3:]


def test_generation_does_not_stop_at_the_end_of_a_turn(load_nano):
    """With all weights zero every token is as likely as any, and the first one, which is GPT-2's end, is taken."""
    loaded = load_nano("gpt2")
    loaded.model.update(tree_map(mx.zeros_like, loaded.model.parameters()))
    assert loaded.tokenizer.eos_token_ids == {0}
    assert list(mlxlm.generate(loaded.model, [5, 6], 4)) == [0, 0, 0, 0]


def test_the_allocator_s_counters_are_those_of_mlx():
    gc.collect()  # nothing of other tests is freed in between
    counters = mlxlm.allocator()
    before = mx.get_active_memory()
    counters.reset_peak()
    block = mx.zeros(1_000_000)
    mx.eval(block)
    assert mx.get_active_memory() - before >= 4_000_000
    assert counters.peak() >= mx.get_active_memory()
    highest = counters.peak()
    del block
    assert counters.peak() == highest
    counters.reset_peak()
    assert highest - counters.peak() >= 4_000_000
    assert counters.cache() == mx.get_cache_memory()


def test_a_model_that_is_built_too_differently_has_no_shape(load_nano):
    model = load_nano("qwen").model
    model.args = SimpleNamespace(tie_word_embeddings=True)  # a config that does not tell of its heads
    assert mlxlm.shape_of(model) is None


def test_a_mixture_of_experts_has_no_shape():
    """A token uses two of four experts, and its bytes and FLOP are not those of all."""
    config = {
        "model_type": "mixtral",
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
    assert mlxlm.shape_of(mlxlm.build(config)) is None
