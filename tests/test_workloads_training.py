import hashlib
import math
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_map

from harness import mlxlm
from harness.configs import read_adapter
from harness.meters import Stopwatch
from harness.modeldir import tokenizer_sha256
from harness.plans import Job
from harness.texts import Dataset, read_dataset
from harness.workloads import training
from harness.workloads.context import Context, Diverged
from harness.workloads.training import Step, Validation, mean_nll, step_readings

FIRST = Step(
    elapsed_s=90.0, loss=9.0, learning_rate=1.0, rows=7, real_tokens=1, loss_tokens=1, padded_tokens=999, text_bytes=1
)
SECOND = Step(
    elapsed_s=2.0, loss=3.0, learning_rate=1.0, rows=2, real_tokens=40, loss_tokens=38, padded_tokens=64, text_bytes=150
)
THIRD = Step(
    elapsed_s=3.0, loss=2.0, learning_rate=1.0, rows=2, real_tokens=60, loss_tokens=57, padded_tokens=61, text_bytes=200
)


def test_rates_are_over_all_steps_but_the_first():
    """100 real, 95 loss and 125 padded tokens, 4 rows and 350 bytes in two steps of 5 s."""
    values = {name: its.values for name, its in step_readings([FIRST, SECOND, THIRD]).items()}
    assert values == {
        "first_step_s": (90.0,),
        "train_tokens_per_s": (20.0,),
        "train_loss_tokens_per_s": (19.0,),
        "train_padded_tokens_per_s": (25.0,),
        "train_steps_per_s": (0.4,),
        "train_rows_per_s": (0.8,),
        "train_bytes_per_s": (70.0,),
        "padding_share": (pytest.approx(0.2),),
        "step_s": (2.0, 3.0),
    }


def test_a_single_step_has_its_time_and_no_rates():
    readings = step_readings([FIRST])
    assert readings.pop("first_step_s").values == (90.0,)
    assert readings.keys() == step_readings([FIRST, SECOND]).keys() - {"first_step_s"}
    assert {its.values for its in readings.values()} == {()}
    assert {its.reason for its in readings.values()} == {"a single step, and the first one holds compilation"}


def test_the_mean_is_over_tokens_and_not_over_rows():
    assert mean_nll([[1.0, 2.0, 3.0], [10.0]]) == 4.0


def context_for(nano, profile, stopwatch, *, name="gpt2", adapter_dir=None, progress=lambda *_: None):
    job = Job(
        work="training",
        ready=nano(name),
        adapter=read_adapter("qv-r8"),
        adapter_dir=adapter_dir and str(adapter_dir),
        profile=profile,
    )
    return Context(job=job, device="cpu: test", progress=progress, stopwatch=stopwatch)


def with_plan(profile, **changes):
    return replace(profile, training=replace(profile.training, **changes))


@pytest.fixture
def validation(load_nano, nano, tiny_profile, stepping_stopwatch, tmp_path):
    loaded = load_nano("gpt2")
    adapter = mlxlm.attach_adapter(loaded.model, read_adapter("qv-r8"), "gpt2")
    return Validation(
        context=context_for(nano, tiny_profile, stepping_stopwatch),
        loaded=loaded,
        adapter=adapter,
        rows=[[1, 2, 3]],
        best_dir=tmp_path / "best",
    )


def test_the_adapter_that_is_kept_is_the_first_of_the_best(validation, monkeypatch):
    """Validation losses of 3, 1, 1 and 2 with adapters full of 1, 2, 3 and 4: the second is kept."""
    losses = iter([3.0, 1.0, 1.0, 2.0])
    monkeypatch.setattr(mlxlm, "token_nll", lambda model, rows, batch_size: [[next(losses)]])
    model = validation.loaded.model
    for number in (1, 2, 3, 4):
        model.update(tree_map(lambda array, n=number: mx.full(array.shape, n), model.trainable_parameters()))
        validation(10 * number)
    assert (validation.iterations, validation.losses) == ([10, 20, 30, 40], [3.0, 1.0, 1.0, 2.0])
    kept = mx.load(str(validation.best_dir / "adapters.safetensors"))
    assert {float(value) for array in kept.values() for value in (array.min().item(), array.max().item())} == {2.0}


