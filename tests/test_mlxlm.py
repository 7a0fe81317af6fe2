import gc
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.optimizers
import mlx_lm
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner import trainer
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset

from harness import mlxlm
from harness.configs import read_adapter, read_model
from harness.errors import BadConfig
from harness.plans import AdapterConfig, TrainingPlan
from harness.workloads import counting

MODELS = ("smollm2", "tinyllama", "qwen", "gpt2")
QV = AdapterConfig(
    name="mine", rank=8, scale=20.0, dropout=0.0, layers=16, keys={"default": ("self_attn.q_proj", "self_attn.v_proj")}
)


@pytest.mark.parametrize(
    ("name", "published"),
    [("tinyllama", 1_100_048_384), ("qwen", 1_543_714_304), ("gpt2", 124_439_808), ("smollm2", 134_515_008)],
)
def test_the_parameters_add_up_to_the_published_total(name, published):
    """The totals of the repositories' safetensors files, as their hub pages show them."""
    shapes = mlxlm.parameter_shapes(read_model(name).config)
    assert sum(math.prod(shape) for shape in shapes.values()) == published
    assert counting.count(read_model(name), None)["total_parameters"] == published


@pytest.mark.parametrize(
    ("model", "adapter", "published"),
    [("tinyllama", "qv-r8", 819_200), ("tinyllama", "qv-r16", 819_200), ("qwen", "all-r8", 5_275_648)],
)
def test_the_trainable_parameters_are_those_of_published_runs(model, adapter, published):
    assert counting.count(read_model(model), read_adapter(adapter))["trainable_parameters"] == published


def test_counting_a_billion_parameters_allocates_next_to_nothing():
    gc.collect()  # nothing of other tests is freed in between
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    counting.count(read_model("tinyllama"), read_adapter("qv-r8"))
    assert mx.get_peak_memory() - before < 10_000_000  # the model has 4.4 GB


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
    assert [len(its) for its in losses] == [len(row) - 1 for row in rows]
    for its, row in zip(losses, rows, strict=True):
        np.testing.assert_allclose(its, nll_by_numpy(model, row), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_model_that_knows_nothing_scores_the_logarithm_of_its_vocabulary(batch_size):
    losses = mlxlm.token_nll(lambda tokens: mx.zeros((*tokens.shape, 7)), [[1, 2, 3], [4, 5], [6, 0, 1, 2]], batch_size)
    assert [len(its) for its in losses] == [2, 1, 3]
    np.testing.assert_allclose(np.concatenate(losses), math.log(7), rtol=1e-6)


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
    """Per block of the shrunk TinyLlama, from 128 to 128 and to 16: 8 (128 + 128) + 8 (128 + 16) = 3200."""
    attached = mlxlm.attach_adapter(load_nano("tinyllama").model, QV, "llama")
    assert attached.layers == 4
    assert attached.note == "adapter mine: 16 layers asked for, the model has 4"
    assert attached.trainable_parameters == 4 * 3200
    assert attached.facts() == {
        "name": "mine",
        "kind": "lora",
        "rank": 8,
        "scale": 20.0,
        "dropout": 0.0,
        "layers": 4,
        "layers_requested": 16,
        "keys": ["self_attn.q_proj", "self_attn.v_proj"],
        "modules": 8,
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
    files = mlxlm.save_adapter(model, attached, "llama", tmp_path / "adapter")
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


def test_a_split_tells_which_rows_were_read_since_it_was_last_asked(load_nano):
    texts = [{"messages": [{"role": "user", "content": text}]} for text in ("a", "b", "c")]
    rows = mlxlm.Rows(texts, load_nano("gpt2").tokenizer)
    rows.tokens(1)
    assert rows.take() == []
    assert rows[2] == rows.tokens(2)
    assert rows[0] != rows[2]
    assert rows.take() == [2, 0, 2]
    assert rows.take() == []


class Notes:
    """A watcher that writes everything down."""

    def __init__(self):
        self.batches, self.steps = [], []

    def batch_starts(self, rows, padded_tokens):
        self.batches.append((sorted(rows), padded_tokens))

    def step_ended(self, iteration, loss, learning_rate):
        self.steps.append((iteration, loss, learning_rate))


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
    dataset="aphorisms", iters=9, batch_size=2, learning_rate=1e-3, max_seq_length=512, val_every=3, seed=5
)
TRAINING, VALIDATION = [talk(n) for n in (3, 20, 60, 9, 33, 41)], [talk(n) for n in (5, 8, 2, 30, 4)]


def test_training_takes_the_batches_and_the_steps_that_mlx_lm_takes_with_validation(load_nano, tmp_path):
    """The reference is mlx-lm's loop with its own validation, which draws from the same generator."""
    mine = load_nano("gpt2")
    mlxlm.seed_everything(PLAN.seed)
    mlxlm.attach_adapter(mine.model, read_adapter("qv-r8"), "gpt2")
    notes = Notes()
    rows = mlxlm.Rows(TRAINING, mine.tokenizer)
    mlxlm.train(mine.model, rows, len(VALIDATION), PLAN, tmp_path / "mine.safetensors", notes)

    theirs = load_nano("gpt2")
    mlxlm.seed_everything(PLAN.seed)
    mlxlm.attach_adapter(theirs.model, read_adapter("qv-r8"), "gpt2")
    recording = Recording(TRAINING, theirs.tokenizer)
    trainer.train(
        model=theirs.model,
        optimizer=mlx.optimizers.Adam(learning_rate=PLAN.learning_rate),
        train_dataset=recording,
        val_dataset=Recording(VALIDATION, theirs.tokenizer),
        args=trainer.TrainingArgs(
            batch_size=2,
            iters=9,
            val_batches=-1,
            steps_per_eval=3,
            steps_per_report=1,
            steps_per_save=100,
            max_seq_length=512,
            adapter_file=str(tmp_path / "theirs.safetensors"),
        ),
    )
    taken = [sorted(recording.taken[i : i + 2]) for i in range(0, 18, 2)]
    assert [its for its, _ in notes.batches] == taken
    assert len({tuple(its) for its in taken}) == 3  # three batches an epoch, three epochs
    ours = dict(tree_flatten(mine.model.trainable_parameters()))
    for name, array in tree_flatten(theirs.model.trainable_parameters()):
        np.testing.assert_allclose(np.array(ours[name]), np.array(array), rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_watcher_is_told_of_every_batch_and_every_step(load_nano, tmp_path):
    """Lengths are padded to a multiple of 32 of the longer row."""
    loaded = load_nano("gpt2")
    mlxlm.seed_everything(PLAN.seed)
    mlxlm.attach_adapter(loaded.model, read_adapter("qv-r8"), "gpt2")
    rows = mlxlm.Rows(TRAINING, loaded.tokenizer)
    notes = Notes()
    mlxlm.train(loaded.model, rows, len(VALIDATION), PLAN, tmp_path / "adapters.safetensors", notes)
    assert [iteration for iteration, *_ in notes.steps] == list(range(1, 10))
    assert [rate for *_, rate in notes.steps] == pytest.approx([1e-3] * 9)
    lengths = [len(rows.tokens(row)[0]) for row in range(6)]
    for pair, padded_tokens in notes.batches:
        assert padded_tokens == 2 * 32 * math.ceil(max(lengths[row] for row in pair) / 32)
    assert notes.steps[-1][1] < notes.steps[0][1]  # it learns: nine steps on six rows


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
