from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.history import timelines
from harness.cli import main
from harness.commands.history import history_text
from tests.support.command_line import output_of, refusal_of, table_cells
from tests.support.samples import (
    bundle,
    measured,
    record,
    stored,
)


def days(results, *rates):
    for day, rate in enumerate(rates, start=1):
        speeds = {"decode_tokens_per_s": measured("decode_tokens_per_s", rate)}
        stored(results, bundle(record(metrics=speeds), id=f"d{day}", started_at=f"2025-01-{day:02d}T00:00:00Z"))


@pytest.mark.parametrize(("later", "code", "word"), [(92.0, 1, "worse"), (110.0, 0, "better"), (100.0, 0, "no change")])
def test_a_history_exits_with_1_if_its_newest_change_is_for_the_worse(tmp_path, capsys, later, code, word):
    days(tmp_path / "r", *[100.0] * 10, *[later] * 10)
    assert main(["history", "decode_tokens_per_s", "--results-dir", str(tmp_path / "r")]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert word in captured.out.splitlines()[0]


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_the_page_of_a_history_holds_when_it_is_made_again(tmp_path, capsys, form):
    results = tmp_path / "r"
    days(results, *[100.0] * 10, *[110.0] * 10)
    directory_option = ["--results-dir", results]
    case = ["--case", "inference/tiny/base"]
    page = tmp_path / "out" / f"report-history.{form}"
    assert (
        output_of(
            capsys, "history", "decode_tokens_per_s", *case, "--format", form, "-o", page.parent, *directory_option
        )
        == f"{page}\n"
    )
    assert output_of(capsys, "verify", page, *directory_option) == f"{page}: holds\n"
    days(results, 101.0)
    assert main(["verify", str(page), "--results-dir", str(results)]) == 1
    assert "d1 is no longer what" in capsys.readouterr().out


def test_a_history_leaves_out_what_judged_something_else_unless_asked_and_its_page_holds(tmp_path, capsys):
    results = tmp_path / "r"
    days(results, 100.0, 101.0)
    side = bundle(record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", 50.0)}), id="side")
    stored(results, replace(side, run=replace(side.run, options={"ab": {"pairs": 1}})))
    command = ["history", "decode_tokens_per_s", "--results-dir", results]
    text = output_of(capsys, *command)
    assert "side" not in text.split("Runs left out: 1")[0]
    assert "Runs left out: 1" in text
    text_of_all = output_of(capsys, *command, "--all-runs")
    assert "side" in text_of_all
    assert "left out" not in text_of_all
    for options, mentioned in ([], True), (["--all-runs"], False):
        page = output_of(capsys, *command, *options, "--format", "md", "-o", tmp_path / "out").strip()
        assert ("Runs left out: 1" in Path(page).read_text()) is mentioned
        assert output_of(capsys, "verify", page, "--results-dir", results) == f"{page}: holds\n"


def test_a_history_of_nothing_is_refused(working_directory, capsys):
    assert "unknown metric 'speed'" in refusal_of(capsys, "history", "speed")
    assert "no stored run holds energy_j_per_token" in refusal_of(capsys, "history", "energy_j_per_token")


def test_a_history_names_what_it_could_not_read(tmp_path, capsys):
    days(tmp_path / "r", 1.0, 2.0)
    (tmp_path / "r" / "d1" / "run.json").write_text("{")
    assert main(["history", "decode_tokens_per_s", "--results-dir", str(tmp_path / "r")]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert "1 run;" in captured.out


def series(*rates):
    return timelines(
        [
            bundle(
                record(metrics={"ttft_s": measured("ttft_s", rate)}), id=f"r{number:02}", started_at=f"2026-{number:02}"
            )
            for number, rate in enumerate(rates)
        ],
        "ttft_s",
    )


def test_a_history_is_a_sentence_and_a_line_a_run():
    text = table_cells(history_text(series(0.5, 0.25)))
    assert text[0][0].startswith("inference/tiny/base: 2 runs; change points were not looked for")
    assert text[1] == ["started", "run", "commit", "mlx-lm", "mlx", "value", "processes", "change point"]
    assert text[3:] == [
        ["2026-00", "r00", "01234567", "unknown", "0.31.0", "500.0 ms", "1"],
        ["2026-01", "r01", "01234567", "unknown", "0.31.0", "250.0 ms", "1"],
    ]


def test_of_a_long_history_the_newest_runs_and_every_change_are_shown():
    text = table_cells(history_text(series(*[1.0] * 10, *[2.0] * 40)))
    rows = [line for line in text if line[0].startswith("2026-")]
    assert len(rows) == 31
    assert (rows[0][1], rows[0][-1], rows[1][1]) == ("r10", "+100.0 %, worse", "r20")
    assert text[-1] == ["19 earlier runs are left out here; --format md has all"]


def many(**levels):
    """Return one series per name: ten runs at *level*, then ten at twice the level if the name begins with "up"."""
    return timelines(
        [
            bundle(
                *(
                    record(
                        f"inference/tiny/{name}",
                        metrics={"ttft_s": measured("ttft_s", level * (2 if name.startswith("up") and at > 9 else 1))},
                    )
                    for name, level in levels.items()
                ),
                id=f"r{at:02}",
                started_at=f"2026-{at:02}",
            )
            for at in range(20)
        ],
        "ttft_s",
    )


def test_of_many_series_each_is_a_line_and_only_what_changed_is_shown():
    text = history_text(many(a=0.5, b=1.0, up=1.0), left_out=3)
    assert text.splitlines()[0] == "3 series, 1 changed, 1 of them for the worse at last"
    assert table_cells(text)[2] == ["case", "part", "runs", "newest value", "change points"]
    assert table_cells(text)[4] == ["inference/tiny/up", "20", "2.000 s", "1, the newest +100.0 %, worse"]
    assert table_cells(text)[5] == ["inference/tiny/a", "20", "500.0 ms", "none"]
    assert text.count("started") == 1
    assert text.splitlines()[-3:] == [
        "the runs of the 2 series not shown here: --case with a case from above",
        "",
        "Runs left out: 3, which were sides of a comparison or a gate's second look; --all-runs takes them",
    ]


def test_of_series_that_did_not_change_there_is_the_table_alone():
    text = history_text(many(a=0.5, b=1.0))
    assert text.splitlines()[0] == "2 series, none changed"
    assert len(text.splitlines()) == 8
    assert "started" not in text


def test_what_was_not_looked_at_is_told_once_for_all():
    short = [replace(line, shifts=(), why_not="too few") for line in many(a=0.5, b=1.0)]
    text = history_text(short)
    assert text.splitlines()[:2] == [
        "2 series, none looked at for change points",
        "2 series: change points were not looked for: too few.",
    ]
    both = history_text([*short, *many(c=1.0)])
    assert both.splitlines()[0] == "3 series, 1 looked at for change points, none changed"


def test_all_parts_of_a_case_that_was_asked_for_are_shown():
    parts = [replace(line, case="x", label=line.case[-1]) for line in many(a=0.5, b=1.0)]
    assert history_text(parts, case="x").count("started") == 2
    assert history_text(parts).count("started") == 0
    assert history_text(many(a=0.5, b=1.0), case="*").count("started") == 0