def test_a_model_is_validated_without_dropout_and_trained_on_with_it(validation, monkeypatch):
    modes = []

    def token_nll(model, rows, batch_size):
        modes.append(model.training)
        return [[1.0]]

    monkeypatch.setattr(mlxlm, "token_nll", token_nll)
    validation.loaded.model.train()
    validation(0)
    assert modes == [False]
    assert validation.loaded.model.training


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
        progress=lambda *its: progress.append(its),
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
    assert one(sample, "train_wall_s") == 9.0  # two looks a step, and one at the end
    assert (one(sample, "train_steps_per_s"), one(sample, "train_rows_per_s")) == (1.0, 2.0)


def test_tokens_are_counted_in_the_rows_of_each_step(measured, load_nano):
    """Rows are taken with their neighbours in the file: mlx-lm sorts by length, but by that of the row's dict.

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
    dataset = Dataset(name="mine", sha256="00", splits=dict.fromkeys(("train", "valid", "test"), (row, row)))
    monkeypatch.setattr(training, "read_dataset", lambda name: dataset)
    sample = training.measure(context_for(nano, with_plan(tiny_profile, iters=2), stepping_stopwatch))
    assert one(sample, "train_bytes_per_s") == 12.0


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


def test_the_training_losses_are_the_trainer_s(measured):
    sample, _, progress = measured
    losses = sample.series["train_loss"]
    assert losses.x == (1.0, 2.0, 3.0, 4.0)
    assert (one(sample, "train_loss_first"), one(sample, "train_loss_final")) == (losses.y[0], losses.y[-1])
    assert losses.y[0] == pytest.approx(math.log(1024), abs=0.2)  # it knows nothing yet
    assert sample.series["learning_rate"].y == pytest.approx((3e-3,) * 4)
    assert progress == [(n, 4, f"train loss {loss:.3f}") for n, loss in zip((1, 2, 3, 4), losses.y, strict=True)]


def test_both_adapters_are_kept_and_named_by_their_hashes(measured):
    sample, directory, _ = measured
    assert [its.path for its in sample.artifacts] == [
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
    assert one(sample, "overfit_gap") > 0.1
    loaded = load_nano("gpt2")
    mlxlm.load_adapter(loaded.model, read_adapter("qv-r8"), directory / kept)
    rows = [
        mlxlm.conversation_tokens(loaded.tokenizer, row["messages"])
        for row in read_dataset("aphorisms").splits["valid"]
    ]
    assert mean_nll(mlxlm.token_nll(loaded.model, rows, 1)) == pytest.approx(one(sample, reading), rel=1e-6)


def test_the_parameters_are_counted_with_and_without_the_adapter(measured, load_nano):
    """From 96 to 288 in each of four blocks: 4 * 8 (96 + 288)."""
    sample, *_ = measured
    assert one(sample, "trainable_parameters") == 12_288.0
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
        "seed": 1,
        "optimizer": "adam",
        "mask_prompt": False,
    }


def test_memory_is_told_by_phase(measured):
    readings = measured[0].readings
    assert readings["peak_active_bytes"].labels == ("load", "validate", "train")
    assert min(readings["peak_active_bytes"].values) > 0


def test_what_differs_from_what_was_asked_for_is_noted(measured):
    assert measured[0].notes == ("adapter qv-r8: 16 layers asked for, the model has 4",)


def test_rows_that_are_too_long_are_cut_and_counted_as_they_were_trained_on(
    nano, tiny_profile, stepping_stopwatch, load_nano
):
    """Cut to 8 tokens, a row of 9 or more has 7 inputs and 7 targets: 14 of each a step, none of them padding."""
    profile = with_plan(tiny_profile, iters=2, max_seq_length=8)
    sample = training.measure(context_for(nano, profile, stepping_stopwatch))
    assert "80 training rows were cut" in sample.notes
    assert sample.series["real_tokens"].y == sample.series["padded_tokens"].y == (14.0, 14.0)
    assert one(sample, "train_loss_tokens_per_s") == 14.0
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
