from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands.baseline import baselines_text, saved_text
from harness.results.baselines import Replaced, Saved, Shelf
from tests.support.command_line import output_of, refusal_of, table_cells
from tests.support.samples import (
    bundle,
    key,
    measured,
    record,
    small_run,
    stored,
    weights,
)

UNJUDGED, WHY = "warning: it could not be judged against that one", "tunebench gate main@2 main says why"


def test_a_run_becomes_a_baseline_that_gate_show_and_report_take_by_name(working_directory, capsys):
    good = replace(small_run(), records=small_run().records[1:])
    stored(working_directory / "results", replace(good, run=replace(good.run, id="good")))
    assert "0001.json: good is the baseline 'default'" in output_of(
        capsys, "baseline", "save", "good", "--reason", "the first"
    )
    assert output_of(capsys, "show", "default").startswith("run good,")
    assert output_of(capsys, "report", "default", "-o", "out") == "out/report.md\n"
    assert main(["gate", "default", "good"]) in {0, 3}
    listed = output_of(capsys, "baseline", "list")
    assert "the first" in listed
    assert "good" in listed


def test_a_run_that_failed_is_refused_with_1_and_one_message(working_directory, capsys):
    assert main(["baseline", "save", "latest", "--reason", "why not"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "evaluation/tiny/base: oom: killed" in captured.err
    assert not (working_directory / "results" / "baseline").exists()


def test_a_slower_run_needs_to_be_accepted(working_directory, capsys):
    for run_id, rate in [("fast", 100.0), ("slow", 50.0)]:
        speeds = measured("decode_tokens_per_s", *[rate + step / 10 for step in range(7)])
        stored(working_directory / "results", bundle(record(metrics={"decode_tokens_per_s": speeds}), id=run_id))
    output_of(capsys, "baseline", "save", "fast", "--reason", "first", "--name", "main")
    again = ["baseline", "save", "slow", "--reason", "second", "--name", "main"]
    assert main(again) == 1
    assert "a regression against number 1, run fast" in capsys.readouterr().err
    assert "accepted: inference/tiny/base decode_tokens_per_s" in output_of(capsys, *again, "--accept-regression")


def test_the_run_that_is_the_baseline_already_is_refused_with_1(working_directory, capsys):
    stored(working_directory / "results", bundle(record(), id="good"))
    again = ["baseline", "save", "good", "--reason", "first"]
    output_of(capsys, *again)
    assert main(again) == 1
    assert "it is that already, number 1" in capsys.readouterr().err


def test_an_empty_reason_is_wrong_usage(working_directory, capsys):
    assert "--reason: 1 problem" in refusal_of(capsys, "baseline", "save", "latest", "--reason", " ")


def test_a_torn_baseline_is_named_and_skipped(working_directory, capsys):
    speeds = {"ttft_s": measured("ttft_s", 1.0)}
    stored(working_directory / "results", bundle(record(metrics=speeds), id="good"))
    output_of(capsys, "baseline", "save", "good", "--reason", "first")
    (working_directory / "results" / "baseline" / "default" / "0001.json").write_text("{")
    assert main(["baseline", "list"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert captured.out.startswith("no baselines in results")


def shelf(bundle, **changes):
    line = Saved(
        schema=1,
        number=3,
        run=bundle.run.id,
        saved_at="2026-01-03T00:00:00Z",
        reason="new\x1b[2J machine of the laboratory",
        git=None,
        versions={"mlx-lm": None, "mlx": "0.31.0"},
    )
    return Shelf(**{"name": "main", "bundle": bundle, "saved": line, "earlier": 2, **changes})


def test_a_baseline_is_listed_with_its_age_what_it_holds_and_why():
    two = {"ttft_s": measured("ttft_s", 1.0, 1.0)}
    three = {"ttft_s": measured("ttft_s", 1.0, 1.0, 1.0)}
    stand_in = key(weights=weights(source="nano"))
    run = bundle(record(metrics=two, key=stand_in), record("inference/tiny/r8", metrics=three))
    text = baselines_text([shelf(run)], Path("results"), "2026-01-12T15:04:05Z")
    assert table_cells(text)[0] == ["name", "no.", "run", "age", "cases x n", "reason"]
    assert table_cells(text)[2] == [
        "main",
        "3",
        "20260102-030405-abcd",
        "10 d",
        "2 x 2 to 3",
        "new?[2J machine of the…",
    ]
    assert " ".join(text.split("\n\n")[1].split()) == (
        "main: gpu: One, weights hub, weights nano (stand-in), mlx-lm unknown, mlx 0.31.0, "
        "saved 2026-01-03T00:00:00Z, 2 earlier"
    )
    assert max(map(len, text.splitlines())) == 80


def test_a_baseline_of_one_case_says_its_processes_once_and_of_an_unknown_day_no_age():
    run = bundle(record(metrics={"ttft_s": measured("ttft_s", 1.0)}), started_at="unknown")
    cells = table_cells(baselines_text([shelf(run)], Path("results"), "2026-01-12T00:00:00Z"))[2]
    assert cells[3:5] == ["unknown", "1 x 1"]


def test_where_there_are_no_baselines_it_says_how_to_make_one():
    text = baselines_text([], Path("results"), "2026-01-12T00:00:00Z")
    assert text == "no baselines in results; make one with: tunebench baseline save RUN --reason TEXT\n"


def test_a_save_says_what_it_replaced_accepted_and_no_longer_watches():
    line = replace(
        shelf(bundle()).saved,
        replaced=Replaced(number=2, run="r1"),
        verdict="regression",
        worst="a ttft_s: slower",
        accepted=("a ttft_s: slower",),
        dropped=("b",),
    )
    assert saved_text(line, Path("results/baseline/main")).splitlines() == [
        f"results/baseline/main/0003.json: {line.run} is the baseline 'main', in place of number 2, run r1: regression",
        "accepted: a ttft_s: slower",
        "no longer watched: b",
        "commit results/baseline/main",
    ]


@pytest.mark.parametrize(
    ("verdict", "worst", "line_text"),
    [
        ("pass", "a ttft_s: +0.5 % slower [0.0, 1.0]", "worst change: a ttft_s: +0.5 % slower [0.0, 1.0]"),
        (
            "inconclusive",
            "a ttft_s: +0.5 % slower [−9.0, 9.0]",
            f"{UNJUDGED}; worst change: a ttft_s: +0.5 % slower [−9.0, 9.0]; {WHY}",
        ),
        (
            "not-comparable",
            None,
            f"{UNJUDGED}; nothing of it could be compared; {WHY}",
        ),
    ],
)
def test_a_save_says_the_worst_change_and_warns_where_it_could_not_be_judged(verdict, worst, line_text):
    line = replace(shelf(bundle()).saved, replaced=Replaced(number=2, run="r1"), verdict=verdict, worst=worst)
    assert saved_text(line, Path("results/baseline/main")).splitlines()[1:-1] == [line_text]


def test_a_first_save_was_held_against_nothing():
    assert len(saved_text(shelf(bundle()).saved, Path("results/baseline/main")).splitlines()) == 2
