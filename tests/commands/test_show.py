from pathlib import Path

import pytest

from harness.commands.runs import runs_text
from harness.commands.show import run_text
from harness.results.records import Status
from tests.support.command_line import output_of, refusal_of, table_cells
from tests.support.samples import (
    bundle,
    failed,
    measured,
    record,
    small_run,
    stored,
)


@pytest.mark.parametrize("name", ["latest", "20260102-030405-abcd", "2026", "results/20260102-030405-abcd"])
def test_a_run_answers_to_its_id_a_prefix_its_path_and_latest(working_directory, capsys, name):
    assert output_of(capsys, "show", name).startswith("run 20260102-030405-abcd, profile standard")


def test_latest_is_the_run_that_started_last_whatever_its_name(working_directory, capsys):
    stored(working_directory / "results", bundle(id="0-name", started_at="2027-01-01T00:00:00Z"))
    stored(working_directory / "results", bundle(id="z-name", started_at="2025-01-01T00:00:00Z"))
    assert output_of(capsys, "show", "latest").startswith("run 0-name,")


@pytest.mark.parametrize("command", ["show", "report", "export"])
def test_an_unknown_run_is_refused_with_those_that_are_known(working_directory, capsys, command):
    message = refusal_of(capsys, command, "20250101-nothing")
    assert "unknown run '20250101-nothing'" in message
    assert "Known: 20260102-030405-abcd." in message
    assert "`tunebench runs` and `tunebench baseline list` list them" in message


def test_an_ambiguous_prefix_is_refused_and_not_guessed(working_directory, capsys):
    stored(working_directory / "results", bundle(id="20260102-other"))
    assert "More than one begins so" in refusal_of(capsys, "show", "20260102")


def test_latest_of_no_runs_is_refused(tmp_path, capsys):
    assert "unknown run 'latest'. Known: none." in refusal_of(capsys, "show", "latest", "--results-dir", tmp_path)


def test_a_run_name_of_any_length_is_refused_without_a_traceback(working_directory, capsys):
    assert "unknown run" in refusal_of(capsys, "show", "a" * 5000)


def test_latest_finds_a_run_whose_directory_was_renamed(run_directory, capsys):
    run_directory.rename(run_directory.with_name("my-laptop"))
    assert output_of(capsys, "show", "latest").startswith("run 20260102-030405-abcd")


def test_a_bundle_can_be_shown(working_directory, capsys):
    output_of(capsys, "export", "latest", "-o", "f.json")
    assert output_of(capsys, "show", "f.json") == output_of(capsys, "show", "latest")


def test_a_run_shows_each_case_with_its_headline_or_its_reason():
    rows = table_cells(run_text(small_run()))
    assert rows[0] == [
        "run 20260102-030405-abcd, profile standard, started 2026-01-02T03:04:05Z, finished 2026-01-02T03:05:00Z"
    ]
    assert rows[4:] == [
        ["evaluation/tiny/base", "oom: killed at 7.5 GiB | of 8"],
        ["inference/tiny/base", "TTFT 500.0 ms, prefill not measured, decode 11.00 token/s, peak not measured"],
        ["inference/tiny/r8", "TTFT 500.0 ms, prefill not measured, decode 22.00 token/s, peak not measured"],
    ]


def test_a_runs_warnings_and_missing_end_stand_above_its_cases():
    head = run_text(bundle(finished_at=None, warnings=("slow BLAS", "stand-in"))).splitlines()
    assert head[0].endswith(", not finished")
    assert head[1:3] == ["warning: slow BLAS", "warning: stand-in"]


def test_nothing_stored_steers_the_terminal():
    evil = "\x1b[2J\x07\u202e\r"
    run = bundle(failed(status=Status.CRASHED, reason=evil), id=evil, warnings=(evil,), profile=evil)
    for text in (run_text(run), runs_text([run], Path("results"))):
        assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert "crashed: ?[2J???" in run_text(run)


def test_a_reason_of_several_lines_stays_on_one():
    rows = run_text(bundle(failed(reason="one\ntwo"))).splitlines()
    assert rows[-1].endswith("failed: one?two")


def test_a_missing_figure_is_not_measured_and_never_0():
    text = run_text(bundle(record(metrics={"ttft_s": measured("ttft_s", reason="no clock")})))
    assert "TTFT not measured" in text
    assert "None" not in text


def test_a_record_of_another_suite_is_shown():
    assert "other/tiny/base" in run_text(bundle(record("other/tiny/base")))
