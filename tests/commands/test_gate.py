import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from tests.support.command_line import output_of, refusal_of
from tests.support.samples import (
    bundle,
    environment,
    measured,
    record,
    stored,
)


def speed(run_id, *values):
    metrics = {"decode_tokens_per_s": measured("decode_tokens_per_s", *values)}
    return bundle(record("inference/tiny/base", metrics=metrics), id=run_id)


@pytest.mark.parametrize(
    ("candidate", "code", "verdict"),
    [
        ((20.0,) * 6, 0, "pass"),
        ((40.0,) * 6, 0, "improved"),
        ((10.0,) * 6, 1, "regression"),
        ((10.0,), 3, "inconclusive"),
    ],
)
def test_a_gate_exits_with_what_it_found(working_directory, capsys, candidate, code, verdict):
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *candidate))
    assert main(["gate", "before", "after"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines()[-1].startswith(f"verdict: {verdict} (exit {code}: ")


def test_a_gate_between_versions_of_a_library_says_so(working_directory, capsys):
    newer = replace(speed("after", *(20.0,) * 6), environment=environment(packages={"mlx": "0.32.0"}))
    stored(working_directory / "results", speed("before", *(20.0,) * 6), newer)
    assert main(["gate", "before", "after"]) == 0
    assert "warning: versions differ: mlx: 0.31.0 -> 0.32.0" in capsys.readouterr().out


def test_a_gate_judges_by_the_policy_that_is_asked_for(working_directory, capsys):
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--policy", "deterministic"]) == 3
    assert "1 ignored: times need a machine of their own" in capsys.readouterr().out
    assert "unknown" in refusal_of(capsys, "gate", "before", "after", "--policy", "strict")


def test_a_gate_s_answer_goes_where_it_was_asked_to(working_directory, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary")
    monkeypatch.setenv("GITHUB_OUTPUT", "output")
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--json", "a", "--md", "b", "--junit", "c", "--github"]) == 1
    beginnings = {name: Path(name).read_text(encoding="utf-8")[:20] for name in ("a", "b", "c", "summary", "output")}
    assert beginnings == {
        "a": '{\n "schema": 1,\n "tu',
        "b": "<!-- tunebench-gate ",
        "c": "<?xml version='1.0' ",
        "summary": "<!-- tunebench-gate ",
        "output": "verdict=regression\ne",
    }
    assert "\n::error title=regression in inference/tiny/base::" in capsys.readouterr().out


def test_without_being_asked_for_a_gate_says_nothing_to_github(working_directory, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary")
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after"]) == 1
    assert "::error" not in capsys.readouterr().out
    assert not Path("summary").exists()


def test_a_file_on_standard_output_stands_there_alone(working_directory, capsys):
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--json", "-"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == 1
    assert "verdict: regression" in captured.err


def test_a_gate_whose_file_cannot_be_written_still_says_its_verdict(working_directory, capsys, monkeypatch):
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    Path("file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GITHUB_OUTPUT", "file/x")
    assert main(["gate", "before", "after", "--github"]) == 2
    captured = capsys.readouterr()
    assert "verdict: regression" in captured.out
    assert captured.err.startswith("tunebench: file/x: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("places", [["--json", "-", "--md", "-"], ["--md", "no/x"]])
def test_an_answer_that_cannot_go_where_it_was_asked_to_is_refused_before_anything_is_read(
    working_directory, capsys, places
):
    assert "places of the answer: 1 problem" in refusal_of(capsys, "gate", "nosuch", "nosuch", *places)
    assert not Path("no").exists()


def test_a_gate_names_the_baseline_as_it_was_asked_for_and_where_it_lies(working_directory, capsys):
    stored(working_directory / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    output_of(capsys, "baseline", "save", "before", "--reason", "the first")
    assert main(["gate", "default", "after", "--json", "-"]) == 1
    a, b = json.loads(capsys.readouterr().out)["origins"]
    assert (a["typed"], a["number"], a["path"]) == ("default", 1, "results/baseline/default/0001.json")
    assert (b["typed"], b["number"], b["path"]) == ("after", None, "results/after")


def test_a_gate_without_a_baseline_is_refused_and_no_pass(working_directory, capsys):
    assert "unknown run 'before'" in refusal_of(capsys, "gate", "before", "latest")
