import pytest

from harness.analysis.adapters import Fit, epochs, ranks_that_fit, rounding, trainable_of, updates

# (d_in, d_out) of a layer's matrices. Hidden 1536, keys and values 256, feed-forward 8960.
QWEN_1_5B = [(1536, 1536), (1536, 256), (1536, 256), (1536, 1536), (1536, 8960), (1536, 8960), (8960, 1536)]


def test_an_adapter_has_a_row_and_a_column_of_each_rank():
    """A of 2 by 3 and B of 5 by 2 are 16 numbers."""
    assert trainable_of(2, [(3, 5)]) == 16
    assert trainable_of(2, [(3, 5), (1, 1)]) == 20
    assert trainable_of(2, []) == 0


def test_a_printed_count_is_of_rank_8_on_all_layers_and_not_of_the_printed_rank_32():
    fits = ranks_that_fit(9.232e6, QWEN_1_5B, 28, within=rounding("9.232", 1e6))
    assert fits[0] == Fit(rank=8, layers=28, trainable=9_232_384)
    assert Fit(rank=32, layers=7, trainable=9_232_384) in fits
    assert (32, 28) not in [(fit.rank, fit.layers) for fit in fits]
    assert trainable_of(32, QWEN_1_5B * 28) == 36_929_536


def test_every_fit_has_the_count_it_says():
    for fit in ranks_that_fit(9.232e6, QWEN_1_5B, 28, within=500):
        assert trainable_of(fit.rank, QWEN_1_5B * fit.layers) == fit.trainable
        assert abs(fit.trainable - 9.232e6) <= 500


def test_fits_begin_with_the_most_layers():
    assert [(fit.rank, fit.layers) for fit in ranks_that_fit(80, [(3, 5)], 10)] == [(1, 10), (2, 5), (5, 2), (10, 1)]


def test_a_count_that_no_rank_gives_has_no_fit():
    assert ranks_that_fit(81, [(3, 5)], 10) == ()
    assert ranks_that_fit(3, [(3, 5)], 10) == ()
    assert ranks_that_fit(0, [(3, 5)], 10) == ()


def test_a_layer_without_matrices_is_refused():
    with pytest.raises(ValueError, match="give the shapes of some"):
        ranks_that_fit(80, [], 10)


@pytest.mark.parametrize(
    ("digits", "scale", "half"), [("9.232", 1e6, 500), ("0.819", 1e6, 500), ("37", 1e6, 5e5), ("12", 1, 0.5)]
)
def test_rounding_is_half_of_the_last_digit(digits, scale, half):
    assert rounding(digits, scale) == pytest.approx(half)


def test_what_is_no_number_was_not_rounded():
    with pytest.raises(ValueError, match="'nan' is no number"):
        rounding("nan")


def test_epochs_count_batches_against_rows():
    assert epochs(15_000, 4, 422) == pytest.approx(142.18, abs=0.01)
    with pytest.raises(ValueError, match="one row or more, got 0"):
        epochs(1, 1, 0)


def test_iterations_left_over_are_no_update():
    assert [updates(n, 4) for n in (0, 3, 4, 11, 12)] == [0, 0, 1, 2, 3]
