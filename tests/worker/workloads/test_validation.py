import math
from dataclasses import replace

import mlx.core as mx
import pytest
from mlx.utils import tree_map
from mlx_lm.tuner import trainer

from harness.inputs.config_files import read_adapter
from harness.inputs.plans import Job, Work
from harness.worker import mlxlm
from harness.worker.failure_status import Diverged
from harness.worker.workloads.context import Context
from harness.worker.workloads.rows import TokenRow
from harness.worker.workloads.validation import Validation, mean_nll, trainer_nll

LENGTHS = (3, 40, 9, 70, 33, 2, 20)
ROWS = [[(7 * i * n) % 1000 + 1 for i in range(1, n + 1)] for n in LENGTHS]


def as_rows(rows, start=0):
    return [TokenRow(tokens=tuple(row), start=start, text_bytes=1) for row in rows]


def test_the_mean_is_over_tokens_and_not_over_rows():
    assert mean_nll([[1.0, 2.0, 3.0], [10.0]]) == 4.0
    assert math.isnan(mean_nll([[], []]))


@pytest.fixture
def make(load_nano, nano, tiny_profile, stepping_stopwatch, tmp_path):
    """Validation of a fresh adapter on *rows*, with a plan that is changed as told."""

    def make_validation(rows=((1, 2), (3, 4)), start=0, **changes):
        loaded = load_nano("gpt2")
        adapter = mlxlm.attach_adapter(loaded.model, read_adapter("qv-r8"), "gpt2")
        profile = replace(tiny_profile, training=replace(tiny_profile.training, **changes))
        job = Job(work=Work.TRAINING, ready=nano("gpt2"), profile=profile)
        context = Context(job=job, device="cpu: test", progress=lambda *_: None, stopwatch=stepping_stopwatch)
        return Validation(
            context=context, loaded=loaded, adapter=adapter, rows=as_rows(rows, start), best_dir=tmp_path / "best"
        )

    return make_validation


