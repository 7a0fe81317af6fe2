import pytest

from harness.report.headline import headline, headline_cells
from harness.results.metrics import metric
from harness.results.records import Record, Status


def record(suite, metrics=None, status=Status.OK, reason=None):
    return Record(
        case=f"{suite}/tiny/r8",
        suite=suite,
        status=status,
        reason=reason,
        started_at="2026-01-01T00:00:00Z",
        wall_s=1.0,
        key=None,
        metrics=metrics or {},
    )


def test_a_training_case_on_one_line():
    metrics = {
        "train_tokens_per_s": metric("train_tokens_per_s", ((100.0,), (300.0,), (250.0,))),
        "val_loss_first": metric("val_loss_first", ((3.5,),)),
        "val_loss_best": metric("val_loss_best", ((2.25,),)),
        "peak_active_bytes": metric("peak_active_bytes", ((5.0, 3 * 2.0**30),), labels=("load", "train")),
        "step_s": metric("step_s", ((9.0,),)),
    }
    assert headline(record("training", metrics)) == ("train 250.0 token/s, val loss 3.500, best 2.250, peak 3.000 GiB")


def test_an_evaluation_case_on_one_line():
    metrics = {
        "test_loss": metric("test_loss", ((3.0,),)),
        "bits_per_byte": metric("bits_per_byte", ((1.25,),)),
        "eos_rate": metric("eos_rate", ((0.5,),)),
        "peak_active_bytes": metric("peak_active_bytes", ((2.0**20, 2.0**21),), labels=("loss", "generate")),
    }
    assert headline(record("evaluation", metrics)) == (
        "test loss 3.000, bits/byte 1.250, stopped by itself 0.5000, peak 2.000 MiB"
    )


def test_an_inference_case_on_one_line():
    metrics = {
        "ttft_s": metric("ttft_s", ((0.25,),)),
        "prefill_tokens_per_s": metric("prefill_tokens_per_s", ((200.0,),)),
        "decode_tokens_per_s": metric("decode_tokens_per_s", ((20.0,),)),
        "peak_active_bytes": metric("peak_active_bytes", ((1.0, 2.0**30),), labels=("load", "generate")),
    }
    assert headline(record("inference", metrics)) == (
        "TTFT 250.0 ms, prefill 200.0 token/s, decode 20.00 token/s, peak 1.000 GiB"
    )


def test_several_scenarios_are_the_median_of_their_medians():
    """short: 1, 2, 9 in three processes -> 2; long: 4; code: 6."""
    samples = ((1.0, 4.0, 6.0), (2.0, 4.0, 6.0), (9.0, 4.0, 6.0))
    metrics = {"ttft_s": metric("ttft_s", samples, labels=("short", "long", "code"))}
    assert headline_cells(record("inference", metrics))["TTFT"] == "4.000 s"


def test_what_is_missing_is_not_measured_and_never_a_number():
    metrics = {
        "ttft_s": metric("ttft_s", None, reason="it broke"),
        "peak_active_bytes": metric("peak_active_bytes", ((5.0,),), labels=("probe",)),
    }
    assert headline_cells(record("inference", metrics)) == {
        "TTFT": "not measured",
        "prefill": "not measured",
        "decode": "not measured",
        "peak": "not measured",
    }


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_case_that_failed_says_why_in_place_of_its_figures(status):
    failed = record("inference", {"ttft_s": metric("ttft_s", ((1.0,),))}, status, "no memory left")
    assert headline(failed) == f"{status.value}: no memory left"


def test_the_peak_is_that_of_the_phase_that_takes_most_and_not_of_the_probe():
    memory = metric("peak_active_bytes", ((5.0, 7.0, 6.0, 99.0),), labels=("load", "fuse", "generate", "probe"))
    assert headline_cells(record("evaluation", {"peak_active_bytes": memory}))["peak"] == "7 B"
