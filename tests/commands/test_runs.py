from pathlib import Path

import pytest

from harness.cli import main
from harness.commands.runs import runs_text
from tests.support.command_line import output_of, refusal_of, table_cells
from tests.support.samples import (
    bundle,
    small_run,
    stored,
)

RESULTS = Path("results")


def test_runs_lists_what_is_there(working_directory, capsys):
    text = output_of(capsys, "runs")
    assert "20260102-030405-abcd" in text
    assert "2 of 3 ok" in text


def test_runs_stand_in_the_order_they_were_started(working_directory, capsys):
    stored(working_directory / "results", bundle(id="a-name", started_at="2027-01-01T00:00:00Z"))
    stored(working_directory / "results", bundle(id="z-name", started_at="2025-01-01T00:00:00Z"))
    names = [line.split()[0] for line in output_of(capsys, "runs").splitlines()[2:]]
    assert names == ["z-name", "20260102-030405-abcd", "a-name"]


def test_runs_of_an_empty_place_say_how_to_measure(tmp_path, capsys):
    text = output_of(capsys, "runs", "--results-dir", tmp_path / "nowhere")
    assert text == f"no runs in {tmp_path / 'nowhere'}; measure one with: pytest suites/\n"


@pytest.mark.parametrize("name", ["run.json", "inference+tiny+r8.json"])
@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "run', b"\xff\xfe", b"[]", b"null"])
def test_a_torn_file_is_named_and_skipped_by_runs_and_refused_by_the_others(
    working_directory, run_directory, capsys, name, content
):
    stored(working_directory / "results", bundle(id="whole"))
    (run_directory / name).write_bytes(content)
    assert main(["runs"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert captured.err.count("\n") == 1
    assert str(Path("results", run_directory.name, name)) in captured.err
    assert "whole" in captured.out
    for command in ("report", "show", "export"):
        assert name in refusal_of(capsys, command, run_directory)
    assert not (run_directory / "report.md").exists()


@pytest.mark.parametrize("models", [None, 5])
def test_a_run_with_odd_options_is_listed(working_directory, capsys, models):
    stored(working_directory / "results", bundle(id="odd", options={"models": models}))
    assert "odd" in output_of(capsys, "runs")


def test_a_run_is_a_line_with_what_ended_well():
    assert table_cells(runs_text([small_run()], RESULTS))[2:] == [
        ["20260102-030405-abcd", "2026-01-02T03:04:05Z", "standard", "tiny", "2 of 3 ok"]
    ]


def test_runs_keep_their_order():
    first, second = bundle(id="later-name"), bundle(id="a-name")
    assert [line[0] for line in table_cells(runs_text([first, second], RESULTS))[2:]] == ["later-name", "a-name"]


def test_a_run_that_did_not_end_is_marked():
    assert table_cells(runs_text([bundle(finished_at=None)], RESULTS))[2][-2:] == ["0 of 0 ok", "not finished"]


def test_no_runs_say_how_to_make_one():
    assert runs_text([], RESULTS) == "no runs in results; measure one with: pytest suites/\n"


def test_a_run_id_that_looks_like_a_number_stays_as_it_is():
    assert table_cells(runs_text([bundle(id="1e5")], RESULTS))[2][0] == "1e5"