class InOrder(trainer.CacheDataset):
    """Rows of tokens that are taken in the order they lie in, as mlx-lm takes those of a file."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, row):
        return self.rows[row]

    def __len__(self):
        return len(self.rows)

    def itemlen(self, row):
        return 1


def value_of(validation, name):
    (value,) = validation.readings()[name].values
    return value


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_seven_rows_score_the_same_in_any_batch(make, monkeypatch, batch):
    """Against every row by itself, each weighed with its targets: 2 + 39 + 8 + 69 + 32 + 1 + 19 = 170."""
    validation = make(ROWS)
    alone = [mlxlm.token_nll(validation.loaded.model, [row], 1)[0] for row in ROWS]
    assert sum(map(len, alone)) == 170
    monkeypatch.setattr("harness.worker.workloads.validation._BATCH", batch)
    validation.score(0)
    assert validation.losses == [pytest.approx(sum(map(sum, alone)) / 170, rel=1e-6)]


def test_a_model_that_knows_nothing_scores_the_logarithm_of_its_vocabulary(make):
    """Both ways: the padding is as unlikely as anything."""
    validation = make(ROWS)
    model = validation.loaded.model
    model.update(tree_map(mx.zeros_like, model.parameters()))
    validation.score(0)
    expected = pytest.approx(math.log(1024), rel=1e-6)
    assert (validation.losses, validation.trainer_losses) == ([expected], [expected])


@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("max_seq_length", [512, 40, 33])
@pytest.mark.parametrize("start", [0, 2])
def test_the_trainer_s_loss_is_what_mlx_lm_s_evaluation_gives_for_all_whole_batches(
    make, batch_size, max_seq_length, start
):
    """Rows of 40 and 33 tokens are the longest there is room for in two of the three."""
    rows = [row[:max_seq_length] for row in ROWS]
    validation = make(ROWS, start, batch_size=batch_size, max_seq_length=max_seq_length)
    validation.score(0)
    theirs = trainer.evaluate(
        model=validation.loaded.model,
        dataset=InOrder([(row, start) for row in rows]),
        batch_size=batch_size,
        num_batches=-1,
        max_seq_length=max_seq_length,
    )
    assert validation.trainer_losses == [pytest.approx(theirs, abs=1e-5)]
    assert abs(validation.losses[0] - theirs) > 1e-4  # the two are not the same thing
    assert value_of(validation, "trainer_val_loss_final") == validation.trainer_losses[0]


def test_the_trainer_counts_the_padding_of_whole_batches_and_not_of_rows_that_fill_the_longest_length(tiny_profile):
    """Batches of two: the third row is dropped. Of the second, 4 tokens long, the padding would be a fifth."""
    plan = replace(tiny_profile.training, batch_size=2, max_seq_length=4)
    rows = as_rows([[1] * 3, [1] * 4, [1]])
    assert trainer_nll(rows, [[1.0, 2.0, 6.0], [1.0, 1.0, 1.0, 99.0], [99.0]], plan) == 12 / 6
    assert trainer_nll(rows[:1], [[1.0, 2.0, 6.0]], plan) is None


def test_rows_that_make_no_whole_batch_have_no_trainer_s_loss(make):
    validation = make(ROWS[:3], batch_size=4)
    validation.score(0)
    final = validation.readings()["trainer_val_loss_final"]
    assert (final.values, final.reason) == ((), "fewer validation rows than a batch: mlx-lm's trainer refuses them")
    assert validation.series().keys() == {"val_loss"}


def scripted(monkeypatch, losses):
    """Let each scoring find one row of one token with the next of *losses*, and a padding a nat dearer."""
    result = iter(losses)

    def padded_nll(model, rows, batch_size):
        loss = next(result)
        return [[loss, loss + 1.0]] * 2

    monkeypatch.setattr(mlxlm, "padded_nll", padded_nll)


def test_the_adapter_that_is_kept_is_the_first_of_the_best(make, monkeypatch):
    """Validation losses of 3, 1, 1 and 2 with adapters full of 1, 2, 3 and 4: the second is kept."""
    scripted(monkeypatch, [3.0, 1.0, 1.0, 2.0])
    validation = make()
    model = validation.loaded.model
    for number in (1, 2, 3, 4):
        model.update(tree_map(lambda array, n=number: mx.full(array.shape, n), model.trainable_parameters()))
        validation.score(10 * number)
        validation.keep_best()
    kept = mx.load(str(validation.best_dir / "adapters.safetensors"))
    assert {float(value) for array in kept.values() for value in (array.min().item(), array.max().item())} == {2.0}


def test_both_losses_are_told_by_iteration_and_the_best_is_the_first_of_its_kind(make, monkeypatch):
    scripted(monkeypatch, [3.0, 1.0, 1.0, 2.0])
    validation = make()
    for iteration in (0, 10, 20, 30):
        validation.score(iteration)
    series = validation.series()
    assert series["val_loss"].x == series["trainer_val_loss"].x == (0.0, 10.0, 20.0, 30.0)
    assert series["val_loss"].y == (3.0, 1.0, 1.0, 2.0)
    assert series["trainer_val_loss"].y == (3.5, 1.5, 1.5, 2.5)
    assert {name: value.values for name, value in validation.readings().items()} == {
        "val_loss_first": (3.0,),
        "val_loss_best": (1.0,),
        "val_loss_best_iteration": (10.0,),
        "val_loss_final": (2.0,),
        "overfit_gap": (1.0,),
        "trainer_val_loss_final": (2.5,),
    }


def test_a_model_is_validated_without_dropout_and_trained_on_with_it(make, monkeypatch):
    modes = []

    def padded_nll(model, rows, batch_size):
        modes.append(model.training)
        return [[1.0, 1.0]] * 2

    monkeypatch.setattr(mlxlm, "padded_nll", padded_nll)
    validation = make()
    validation.loaded.model.train()
    validation.score(0)
    assert modes == [False]
    assert validation.loaded.model.training


@pytest.mark.parametrize(
    ("row", "what"),
    [([math.nan, 1.0], "validation loss is nan"), ([1.0, math.inf], "trainer's validation loss is inf")],
)
def test_either_loss_that_is_no_number_ends_the_training(make, monkeypatch, row, what):
    monkeypatch.setattr(mlxlm, "padded_nll", lambda model, rows, batch_size: [row] * 2)
    validation = make()
    with pytest.raises(Diverged, match=rf"^the {what} after 7 iterations$"):
        validation.score(7)
    assert validation.losses == []
