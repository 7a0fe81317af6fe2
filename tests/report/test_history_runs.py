from dataclasses import replace

import pytest

from harness.errors import HarnessError, UnknownName
from harness.gate import save_baseline
from harness.report.history_runs import read
from tests.support.samples import bundle, full_record, measured, output, record, stored

SPEED = "decode_tokens_per_s"


def run(run_id, day=1, case="inference/tiny/base", metric=SPEED):
    metrics = {metric: measured(metric, 1.0), "load_s": measured("load_s", 2.0)}
    started = f"2026-01-{day:02d}T00:00:00Z"
    return bundle(record(case, metrics=metrics, outputs=(output(),)), id=run_id, started_at=started)


def ids(results_dir, *selection):
    return [stored_run.bundle.run.id for stored_run in read(results_dir, *selection).runs]


def test_every_run_that_holds_the_metric_is_read_oldest_first(tmp_path):
    stored(tmp_path, run("a", 3), run("b", 1), run("c", 2, metric="prefill_tokens_per_s"))
    assert ids(tmp_path, SPEED) == ["b", "a"]


def test_only_the_metric_is_read(tmp_path):
    stored(tmp_path, bundle(full_record()))
    history_runs = read(tmp_path, "train_tokens_per_s")
    (stored_run,) = history_runs.runs
    (stored_record,) = stored_run.bundle.records
    assert list(stored_record.metrics) == ["train_tokens_per_s"]
    assert (stored_record.series, stored_record.outputs, stored_record.notes, stored_record.data) == ({}, (), (), None)
    assert history_runs.problems == ()


def test_one_case_alone_can_be_asked_for(tmp_path):
    stored(tmp_path, run("a"), run("b", case="inference/tiny/r8"))
    assert ids(tmp_path, SPEED, "inference/tiny/r8") == ["b"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("inference/*/r8", ["b"]), ("*", ["a", "b"]), ("inference/tiny/r?", ["b"]), ("*/[a-c]ase", ["a"])],
)
def test_cases_can_be_asked_for_by_a_pattern(tmp_path, pattern, expected):
    stored(tmp_path, run("a"), run("b", case="inference/tiny/r8"))
    assert ids(tmp_path, SPEED, pattern) == expected


def judging(run_id, options, **changes):
    judged = run(run_id, **changes)
    return replace(judged, run=replace(judged.run, options=options))


def test_sides_of_a_comparison_and_second_looks_are_left_out_unless_asked_for(tmp_path):
    stored(tmp_path, run("a"), judging("b", {"ab": {"pairs": 5}}), judging("c", {"again_of": "a"}))
    stored(tmp_path, judging("d", {"ab": {}}, metric="prefill_tokens_per_s"))
    history_runs = read(tmp_path, SPEED)
    assert ([stored_run.bundle.run.id for stored_run in history_runs.runs], history_runs.left_out) == (["a"], 2)
    history_runs = read(tmp_path, SPEED, all_runs=True)
    assert ([stored_run.bundle.run.id for stored_run in history_runs.runs], history_runs.left_out) == (
        ["a", "b", "c"],
        0,
    )


def test_where_all_are_left_out_it_says_how_to_take_them(tmp_path):
    stored(tmp_path, judging("b", {"ab": {}}))
    with pytest.raises(HarnessError, match="holds decode_tokens_per_s but 1 that judged something else: --all-runs;"):
        read(tmp_path, SPEED)


def test_of_a_baseline_too_one_case_alone_is_read(tmp_path):
    first = run("a")
    both = bundle(*first.records, *run("a", case="inference/tiny/r8").records, id="a")
    save_baseline.save(both, "default", "a reason", tmp_path)
    (stored_run,) = read(tmp_path, SPEED, "inference/tiny/r8").runs
    assert [record.case for record in stored_run.bundle.records] == ["inference/tiny/r8"]


def test_a_baseline_whose_run_is_gone_counts_and_one_whose_run_is_there_counts_once(tmp_path):
    stored(tmp_path, run("a", 2))
    for number, run_id in enumerate(("gone", "a"), start=1):
        save_baseline.save(run(run_id, number), "default", "a reason", tmp_path)
    history_runs = read(tmp_path, SPEED)
    gone, kept = history_runs.runs
    assert (gone.bundle.run.id, gone.path) == ("gone", tmp_path / "baseline" / "default" / "0001.json")
    assert (kept.bundle.run.id, kept.path) == ("a", tmp_path / "a")
    assert history_runs.problems == ()


def test_files_that_cannot_be_read_are_named_and_the_rest_counts(tmp_path):
    good, bad, worse = stored(tmp_path, run("a"), run("b"), run("c"))
    file = bad / "inference+tiny+base.json"
    file.write_text(file.read_text()[:90])  # before any metric
    (worse / "run.json").write_text("{")
    save_baseline.save(run("d"), "torn", "a reason", tmp_path)
    (tmp_path / "baseline" / "torn" / "history.jsonl").write_text("{")
    history_runs = read(tmp_path, SPEED)
    assert [stored_run.path for stored_run in history_runs.runs] == [good]
    assert len(history_runs.problems) == 3
    assert all(str(tmp_path) in problem for problem in history_runs.problems)


def test_an_unknown_metric_is_refused_with_what_was_meant(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown metric 'decode_tokens'.*Did you mean 'decode_tokens_per_s'"):
        read(tmp_path, "decode_tokens")


def test_where_no_run_holds_it_it_says_so(tmp_path):
    stored(tmp_path, run("a"))
    with pytest.raises(HarnessError, match="no stored run holds ttft_s; `tunebench runs`"):
        read(tmp_path, "ttft_s")
    with pytest.raises(HarnessError, match="no stored run holds decode_tokens_per_s of 'x/y/z'"):
        read(tmp_path, SPEED, "x/y/z")
