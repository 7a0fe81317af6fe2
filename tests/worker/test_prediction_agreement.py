import pytest

from harness.worker.prediction_agreement import Agreement, is_lossy, lossy_notes


def of(kl_nat_per_token, tokens=10):
    return Agreement(tokens=tokens, kl_nat=kl_nat_per_token * tokens, same_top=tokens)


def test_agreements_are_over_all_tokens_and_not_a_mean_of_parts():
    """3 nat over 2 tokens and 1 nat over 6 are 4 nat over 8; 1 of 2 and 5 of 6 are 6 of 8."""
    result = Agreement(tokens=2, kl_nat=3.0, same_top=1) + Agreement(tokens=6, kl_nat=1.0, same_top=5)
    assert (result.tokens, result.kl_nat_per_token, result.top1_share) == (8, 0.5, 0.75)


def test_a_divergence_that_rounding_pushed_below_zero_is_zero():
    assert of(-1e-9).kl_nat_per_token == 0.0


@pytest.mark.parametrize(("fused", "lossy"), [(0.011, True), (0.009, False)])
def test_half_of_the_way_back_is_a_quarter_of_the_divergence(fused, lossy):
    assert is_lossy(of(fused), of(0.04)) is lossy


def test_a_gaussian_that_is_moved_half_of_the_way_back_is_on_the_limit():
    """KL between normal distributions of variance 1 is half of the squared distance: 0.2^2 / 2 against 0.4^2 / 2."""
    assert not is_lossy(of(0.199**2 / 2), of(0.4**2 / 2))
    assert is_lossy(of(0.201**2 / 2), of(0.4**2 / 2))


def test_what_rounding_can_do_is_no_loss_however_little_the_adapter_does():
    assert not is_lossy(of(9e-7), of(1e-9))
    assert is_lossy(of(1.1e-6), of(1e-9))


def test_only_the_variants_that_lost_the_adapter_are_noted():
    (note,) = lossy_notes({"quantised": of(0.03), "dequantised": of(0.001)}, of(0.04))
    assert note.startswith("fuse_lossy: fused quantised, the model is 0.03 nat/token away")
    assert "the base without it 0.04; more than 25% of that" in note
