import pytest

from harness.errors import UnknownName
from harness.results.metrics import DEFINITIONS, define, metric
from harness.results.records import Better, Kind, Metric

# The names that scripts rely on (the contract), whether they are measured yet or not.
PROMISED = """
    train_tokens_per_s train_loss_tokens_per_s train_padded_tokens_per_s padding_share train_steps_per_s
    train_rows_per_s train_bytes_per_s first_step_s step_s train_wall_s val_loss_first val_loss_best
    val_loss_best_iteration val_loss_final train_loss_first train_loss_final overfit_gap time_to_target_s
    tokens_to_target total_parameters trainable_parameters adapter_bytes mfu
    peak_active_bytes peak_cache_bytes peak_footprint_bytes memory_growth_bytes_per_step swap_growth_bytes
    test_loss test_perplexity bits_per_byte exact_match format_adherence eos_rate leak_rate repetition_4gram
    distinct_2 response_words forgetting_bits_per_byte
    load_s disk_bytes ttft_s prefill_tokens_per_s decode_tokens_per_s itl_s tpot_s response_s cpu_percent mbu
    energy_j_per_token
"""
# The end of a name -> the unit it promises. The first that fits counts.
UNITS = {
    "_tokens_per_s": "token/s",
    "_steps_per_s": "step/s",
    "_rows_per_s": "row/s",
    "_flops_per_s": "FLOP/s",
    "_bytes_per_step": "byte/step",
    "_j_per_token": "J/token",
    "_bytes_per_s": "byte/s",
    "_s": "s",
    "_bytes": "byte",
    "_parameters": "parameter",
    "_iteration": "iteration",
    "_iterations": "iteration",
    "_updates": "update",
    "_percent": "percent",
    "mfu": "share",
    "mbu": "share",
    "_share": "share",
    "_rate": "share",
    "_agreement": "share",
    "_nat_per_token": "nat/token",
    "_per_byte": "bit/byte",
    "_words": "word",
    "rating": "point",
}
# What is measured on top of that.
FURTHER = """
    trainer_loss_first trainer_loss_final trainer_val_loss_final train_iterations train_updates wall_part_s
    estimated_peak_bytes probe_gemm_flops_per_s probe_copy_bytes_per_s
    repeat_decode_tokens_per_s context_prefill_tokens_per_s context_decode_tokens_per_s batch_decode_tokens_per_s
    copied_share adapter_kl_nat_per_token fused_kl_nat_per_token fused_top1_agreement
    rating summary_decode_tokens_per_s
"""


def test_every_metric_has_a_name_that_was_promised_or_is_listed():
    assert set(DEFINITIONS) - set(PROMISED.split()) == set(FURTHER.split())


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_the_unit_is_the_one_in_the_name(definition):
    promised = next((unit for end, unit in UNITS.items() if definition.name.endswith(end)), None)
    if promised is None:
        promised = {"test_perplexity": "1"}.get(definition.name, "nat/token")
        assert definition.kind is Kind.LOSS
    assert definition.unit == promised


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_times_and_bytes_should_be_low_and_rates_high(definition):
    if definition.unit.endswith("/s"):
        assert (definition.better, definition.kind) == (Better.HIGHER, Kind.TIMING)
    elif definition.unit == "s":
        assert (definition.better, definition.kind) == (Better.LOWER, Kind.TIMING)
    elif definition.unit in {"byte", "byte/step"}:
        estimated = definition.name.startswith("estimated_")
        assert definition.better is (Better.NONE if estimated else Better.LOWER)
        read = definition.name.startswith(("peak_", "memory_", "swap_"))
        assert definition.kind is (Kind.MEMORY if read else Kind.EXACT)
    else:
        of_time = {"mfu", "mbu", "cpu_percent", "energy_j_per_token"}
        assert (definition.kind is Kind.TIMING) == (definition.name in of_time)


@pytest.mark.parametrize(
    ("name", "better", "kind"),
    [
        ("padding_share", Better.LOWER, Kind.EXACT),
        ("train_loss_first", Better.NONE, Kind.LOSS),  # what training starts from is nobody's merit
        ("train_loss_final", Better.LOWER, Kind.LOSS),
        ("val_loss_first", Better.NONE, Kind.LOSS),
        ("val_loss_best", Better.LOWER, Kind.LOSS),
        ("val_loss_final", Better.LOWER, Kind.LOSS),
        ("val_loss_best_iteration", Better.NONE, Kind.LOSS),
        ("overfit_gap", Better.LOWER, Kind.LOSS),
        ("total_parameters", Better.NONE, Kind.EXACT),
        ("trainable_parameters", Better.NONE, Kind.EXACT),
        ("trainer_loss_first", Better.NONE, Kind.LOSS),
        ("trainer_loss_final", Better.LOWER, Kind.LOSS),
        ("train_iterations", Better.NONE, Kind.EXACT),
        ("train_updates", Better.NONE, Kind.EXACT),
        ("mfu", Better.HIGHER, Kind.TIMING),
        ("mbu", Better.HIGHER, Kind.TIMING),
        ("cpu_percent", Better.NONE, Kind.TIMING),
        ("energy_j_per_token", Better.LOWER, Kind.TIMING),
        ("test_loss", Better.LOWER, Kind.LOSS),
        ("test_perplexity", Better.LOWER, Kind.LOSS),
        ("bits_per_byte", Better.LOWER, Kind.LOSS),
        ("eos_rate", Better.HIGHER, Kind.QUALITY),
        ("response_words", Better.NONE, Kind.QUALITY),
        ("rating", Better.HIGHER, Kind.QUALITY),
        ("adapter_kl_nat_per_token", Better.NONE, Kind.QUALITY),  # how far an adapter goes is nobody's merit
        ("fused_kl_nat_per_token", Better.LOWER, Kind.QUALITY),
        ("fused_top1_agreement", Better.HIGHER, Kind.QUALITY),
    ],
)
def test_what_a_name_does_not_tell_is_defined_once(name, better, kind):
    assert (define(name).better, define(name).kind) == (better, kind)


@pytest.mark.parametrize("name", list(DEFINITIONS))
def test_a_metric_is_found_by_its_own_name_and_explains_itself(name):
    definition = define(name)
    assert definition.name == name
    assert len(definition.definition.split()) >= 3 or definition.definition.endswith(".")
    assert definition.source.strip()


def test_an_unknown_metric_is_refused_with_a_guess():
    with pytest.raises(UnknownName, match=r"unknown metric 'ttft_ms'\. Did you mean 'ttft_s'\?"):
        define("ttft_ms")
    with pytest.raises(UnknownName, match="unknown metric 'nothing'"):
        metric("nothing", ((1.0,),))


def test_readings_get_what_their_name_means():
    assert metric("decode_tokens_per_s", ((9.0, 8.0),), labels=("short", "long")) == Metric(
        unit="token/s", better=Better.HIGHER, kind=Kind.TIMING, samples=((9.0, 8.0),), labels=("short", "long")
    )
    assert metric("peak_footprint_bytes", None, reason="Linux only") == Metric(
        unit="byte", better=Better.LOWER, kind=Kind.MEMORY, samples=None, reason="Linux only"
    )
