import gc
import hashlib
import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from harness.errors import BadConfig
from harness.inputs.config_files import read_adapter
from harness.inputs.datasets import Dataset, read_dataset
from harness.inputs.model_dir import tokenizer_sha256
from harness.inputs.plans import AdapterConfig, AdapterKind, Job, Work
from harness.machine.clock import Stopwatch
from harness.results import codec
from harness.worker import mlxlm
from harness.worker.failure_status import Diverged
from harness.worker.probe import Roof
from harness.worker.workloads import training, training_setup
from harness.worker.workloads.context import Context
from harness.worker.workloads.rows import TokenRow, tokenize_rows
from harness.worker.workloads.trainer_watcher import Watcher
from harness.worker.workloads.validation import mean_nll
from tests.support.features import accumulating

ROOF = Roof(gemm_flops_per_s=1e9, copy_bytes_per_s=1e9, method="made up")


def context_for(
    nano, profile, stopwatch, *, name="gpt2", adapter_dir=None, progress=lambda *_: None, roof=ROOF, adapter=None
):
    job = Job(
        work=Work.TRAINING,
        ready=nano(name),
        adapter=adapter or read_adapter("qv-r8"),
        adapter_dir=adapter_dir and str(adapter_dir),
        profile=profile,
    )
    return Context(job=job, device="cpu: test", progress=progress, stopwatch=stopwatch, _roof=roof)


def with_plan(profile, **changes):
    return replace(profile, training=replace(profile.training, **changes))


@pytest.fixture(scope="module")
def measured(nano, tiny_profile, tmp_path_factory):
    """Four steps on whole rows, a second each, validated before, after the third, and at the end."""
    reading = iter(range(10**6))
    stopwatch = Stopwatch(now_ns=lambda: next(reading) * 10**9, wait=lambda: None)
    progress = []
    directory = tmp_path_factory.mktemp("run") / "adapter"
    context = context_for(
        nano,
        tiny_profile,
        stopwatch,
        adapter_dir=directory,
        progress=lambda *values: progress.append(values),
    )
    return training.measure(context), directory, progress


def one(sample, name):
    (value,) = sample.readings[name].values
    return value


def test_every_step_is_timed_by_itself(measured):
    """The clock is read once when a batch is there and once when its update is evaluated."""
    sample, *_ = measured
    assert sample.series["step_s"].y == (1.0, 1.0, 1.0, 1.0)
    assert sample.readings["step_s"].values == (1.0, 1.0, 1.0)
    assert one(sample, "first_step_s") == 1.0
    assert (one(sample, "train_steps_per_s"), one(sample, "train_rows_per_s")) == (1.0, 2.0)


def test_the_wall_time_is_told_by_its_parts(measured):
    """A second between any two looks at the clock.

    Four steps and four batches; twice the validation and the saving of the best; the trainer's own saving.
    The other 12 seconds lie between these, which a clock that stands still in between would not show.
    """
    sample, *_ = measured
    parts = sample.readings["wall_part_s"]
    assert dict(zip(parts.labels, parts.values, strict=True)) == {
        "first step": 1.0,
        "warm-up": 0.0,
        "steady": 3.0,
        "validation": 2.0,
        "batches": 4.0,
        "saving": 3.0,
        "other": 12.0,
    }
    assert one(sample, "train_wall_s") == 25.0
    assert "wall time: 48.00 % of 25.00 s is in none of its parts" in sample.notes


def test_the_warm_up_is_left_out_of_the_rates_and_stands_in_the_series(nano, tiny_profile, stepping_stopwatch):
    sample = training.measure(context_for(nano, with_plan(tiny_profile, warmup_iters=3), stepping_stopwatch))
    assert sample.readings["step_s"].values == (1.0,)
    assert len(sample.series["step_s"].y) == 4
    assert one(sample, "train_tokens_per_s") == sample.series["real_tokens"].y[-1]
    parts = sample.readings["wall_part_s"]
    assert dict(zip(parts.labels, parts.values, strict=True))["warm-up"] == 2.0


