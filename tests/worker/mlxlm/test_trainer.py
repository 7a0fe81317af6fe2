import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset

from harness.inputs.config_files import read_adapter
from harness.inputs.plans import TrainingPlan
from harness.worker import mlxlm
from harness.worker.mlxlm.trainer import _trainer_loss, _true_loss
from harness.worker.workloads.rows import tokenize_rows
from tests.support.features import accumulating
from tests.support.likelihood import nll_by_numpy


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
