import json
from pathlib import Path

import pytest

from tests.support.command_line import output_of, refusal_of
from tests.support.samples import (
    bundle,
    failed,
    full_record,
    stored,
)


@pytest.mark.parametrize("form", ["md", "json"])
def test_an_exported_run_gives_the_same_report(working_directory, run_directory, capsys, form):
    stored(
        working_directory / "results", bundle(full_record(), failed("inference/tiny/r8"), id="full", started_at="2027")
    )
    assert output_of(capsys, "export", "latest", "-o", "f.json") == ""
    output_of(capsys, "report", "latest", "--format", form, "-o", "from-run")
    output_of(capsys, "report", "f.json", "--format", form, "-o", "from-bundle")
    made = [Path(place, f"report.{form}").read_text(encoding="utf-8") for place in ("from-run", "from-bundle")]
    assert len(made[0]) > 1000
    report_of_run, report_of_bundle = (
        text.replace(path, "PATH") for text, path in zip(made, ("../results/full", "../f.json"), strict=True)
    )
    assert report_of_run == report_of_bundle


def test_an_export_to_standard_output_is_the_bundle(working_directory, capsys):
    bundle = json.loads(output_of(capsys, "export", "latest"))
    assert bundle["schema"] == 1
    assert bundle["run"]["id"] == "20260102-030405-abcd"
    assert [case_record["case"] for case_record in bundle["records"]] == [
        "evaluation/tiny/base",
        "inference/tiny/base",
        "inference/tiny/r8",
    ]
    assert bundle["records"][2]["metrics"]["decode_tokens_per_s"]["samples"] == [[20], [22], [24], [20], [22], [24]]


def test_an_unknown_export_format_is_refused(working_directory, capsys):
    assert "unknown export format 'xml'. Known: csv, " in refusal_of(capsys, "export", "latest", "--format", "xml")


def test_an_export_that_cannot_be_written_is_refused_with_the_place(working_directory, capsys):
    message = refusal_of(capsys, "export", "latest", "-o", "results")
    assert message.startswith("tunebench: results: ")
    assert "choose another place" in message