def test_tokens_are_counted_in_the_rows_of_each_step(measured, load_nano):
    """Rows are taken with their neighbors in the file: mlx-lm sorts by length, but by that of the row's dict.

    A batch is padded to a multiple of 32.
    """
    sample, *_ = measured
    tokenizer = load_nano("gpt2").tokenizer
    rows = read_dataset("aphorisms").splits["train"]
    lengths = [len(mlxlm.conversation_tokens(tokenizer, row["messages"])) for row in rows]
    pairs = zip(lengths[::2], lengths[1::2], strict=True)
    possible = {(float(a + b), 2.0 * 32 * math.ceil(max(a, b) / 32)) for a, b in pairs}
    real, padded = sample.series["real_tokens"].y, sample.series["padded_tokens"].y
    assert len(real) == 4
    assert set(zip(real, padded, strict=True)) <= possible
    steady_s = 3.0
    assert one(sample, "train_tokens_per_s") * steady_s == pytest.approx(sum(real[1:]))
    assert one(sample, "train_padded_tokens_per_s") * steady_s == pytest.approx(sum(padded[1:]))
    assert one(sample, "train_loss_tokens_per_s") * steady_s == pytest.approx(sum(real[1:]) - 6)  # one less a row
    assert one(sample, "padding_share") == pytest.approx(1 - sum(real[1:]) / sum(padded[1:]))


