import json
from pathlib import Path

import pytest

from harness.cli import main
from tests.support.command_line import output_of, refusal_of
from tests.support.samples import (
    Page,
    bundle,
    record,
    stored,
)


def test_a_torn_bundle_is_refused(working_directory, capsys):
    Path("torn.json").write_text('{"schema": 1, "run": {"id"', encoding="utf-8")
    message = refusal_of(capsys, "report", "torn.json")
    assert message.startswith("tunebench: torn.json: not a result of this program")
    assert "move it away or measure again" in message


def test_a_file_of_a_later_schema_is_refused_with_what_to_do(run_directory, capsys):
    head = json.loads((run_directory / "run.json").read_text(encoding="utf-8"))
    (run_directory / "run.json").write_text(json.dumps({**head, "schema": 99}), encoding="utf-8")
    assert "schema 99; this version reads 1. Update tunebench." in refusal_of(capsys, "report", run_directory)


def test_a_report_goes_beside_the_run_and_its_path_is_printed(run_directory, capsys):
    assert output_of(capsys, "report", "latest") == f"{Path('results', run_directory.name, 'report.md')}\n"
    assert (run_directory / "report.md").read_text(encoding="utf-8").startswith("# Comparison: tiny\n")


def test_a_report_goes_where_it_is_told_in_every_format_asked_for(working_directory, run_directory, capsys):
    assert (
        output_of(capsys, "report", "latest", "--format", "md,json", "-o", "out") == "out/report.md\nout/report.json\n"
    )
    assert json.loads(Path("out/report.json").read_text(encoding="utf-8"))["title"] == "tiny"
    assert not (run_directory / "report.md").exists()


def test_a_report_is_the_same_when_it_is_made_again(run_directory, capsys):
    output_of(capsys, "report", "latest")
    first = (run_directory / "report.md").read_bytes()
    output_of(capsys, "report", "latest")
    assert (run_directory / "report.md").read_bytes() == first


def test_two_runs_make_one_report(working_directory, capsys):
    stored(working_directory / "results", bundle(record(), id="other"))
    output_of(capsys, "report", "20260102-030405-abcd", "other", "-o", "out")
    (runs, *_) = Page(Path("out/report.md").read_text(encoding="utf-8")).tables
    assert [line[0] for line in runs] == ["run", "20260102-030405-abcd", "other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "compairson"), "unknown report kind 'compairson'. Did you mean 'comparison'?"),
        (("--format", "pdf"), "unknown report format 'pdf'. Known: comment, html, json, md."),
        (("--format", "md,pdf"), "unknown report format 'pdf'. Known: comment, html, json, md."),
        (("--format", ""), "unknown report format ''. Known: comment, html, json, md."),
        (("--templates", "nowhere"), "nowhere: 1 problem\n  no such folder"),
    ],
)
def test_a_report_asked_for_wrongly_is_refused_and_not_written(run_directory, capsys, arguments, message):
    assert message in refusal_of(capsys, "report", "latest", *arguments)
    assert not (run_directory / "report.md").exists()


def test_a_users_template_makes_the_report(working_directory, run_directory, capsys):
    Path("own").mkdir()
    Path("own/comparison.md.j2").write_text("# Mine: {{ report.title }}\n", encoding="utf-8")
    output_of(capsys, "report", "latest", "--templates", "own")
    assert (run_directory / "report.md").read_text(encoding="utf-8") == "# Mine: tiny\n"


def test_a_misspelled_name_in_a_template_is_refused_with_file_and_name(working_directory, run_directory, capsys):
    Path("own").mkdir()
    Path("own/comparison.md.j2").write_text("{{ report.titel }}", encoding="utf-8")
    message = refusal_of(capsys, "report", "latest", "--templates", "own")
    assert message.startswith("tunebench: own/comparison.md.j2: 1 problem\n")
    assert "'titel'" in message
    assert not (run_directory / "report.md").exists()


def test_a_report_that_cannot_be_written_is_refused_with_the_place(working_directory, capsys):
    Path("file").write_text("", encoding="utf-8")
    message = refusal_of(capsys, "report", "latest", "-o", "file")
    assert message.startswith("tunebench: file/")
    assert "choose another place" in message


def test_a_bundles_report_goes_to_where_one_stands(working_directory, capsys):
    output_of(capsys, "export", "latest", "-o", "sub/f.json")
    assert output_of(capsys, "report", "sub/f.json") == "report.md\n"
    assert Path("report.md").is_file()


@pytest.mark.parametrize(
    ("part", "fields", "command", "code"),
    [
        ("records", {"case": "odd"}, "report", 2),
        ("records", {"case": "other/tiny/base"}, "show", 2),
        ("records", {"case": "inference/tiny/base/more"}, "show", 2),
        ("records", {"case": "other/tiny/base", "suite": "other"}, "show", 0),
        ("records", {"case": "other/tiny/base", "suite": "other"}, "report", 0),
        ("run", {"git": {}}, "report", 0),
        ("run", {"options": {"repeats": None}}, "report", 0),
        ("environment", {"os": {"memory_bytes": "lots"}}, "report", 0),
        ("environment", {"roofline": {"copy_bytes_per_s": "fast"}}, "report", 0),
    ],
)
def test_a_file_with_odd_facts_is_shown_or_refused_but_gives_no_traceback(
    working_directory, capsys, part, fields, command, code
):
    output_of(capsys, "export", "latest", "-o", "f.json")
    content = json.loads(Path("f.json").read_text(encoding="utf-8"))
    (content["records"][1] if part == "records" else content[part]).update(fields)
    Path("f.json").write_text(json.dumps(content), encoding="utf-8")
    assert main([command, "f.json"]) == code
    assert ("tunebench: f.json: " in capsys.readouterr().err) == (code == 2)
    if command == "report" and code == 0:
        assert "None" not in Path("report.md").read_text(encoding="utf-8")
