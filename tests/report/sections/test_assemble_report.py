"""Headline, banners and the list of metrics that were not measured, as the comparison shows them."""

import pytest

from harness.results.records import Status
from tests.support.comparisons import page
from tests.support.samples import (
    RUN_ID,
    bundle,
    environment,
    failed,
    full_record,
    grid,
    key,
    measured,
    record,
    row,
    titles,
    weights,
)

SPEED, WAIT = "decode_tokens_per_s", "ttft_s"


def test_what_no_record_holds_is_listed():
    listed = page(bundle(record(metrics={SPEED: measured(SPEED, 10.0), WAIT: measured(WAIT, reason="x")}))).not_measured
    assert WAIT in listed
    assert "train_tokens_per_s" in listed
    assert SPEED not in listed


def test_a_skipped_case_is_announced_apart_from_failures():
    report = page(
        bundle(failed(status=Status.SKIPPED, reason="its adapter could not be trained"), record("inference/b/base"))
    )
    assert report.banners == ("SKIPPED: 1 of 2 cases were not measured.",)


def test_a_failed_case_is_listed_with_its_reason_and_announced():
    report = page(bundle(failed(status=Status.OOM, reason="killed by the system"), record("inference/b/base")))
    assert [list(cells.values()) for cells in grid(report, "Cases without a result")] == [
        ["inference/tiny/base", "oom", "killed by the system"]
    ]
    assert report.banners == ("FAILURES: 1 of 2 cases ended without a result.",)
    assert report.headline == ("1 of 2 cases ended ok.",)


def test_a_run_without_records_is_a_report_that_says_so():
    report = page(bundle())
    assert report.title == "no models"
    assert report.headline == ("0 of 0 cases ended ok.",)
    assert titles(report) == ["Runs", "Environment"]


def test_an_unfinished_run_is_announced():
    report = page(bundle(record(), finished_at=None))
    (banner,) = report.banners
    assert banner.startswith(
        "RUN INCOMPLETE: a session did not reach its end; the cases it had finished are shown. pytest"
    )
    assert report.headline == ("1 of 1 cases ended ok; cases that had not ended are not among them.",)
    assert row(report, "Runs", RUN_ID)["finished"] == "not finished"


def test_a_finished_run_of_full_size_on_real_weights_has_no_banner():
    assert page(bundle(record())).banners == ()


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (bundle(record(key=key(weights=weights(source="nano")))), "STAND-IN WEIGHTS (tiny): "),
        (bundle(record(), profile="smoke"), "SMOKE SIZE: "),
        (bundle(record(), environment=environment(device={"name": "cpu", "type": "cpu"})), "CPU BACKEND: "),
        (bundle(record(), git={"commit": "0" * 40, "dirty": True}), "DIRTY GIT TREE: "),
        (bundle(record(), warnings=("slow BLAS",)), "Warning: slow BLAS"),
    ],
)
def test_what_a_reader_has_to_know_first_stands_on_top(run, words):
    (banner,) = page(run).banners
    assert banner.startswith(words)


def test_one_of_two_runs_is_enough_for_a_banner():
    other = bundle(record(), id="other", profile="smoke")
    assert [banner.partition(":")[0] for banner in page(bundle(record()), other).banners] == ["SMOKE SIZE"]


def test_a_seed_that_nobody_knows_is_no_single_one():
    assert page(bundle(full_record())).banners == ()
    (banner,) = page(bundle(full_record(key=key(settings={"seed": 42})))).banners
    assert banner.startswith("SINGLE SEED")
