"""Readings that no machine gives, and files may hold: each kind of page is made of them all the same."""

import re
from dataclasses import replace

import pytest

from harness.report.build import KINDS, Run, build, suits
from harness.results.metric_definitions import ALL
from harness.results.records import Better
from tests.support.samples import bundle, failed, full_record, key, losses, markdown, measured, record

LABELS = {"itl_s": ("short",) * 4, "context_decode_tokens_per_s": ("depth 0", "depth 0", "depth 9", "depth 9")}


def page(kind, *records, tmp_path, **changes):
    runs = [Run(path=tmp_path, bundle=bundle(*records, **changes))]
    if not suits(kind, runs):
        kind = "comparison"
    report = build(kind, runs, beside=tmp_path)
    return markdown(report)


def everything(*values):
    """A case of each suite that holds every metric, in two processes."""
    metrics = {metric.name: measured(metric.name, values, values, labels=LABELS.get(metric.name)) for metric in ALL}
    tuned = [full_record(f"{suite}/tiny/r8", metrics=metrics) for suite in ("training", "evaluation", "inference")]
    return *tuned, *(replace(case, case=case.case.replace("r8", "base")) for case in tuned[1:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [(0.0,) * 4, (-1.0,) * 4, (0.0, 1.0, 0.0, 1.0), (5e-324,) * 4, (1e300,) * 4])
def test_no_reading_of_any_metric_stops_a_page(kind, values, tmp_path):
    cases = everything(*values)
    order = tuple(f"{case.case}#{number}" for case in cases for number in (1, 2))
    assert page(kind, *cases, tmp_path=tmp_path, order=order)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "points", [((1, 0.0),), ((1, -1.0), (2, 0.0)), ((1, 1e-300), (2, 1e300)), tuple((i, 0.0) for i in range(1, 60))]
)
def test_no_series_stops_a_page(kind, points, tmp_path):
    series = {name: losses(*points) for name in full_record().series}
    assert page(kind, full_record(series=series), tmp_path=tmp_path)
    assert page(kind, full_record(series={"train_loss": losses(*points)}), tmp_path=tmp_path)
    assert page(kind, full_record(series={"val_loss": losses(*points)}), tmp_path=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_failures_alone_make_a_page_that_says_so(kind, tmp_path):
    cases = [
        failed(f"{suite}/tiny/{name}") for suite in ("training", "evaluation", "inference") for name in ("base", "r8")
    ]
    assert re.search(r"FAILURES: (\d) of \1 cases ended without a result", page(kind, *cases, tmp_path=tmp_path))


def test_a_metric_of_a_unit_and_direction_of_its_own_is_shown_as_it_is(tmp_path):
    odd = replace(measured("ttft_s", 1.0), unit="furlong", better=Better.HIGHER)
    assert "1.000 furlong" in page("comparison", record(metrics={"ttft_s": odd}), tmp_path=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", ["x", None, [1], {"a": 1}, True, -1, 0])
def test_facts_in_free_form_may_be_anything(kind, odd, tmp_path):
    names = ("iters", "batch_size", "seed", "output_tokens", "max_seq_length", "learning_rate")
    settings = dict.fromkeys(names, odd)
    for dataset in (None, {"name": odd}, {"name": "d", "rows": odd}, {"name": "d", "rows": {"train": odd}}):
        for data in (None, {"test": odd}, {"test": {"rows": odd, "rows_in_training": odd}}):
            cases = [
                full_record(f"{suite}/tiny/r8", key=key(settings=settings, dataset=dataset), data=data)
                for suite in ("training", "evaluation", "inference")
            ]
            assert page(kind, *cases, tmp_path=tmp_path)
