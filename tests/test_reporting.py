"""Stored runs to reports.

`TUNEBENCH_UPDATE_GOLDENS=1 pytest tests/test_reporting.py` writes the golden anew; read its diff line by line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import BadResultFile, UnknownName
from harness.reporting import build, text, write
from tests.samples import bundle, full_record, grid, record, small_run, stored

GOLDEN = Path(__file__).parent / "golden" / "comparison.md"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path):
    (directory,) = stored(tmp_path / "results", small_run())
    return directory


def test_a_stored_run_becomes_the_report_that_was_read_and_approved(run):
    made = text(build([run]), "md")
    if os.environ.get("TUNEBENCH_UPDATE_GOLDENS"):
        GOLDEN.write_text(made, encoding="utf-8")
    assert made == GOLDEN.read_text(encoding="utf-8")


def test_rendering_twice_gives_the_same_bytes(run):
    for form in ("md", "json"):
        assert text(build([run]), form) == text(build([run]), form)


def test_no_hash_seed_changes_a_byte(tmp_path):
    """Two processes that order their sets differently write one report."""
    (directory,) = stored(tmp_path, bundle(*small_run().records, full_record(), full_record("evaluation/tiny/r8")))
    program = (
        "import sys; from harness.reporting import *; "
        "sys.stdout.buffer.write(text(build([Path(sys.argv[1])]), 'md').encode())"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program, directory],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert made[0] == made[1]
    assert made[0].decode() == text(build([directory]), "md")


def test_the_json_holds_the_cells_of_the_markdown(run):
    report = build([run])
    found = json.loads(text(report, "json"))
    (section,) = [its for its in found["sections"] if its["title"] == "Inference"]
    rows = [dict(zip(section["table"]["columns"], cells, strict=True)) for cells in section["table"]["rows"]]
    assert rows == grid(text(report, "md"), "Inference")
    assert found["headline"] == "2 of 3 cases ended ok. Inference: 1 of 2 rows name a winner."


def test_runs_keep_the_order_they_were_named_in(tmp_path):
    first, second = stored(tmp_path, bundle(record(), id="b"), bundle(record(), id="a"))
    assert [its["run"] for its in grid(text(build([first, second]), "md"), "Runs")] == ["b", "a"]
    assert [its["run"] for its in grid(text(build([second, first]), "md"), "Runs")] == ["a", "b"]


def test_a_torn_record_is_refused_by_name(run):
    file = run / "inference+tiny+r8.json"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(BadResultFile, match=r"inference\+tiny\+r8\.json: not a result of this program"):
        build([run])


def test_an_unknown_format_is_refused_with_those_that_are_known(run):
    with pytest.raises(UnknownName, match=r"unknown report format 'pdf'\. Known: json, md\."):
        text(build([run]), "pdf")


def test_a_users_template_gets_the_report(run, tmp_path):
    (tmp_path / "comparison.md.j2").write_text("{{ report.headline }}", encoding="utf-8")
    assert text(build([run]), "md", own_templates=tmp_path) == (
        "2 of 3 cases ended ok. Inference: 1 of 2 rows name a winner."
    )


def test_a_report_is_written_where_it_should_go(run, tmp_path):
    path = tmp_path / "some" / "where" / "report.md"
    assert write(build([run]), path) == path
    assert path.read_text(encoding="utf-8") == GOLDEN.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]
