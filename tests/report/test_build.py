"""Stored runs to reports.

`TUNEBENCH_UPDATE_GOLDENS=1 pytest tests/report/test_build.py` writes the golden anew; read its diff line by line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from harness import __version__
from harness.errors import BadConfig, BadResultFile, HarnessError, UnknownName
from harness.report.build import KINDS, Run, build, files, read, suits, write
from harness.report.render.stamp import provenance_of
from tests.support.samples import bundle, full_record, record, small_run, stored

GOLDEN = Path(__file__).parents[1] / "golden" / "comparison.md"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    (directory,) = stored(tmp_path / "results", small_run())
    return directory


def text(*runs, kind="comparison", form="md", **options):
    """The page of a report that lies beside its first run."""
    report = build(kind, read(runs), beside=runs[0])
    (page,) = [content for name, content in files(report, [form], **options) if "/" not in name]
    return page.decode()


def everything():
    """A run with each suite, whose records use every field there is."""
    return bundle(*small_run().records, full_record(), full_record("evaluation/tiny/r8"))


def test_a_stored_run_becomes_the_report_that_was_read_and_approved(run):
    made = text(run).replace(__version__, "VERSION").replace(mpl.__version__, "VERSION")
    if os.environ.get("TUNEBENCH_UPDATE_GOLDENS"):
        GOLDEN.write_text(made, encoding="utf-8")
    assert made == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_of_every_state_of_a_run(tmp_path, kind):
    """Of no record, of failures alone, of all there is."""
    states = (bundle(id="none"), bundle(small_run().records[0], id="failed"), everything())
    for directory in stored(tmp_path, *states):
        if not suits(kind, read([directory])):
            with pytest.raises(HarnessError, match=f"--kind {kind}: the runs hold .*nothing for it"):
                text(directory, kind=kind)
            continue
        for form in ("md", "html", "json", "comment"):
            assert text(directory, kind=kind, form=form)


def test_no_hash_seed_locale_or_time_zone_changes_a_byte(tmp_path):
    """Two processes that order their sets differently, and count and date otherwise, write the same files."""
    (directory,) = stored(tmp_path, everything())
    program = (
        "import hashlib, sys; from harness.report.build import *; runs = read([Path(sys.argv[1])])\n"
        "for kind in KINDS:\n"
        "    for name, content in files(build(kind, runs, beside=runs[0].path), ['md', 'html', 'json']):\n"
        "        print(kind, name, hashlib.sha256(content).hexdigest())"
    )
    surroundings = (
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
        {"PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo"},
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program, directory],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for variables in surroundings
    ]
    assert made[0] == made[1]
    assert {line.split()[0] for line in made[0].splitlines()} == set(KINDS)


def test_the_json_holds_every_cell_with_its_numbers(run):
    content = json.loads(text(run, form="json"))
    (section,) = [candidate for candidate in content["sections"] if candidate["name"] == "inference"]
    cell = section["tables"][0]["rows"][1][2]
    assert cell["text"] == "22.00 [20.00, 24.00] token/s (n=6)"
    assert (cell["value"], cell["low"], cell["high"], cell["unit"]) == (22.0, 20.0, 24.0, "token/s")
    assert cell["values"] == [20.0, 20.0, 22.0, 22.0, 24.0, 24.0]
    verdict = section["tables"][0]["rows"][1][3]
    assert (verdict["verdict"], verdict["winners"]) == ("better", ["tiny/r8"])


def test_a_report_says_what_it_was_made_from(tmp_path):
    first, second = stored(tmp_path, bundle(record(), id="b"), bundle(record(), id="a"))
    provenance = provenance_of(text(first, second), "md")
    assert [(source.run, source.path, source.schema) for source in provenance.sources] == [
        ("b", ".", 1),
        ("a", "../a", 1),
    ]
    assert len({source.sha256 for source in provenance.sources}) == 2
    assert (provenance.policy_sha256, provenance.templates_sha256) == (None, None)


def test_a_torn_record_is_refused_by_name(run):
    file = run / "inference+tiny+r8.json"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(BadResultFile, match=r"inference\+tiny\+r8\.json: not a result of this program"):
        read([run])


def test_an_unknown_kind_or_format_is_refused_with_those_that_are_known(run):
    with pytest.raises(UnknownName, match=r"unknown report format 'pdf'\. Known: comment, html, json, md\."):
        text(run, form="pdf")
    with pytest.raises(UnknownName, match=r"unknown report kind 'poem'\. Known: all, base-vs-tuned, "):
        text(run, kind="poem")


def test_a_users_template_gets_the_report_and_the_rest_is_ours(run, tmp_path):
    (tmp_path / "comparison.md.j2").write_text("{{ report.headline[0] }}", encoding="utf-8")
    assert text(run, templates=tmp_path) == "2 of 3 cases ended ok."
    assert text(run, kind="inference", templates=tmp_path) == text(run, kind="inference")


def test_a_folder_of_templates_that_is_not_there_is_refused(run, tmp_path):
    with pytest.raises(BadConfig, match="no such folder"):
        text(run, templates=tmp_path / "none")


def test_a_report_is_written_whole_with_its_figures(tmp_path):
    (directory,) = stored(tmp_path / "results", everything())
    report = build("training", read([directory]), beside=tmp_path / "out")
    paths = write(report, tmp_path / "out", ["md", "html"])
    assert [path.name for path in paths] == ["report-training.md", "report-training.html"]
    figures = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"training_analysis.svg", "training_analysis.png", "loss_curve_detailed.svg"} <= figures
    page = paths[0].read_text(encoding="utf-8")
    assert "](figures/training_analysis.svg)" in page
    assert all(f"figures/{name}" in page for name in figures if name.endswith(".svg"))
    assert "data:image/svg+xml;base64," in paths[1].read_text(encoding="utf-8")


def test_markdown_is_shortened_to_what_a_summary_or_a_comment_holds(tmp_path):
    metric = full_record().metrics["step_s"]
    cases = [
        record(
            f"{suite}/model-{number}/adapter-{number}",
            notes=(f"{'much to say ' * 40}{number}",),
            metrics={"step_s": metric},
        )
        for suite in ("training", "evaluation", "inference")
        for number in range(1000)
    ]
    report = build("comparison", [Run(path=tmp_path, bundle=bundle(*cases))], beside=tmp_path)
    made = dict(files(report, ["md", "comment"]))
    summary, comment = (made[name].decode() for name in ("report.md", "report.comment.md"))
    assert len(summary.encode()) <= 900_000
    assert len(comment) <= 60_000
    assert "report.html" in comment
    assert "SHORTENED" in comment