def test_bytes_are_those_of_what_was_said(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    """Two rows of three letters of two bytes each: 12 bytes in the one steady step."""
    row = {"messages": [{"role": "user", "content": "üü"}, {"role": "assistant", "content": "ä"}]}
    splits = ("train", "valid", "test")
    dataset = Dataset(
        name="mine",
        form="chat",
        sha256="00",
        splits=dict.fromkeys(splits, (row, row)),
        numbers=dict.fromkeys(splits, (1, 2)),
    )
    monkeypatch.setattr(training_setup, "read_dataset", lambda name, split_rows: dataset)
    sample = training.measure(context_for(nano, with_plan(tiny_profile, iters=2), stepping_stopwatch))
    assert one(sample, "train_bytes_per_s") == 12.0


def test_the_rows_are_told_as_the_model_sees_them(measured, load_nano):
    sample, *_ = measured
    tokenizer, dataset = load_nano("gpt2").tokenizer, read_dataset("aphorisms")
    for split, count in (("train", 80), ("valid", 15)):
        tokens = [len(mlxlm.conversation_tokens(tokenizer, row["messages"])) for row in dataset.splits[split]]
        result = sample.data[split]
        assert (result["rows"], result["tokens"], result["longest_tokens"]) == (count, sum(tokens), max(tokens))
        assert (result["truncated_rows"], result["targets"]) == (0, sum(tokens) - count)
    assert set(sample.data) == {"train", "valid"}


def test_rows_that_do_not_fill_a_batch_are_refused(nano, tiny_profile, stepping_stopwatch):
    profile = with_plan(tiny_profile, split_rows=(1, 15, 5))
    with pytest.raises(BadConfig, match="1 rows to train on, and a batch takes 2"):
        training.measure(context_for(nano, profile, stepping_stopwatch))


def test_texts_are_trained_on_as_asked(nano, tiny_profile, stepping_stopwatch, tmp_path):
    (tmp_path / "all.jsonl").write_text("".join(f'{{"text": "canal number {n}"}}\n' for n in range(9)))
    profile = with_plan(tiny_profile, dataset=f"path:{tmp_path}/all.jsonl", split_rows=(4, 2, 1))
    sample = training.measure(context_for(nano, profile, stepping_stopwatch))
    assert [sample.data[split]["rows"] for split in ("train", "valid")] == [4, 2]
    assert (sample.key.dataset["form"], sample.key.dataset["split_rows"]) == ("text", [4, 2, 1])
    assert sample.data["train"]["text_bytes"] == 4 * len("canal number 0")


def test_there_are_at_least_as_many_padded_as_real_and_more_real_than_loss_tokens(measured):
    sample, *_ = measured
    padded, real, loss = (one(sample, f"train_{kind}tokens_per_s") for kind in ("padded_", "", "loss_"))
    assert padded >= real > loss > 0


def test_validation_is_before_the_first_step_at_its_turn_and_after_the_last(measured):
    sample, *_ = measured
    losses = sample.series["val_loss"]
    assert losses.x == (0.0, 3.0, 4.0)
    assert one(sample, "val_loss_first") == losses.y[0]
    assert one(sample, "val_loss_final") == losses.y[-1]
    assert one(sample, "val_loss_best") == min(losses.y)
    assert one(sample, "val_loss_best_iteration") == dict(zip(losses.y, losses.x, strict=True))[min(losses.y)]
    assert one(sample, "overfit_gap") == losses.y[-1] - min(losses.y)


def test_the_first_validation_loss_is_that_of_the_bare_model(measured, load_nano):
    """A fresh adapter changes nothing (B = 0). Here row by row, each weighed with its targets."""
    sample, *_ = measured
    loaded = load_nano("gpt2")
    nats, targets = 0.0, 0
    for row in read_dataset("aphorisms").splits["valid"]:
        tokens = mlxlm.conversation_tokens(loaded.tokenizer, row["messages"])
        logits = loaded.model(mx.array([tokens]))[0, :-1]
        chosen = mx.take_along_axis(logits, mx.array(tokens[1:])[:, None], axis=-1)[:, 0]
        nats += (mx.logsumexp(logits, axis=-1) - chosen).sum().item()
        targets += len(tokens) - 1
    assert one(sample, "val_loss_first") == pytest.approx(nats / targets, rel=1e-6)


def test_both_training_losses_are_told_by_iteration(measured):
    """The padding that the trainer counts tells them apart; the true one is shown."""
    sample, _, progress = measured
    losses, trainer_losses = sample.series["train_loss"], sample.series["trainer_loss"]
    assert losses.x == trainer_losses.x == (1.0, 2.0, 3.0, 4.0)
    assert (one(sample, "train_loss_first"), one(sample, "train_loss_final")) == (losses.y[0], losses.y[-1])
    trainer_s = (one(sample, "trainer_loss_first"), one(sample, "trainer_loss_final"))
    assert trainer_s == (trainer_losses.y[0], trainer_losses.y[-1])
    assert all(0 < abs(true - value) < 0.1 for true, value in zip(losses.y, trainer_losses.y, strict=True))
    assert losses.y[0] == pytest.approx(math.log(1024), abs=0.2)  # it knows nothing yet
    assert sample.series["learning_rate"].y == pytest.approx((3e-3,) * 4)
    assert progress == [(n, 4, f"train loss {loss:.3f}") for n, loss in zip((1, 2, 3, 4), losses.y, strict=True)]


def test_the_share_of_the_machine_is_that_of_the_steady_steps_flop(measured):
    """Twelve matrices' worth of 128 x 128 a block, 4 blocks, all adapted; a head of 1024 x 128; three steps of 1 s."""
    sample, *_ = measured
    tokens = sum(sample.series["real_tokens"].y[1:])
    by_token = 4 * (4 * 12 * 128 * 128 + 1024 * 128) + 6 * 16_384
    share = one(sample, "mfu") * 3.0 * 1e9
    attention = share - by_token * tokens
    assert 0 < attention < 2 * 128 * 12 * tokens**2
    assert attention % (2 * 128 * 12) == pytest.approx(0, abs=1)  # squares of whole numbers
    assert one(sample, "probe_gemm_flops_per_s") == 1e9


def test_more_work_than_the_machine_can_do_makes_the_sample_doubtful(nano, tiny_profile, stepping_stopwatch):
    doubtful = context_for(nano, tiny_profile, stepping_stopwatch, roof=replace(ROOF, gemm_flops_per_s=1e6))
    mfu = one(training.measure(doubtful), "mfu")
    assert mfu > 1
    assert doubtful.doubts == [f"mfu of {mfu:.2f}: more FLOP than this machine can do; the clock or the count is wrong"]


def test_what_is_believable_is_not_doubted(nano, tiny_profile, stepping_stopwatch):
    context = context_for(nano, with_plan(tiny_profile, iters=2), stepping_stopwatch)
    training.measure(context)
    assert context.doubts == []


def test_the_memory_that_is_needed_is_estimated_from_the_longest_batch(measured, load_nano):
    """Two rows of as many tokens as the longest has, to a multiple of 32, and 1024 logits each."""
    sample, *_ = measured
    tokenizer = load_nano("gpt2").tokenizer
    rows = read_dataset("aphorisms").splits["train"]
    longest = max(len(mlxlm.conversation_tokens(tokenizer, row["messages"])) for row in rows)
    positions = 2 * 32 * math.ceil(longest / 32)
    weights = 4 * one(sample, "total_parameters")
    assert one(sample, "estimated_peak_bytes") == weights + 4 * 4 * 16_384 + 2 * 4 * positions * 1024


@accumulating
def test_gradients_are_accumulated_and_an_incomplete_window_is_noted(nano, tiny_profile, stepping_stopwatch):
    """Five iterations, two an update: the fifth batch changes nothing."""
    profile = with_plan(tiny_profile, iters=5, val_every=2, grad_accumulation_steps=2)
    sample = training.measure(context_for(nano, profile, stepping_stopwatch))
    assert (one(sample, "train_iterations"), one(sample, "train_updates")) == (5.0, 2.0)
    assert "no update of the last 1 of 5 iterations: it takes 2, and their gradients are lost" in sample.notes
    assert sample.key.settings["grad_accumulation_steps"] == 2
    losses = dict(zip(sample.series["val_loss"].x, sample.series["val_loss"].y, strict=True))
    assert list(losses) == [0.0, 2.0, 4.0, 5.0]
    assert losses[5.0] == losses[4.0] != losses[2.0] != losses[0.0]


@accumulating
def test_a_window_that_ends_with_the_training_loses_nothing(nano, tiny_profile, stepping_stopwatch):
    sample = training.measure(context_for(nano, with_plan(tiny_profile, grad_accumulation_steps=2), stepping_stopwatch))
    assert (one(sample, "train_iterations"), one(sample, "train_updates")) == (4.0, 2.0)
    assert not [note for note in sample.notes if "lost" in note]


def leaking(monkeypatch, bytes_a_step):
    """Let every step leave an array of so many bytes behind."""
    kept = []
    real = Watcher.step_ended

    def step_ended(self, *arguments):
        kept.append(mx.zeros(bytes_a_step // 4))
        mx.eval(kept[-1])
        real(self, *arguments)

    monkeypatch.setattr(Watcher, "step_ended", step_ended)


def test_a_leak_of_a_mib_a_step_is_found(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    leaking(monkeypatch, 2**20)
    sample = training.measure(context_for(nano, with_plan(tiny_profile, iters=14, val_every=7), stepping_stopwatch))
    growth = sample.readings["memory_growth_bytes_per_step"]
    assert growth.labels[0] == "active"
    assert growth.values[0] == pytest.approx(2**20, rel=0.01)
    (note,) = [note for note in sample.notes if "(active)" in note]
    assert note.startswith("memory grows by 1.0")


def test_a_clean_run_is_not_accused(nano, tiny_profile, stepping_stopwatch):
    gc.collect()  # nothing of other tests is freed in between
    sample = training.measure(context_for(nano, with_plan(tiny_profile, iters=20, val_every=10), stepping_stopwatch))
    assert abs(sample.readings["memory_growth_bytes_per_step"].values[0]) < 2**12
    assert not [note for note in sample.notes if note.startswith("memory")]


def test_a_killed_process_leaves_no_half_an_adapter(nano, tiny_profile, stepping_stopwatch, tmp_path, monkeypatch):
    """The second file cannot be written; what was there is gone, and nothing has its name."""
    (tmp_path / "final").mkdir()
    written = []

    def copy2(source, target, **_):
        if written:
            raise KeyboardInterrupt
        written.append(target)

    real = shutil.copytree
    monkeypatch.setattr(shutil, "copytree", lambda source, target: real(source, target, copy_function=copy2))
    with pytest.raises(KeyboardInterrupt):
        training.measure(context_for(nano, with_plan(tiny_profile, iters=2), stepping_stopwatch, adapter_dir=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["final.partial"]


def test_an_adapter_takes_the_place_of_an_old_one_and_of_a_half_one(nano, tiny_profile, stepping_stopwatch, tmp_path):
    for name in ("final", "final.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").touch()
    training.measure(context_for(nano, with_plan(tiny_profile, iters=2), stepping_stopwatch, adapter_dir=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "final"]
    for name in ("best", "final"):
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == [
            "adapter_config.json",
            "adapters.safetensors",
        ]


def test_both_adapters_are_kept_and_named_by_their_hashes(measured):
    sample, directory, _ = measured
    assert [item.path for item in sample.artifacts] == [
        "final/adapter_config.json",
        "final/adapters.safetensors",
        "best/adapter_config.json",
        "best/adapters.safetensors",
    ]
    for artifact in sample.artifacts:
        content = (directory / artifact.path).read_bytes()
        assert (artifact.sha256, artifact.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert one(sample, "adapter_bytes") == (directory / "final" / "adapters.safetensors").stat().st_size


@pytest.mark.parametrize(("kept", "reading"), [("final", "val_loss_final"), ("best", "val_loss_best")])
def test_a_kept_adapter_has_the_loss_it_is_kept_for(measured, load_nano, kept, reading):
    sample, directory, _ = measured
    assert one(sample, "val_loss_best_iteration") == 3.0
    assert one(sample, "overfit_gap") > 0.05
    loaded = load_nano("gpt2")
    mlxlm.load_adapter(loaded.model, read_adapter("qv-r8"), directory / kept)
    rows = [
        mlxlm.conversation_tokens(loaded.tokenizer, row["messages"])
        for row in read_dataset("aphorisms").splits["valid"]
    ]
    assert mean_nll(mlxlm.token_nll(loaded.model, rows, 1)) == pytest.approx(one(sample, reading), rel=1e-6)


def test_the_parameters_are_counted_with_and_without_the_adapter(measured, load_nano):
    """From 128 to 384 in each of four blocks: 4 * 8 (128 + 384)."""
    sample, *_ = measured
    assert one(sample, "trainable_parameters") == 16_384.0
    assert one(sample, "total_parameters") == mlxlm.total_parameters(load_nano("gpt2").model)


def test_a_record_s_key_says_what_was_trained_on_what(measured, nano, tiny_profile):
    key = measured[0].key
    assert (key.model, key.dtype, key.device, key.quantization) == ("gpt2", "float32", "cpu: test", None)
    assert key.weights == nano("gpt2").weights
    assert key.tokenizer == tokenizer_sha256(Path(nano("gpt2").directory))
    assert (key.adapter["name"], key.adapter["layers"], key.adapter["layers_requested"]) == ("qv-r8", 4, 16)
    assert (key.dataset["name"], key.dataset["rows"]) == ("aphorisms", {"train": 80, "valid": 15, "test": 5})
    assert key.settings == {
        "iters": 4,
        "batch_size": 2,
        "learning_rate": 3e-3,
        "max_seq_length": 512,
        "val_every": 3,
        "warmup_iters": 1,
        "grad_accumulation_steps": 1,
        "seed": 1,
        "optimizer": "adam",
        "optimizer_options": {},
        "schedule": None,
        "grad_checkpoint": False,
        "mask_prompt": False,
    }


def test_memory_is_told_by_phase(measured):
    readings = measured[0].readings
    assert readings["peak_active_bytes"].labels == ("load", "validate", "train")
    assert min(readings["peak_active_bytes"].values) > 0


def test_what_differs_from_what_was_asked_for_is_noted(measured):
    assert measured[0].notes[0] == "adapter qv-r8: 16 layers asked for, the model has 4"


def test_rows_that_are_too_long_are_cut_and_counted_as_they_were_trained_on(
    nano, tiny_profile, stepping_stopwatch, load_nano
):
    """Cut to 8 tokens, a row of 9 or more has 7 inputs and 7 targets: 14 of each a step, none of them padding."""
    profile = with_plan(tiny_profile, iters=2, max_seq_length=8, accept=("truncated",))
    sample = training.measure(context_for(nano, profile, stepping_stopwatch))
    assert any(note.startswith("accepted: [truncated] train row") for note in sample.notes)
    assert sample.series["real_tokens"].y == sample.series["padded_tokens"].y == (14.0, 14.0)
    assert one(sample, "train_loss_tokens_per_s") == 14.0
    assert sample.readings["train_bytes_per_s"].values == ()
    assert "rows were cut" in sample.readings["train_bytes_per_s"].reason
    assert "text_bytes" not in sample.series
    assert one(sample, "padding_share") == 0.0
    assert sample.artifacts == ()  # nobody asked for the adapter


def test_the_same_seed_gives_the_same_losses_and_another_one_other_batches(
    measured, nano, tiny_profile, stepping_stopwatch
):
    first, second = (
        training.measure(context_for(nano, with_plan(tiny_profile, iters=2, seed=seed), stepping_stopwatch)).series
        for seed in (1, 2)
    )
    reference = measured[0].series
    assert first["train_loss"].y == pytest.approx(reference["train_loss"].y[:2], rel=1e-6)
    assert second["real_tokens"].y != reference["real_tokens"].y[:2]


def test_a_loss_that_is_no_number_ends_the_training(nano, tiny_profile, stepping_stopwatch):
    """Steps of 1e30 overflow single precision at once."""
    profile = with_plan(tiny_profile, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"^the training loss is (nan|inf) at iteration 2 of 4$"):
        training.measure(context_for(nano, profile, stepping_stopwatch))


@pytest.mark.parametrize("losses", [(math.nan, 1.0), (1.0, math.inf)])
def test_either_loss_that_is_no_number_ends_the_training(nano, tiny_profile, stepping_stopwatch, tmp_path, losses):
    true, trainer_s = losses
    watcher = Watcher(
        context=context_for(nano, tiny_profile, stepping_stopwatch),
        plan=tiny_profile.training,
        rows=[TokenRow(tokens=(1, 2, 3), start=0, text_bytes=1)],
        checkpoints=tmp_path / "checkpoints",
        validation=None,
    )
    watcher.batch_wanted()
    watcher.batch_starts([0], 32)
    with pytest.raises(Diverged, match=r"^the training loss is (nan|inf) at iteration 2 of 4$"):
        watcher.step_ended(2, mlxlm.StepLosses(true=true, trainer=trainer_s), 1.0)


def test_a_step_holds_what_was_in_use_after_it(measured):
    sample, *_ = measured
    active, footprint = sample.series["active_bytes"].y, sample.series["footprint_bytes"].y
    assert min(active) > 4 * one(sample, "total_parameters")
    assert all(element > 2**20 for element in footprint)
    assert sample.series["rows"].y == (2.0,) * 4
    real = sample.series["real_tokens"].y
    assert sample.series["loss_tokens"].y == tuple(item - 2 for item in real)


def test_a_model_of_unknown_shape_is_trained_all_the_same(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    monkeypatch.setattr(mlxlm, "shape_of", lambda _: None)
    sample = training.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    for name in ("mfu", "estimated_peak_bytes"):
        assert sample.readings[name].values == ()
        assert "cannot be told" in sample.readings[name].reason
    assert sample.readings["train_tokens_per_s"].values


def test_a_masked_prompt_has_no_loss(measured, nano, tiny_profile, stepping_stopwatch, load_nano):
    """The same rows in the same order; the loss is that of the answers, by the model as it was before training."""
    sample = training.measure(context_for(nano, with_plan(tiny_profile, mask_prompt=True), stepping_stopwatch))
    whole, *_ = measured
    assert sample.series["real_tokens"].y == whole.series["real_tokens"].y
    loaded = load_nano("gpt2")
    rows = tokenize_rows(loaded.tokenizer, read_dataset("aphorisms").splits["valid"], form="chat", mask_prompt=True)
    assert all(5 < row.start < len(row.tokens) for row in rows)
    nll = [mlxlm.token_nll(loaded.model, [row.tokens], 1)[0][row.start - 1 :] for row in rows]
    assert one(sample, "val_loss_first") == pytest.approx(mean_nll(nll), rel=1e-5)
    training_rows = tokenize_rows(
        loaded.tokenizer, read_dataset("aphorisms").splits["train"], form="chat", mask_prompt=True
    )
    answers = {len(row.tokens): len(row.tokens) - row.start for row in training_rows}
    assert sum(sample.series["loss_tokens"].y) < sum(whole.series["loss_tokens"].y) - 4 * 2 * 4
    assert max(sample.series["loss_tokens"].y) <= 2 * max(answers.values())


FULL = AdapterConfig(name="full", kind=AdapterKind.FULL, layers=2)
DORA = AdapterConfig(name="dora", kind=AdapterKind.DORA, rank=4, scale=20.0, layers=2, keys="qv")


@pytest.mark.parametrize("adapter", [FULL, DORA], ids=lambda value: value.kind)
def test_every_kind_of_fine_tuning_is_trained_and_kept(nano, tiny_profile, stepping_stopwatch, tmp_path, adapter):
    profile = with_plan(tiny_profile, learning_rate=1e-3)
    sample = training.measure(
        context_for(nano, profile, stepping_stopwatch, adapter=adapter, adapter_dir=tmp_path / "adapter")
    )
    assert sample.key.adapter["kind"] == adapter.kind
    assert one(sample, "val_loss_final") < one(sample, "val_loss_first")
    assert one(sample, "adapter_bytes") == pytest.approx(4 * one(sample, "trainable_parameters"), rel=0.15)
    assert sample.readings["mfu"].values[0] > 0


def test_full_fine_tuning_keeps_gradients_and_moments_but_no_second_copy(
    measured, nano, tiny_profile, stepping_stopwatch
):
    """Of every trained parameter 3 numbers more; of an adapter's it is 4, the parameter itself among them."""
    full = training.measure(context_for(nano, tiny_profile, stepping_stopwatch, adapter=FULL))
    whole, *_ = measured
    difference = one(full, "estimated_peak_bytes") - one(whole, "estimated_peak_bytes")
    wanted = 4 * (3 * one(full, "trainable_parameters") - 4 * one(whole, "trainable_parameters"))
    assert difference == wanted


def test_checkpoints_are_kept_as_often_as_the_plan_says(nano, tiny_profile, stepping_stopwatch, tmp_path):
    directory = tmp_path / "adapter"
    profile = with_plan(tiny_profile, checkpoint_every=2)
    sample = training.measure(context_for(nano, profile, stepping_stopwatch, adapter_dir=directory))
    names = ("adapter_config.json", "adapters.safetensors")
    places = ("best", "checkpoints/0000002", "checkpoints/0000004", "final")
    assert sorted(artifact.path for artifact in sample.artifacts) == [
        f"{place}/{name}" for place in places for name in names
    ]
    last, final = (directory / place / "adapters.safetensors" for place in ("checkpoints/0000004", "final"))
    assert last.read_bytes() == final.read_bytes()
    assert last.read_bytes() != (directory / "checkpoints/0000002/adapters.safetensors").read_bytes()


CHECKPOINTED = """
import sys
from harness.worker.blas_shim import load_fast_blas
load_fast_blas()
from harness.results import codec
from harness.machine.clock import Stopwatch
from harness.inputs.plans import AdapterConfig, AdapterKind, Job, Work
from harness.worker.probe import Roof
from harness.worker.workloads import training, training_setup
from harness.worker.workloads.context import Context
job = codec.decode(sys.stdin.buffer.read(), Job)
roof = Roof(gemm_flops_per_s=1e9, copy_bytes_per_s=1e9, method="made up")
sample = training.measure(Context(job=job, device="cpu: test", progress=lambda *_: None, _roof=roof))
print(list(sample.series["train_loss"].y))
"""


def test_gradient_checkpointing_changes_no_loss(measured, nano, tiny_profile, stepping_stopwatch):
    """mlx-lm changes the class of the blocks for good, so a process of its own does it."""
    context = context_for(nano, with_plan(tiny_profile, grad_checkpoint=True), stepping_stopwatch)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECKPOINTED],
        input=codec.encode(context.job),
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr.decode()
    losses = json.loads(done.stdout.splitlines()[-1])
    assert losses == pytest.approx(measured[0].series["train_loss"].y, rel=1e-5)


@accumulating
def test_accumulated_gradients_are_kept_beside_the_new_ones(measured, nano, tiny_profile, stepping_stopwatch):
    """A number more for each of 16,384 parameters."""
    sample = training.measure(context_for(nano, with_plan(tiny_profile, grad_accumulation_steps=2), stepping_stopwatch))
    difference = one(sample, "estimated_peak_bytes") - one(measured[0], "estimated_peak_bytes")
    assert difference == 4 * 16_384


def test_parameters_trained_in_place_cost_their_own_gradient_and_nothing_else(nano, tiny_profile, stepping_stopwatch):
    """2 FLOP a token for each of the last two blocks' parameters, besides forward and backward to the activations."""
    sample = training.measure(context_for(nano, tiny_profile, stepping_stopwatch, adapter=FULL))
    tokens = sum(sample.series["real_tokens"].y[1:])
    block, head = 12 * 128 * 128, 1024 * 128
    by_token = 2 * (4 * block + head + 2 * block + head) + 2 * one(sample, "trainable_parameters")
    attention = one(sample, "mfu") * 3.0 * 1e9 - by_token * tokens
    assert 0 < attention < 2 * 128 * 8 * tokens**2
    assert attention % (2 * 128 * 8) == pytest.approx(0, abs=1)  # squares of whole numbers


def test_a_row_that_the_chat_template_refuses_is_named_with_its_split(
    nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    refused = read_dataset("aphorisms").splits["valid"][1]["messages"]
    real = mlxlm.conversation_tokens

    def refusing(tokenizer, messages):
        if messages == refused:
            raise mlxlm.TemplateRefused("no")
        return real(tokenizer, messages)

    monkeypatch.setattr(mlxlm, "conversation_tokens", refusing)
    with pytest.raises(BadConfig, match=r"1 problem\n  valid row 2: no$"):
        training.measure(context_for(nano, tiny_profile, stepping_stopwatch))
