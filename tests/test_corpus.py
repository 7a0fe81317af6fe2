"""The script that writes what the program prints and writes, at its smallest size."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SMALL = ("--only", "gate-terminal/worse-80", "--only", "export-parquet/tuned")


def corpus(*arguments, **variables):
    command = [sys.executable, HERE / "corpus.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "first"
    assert corpus(out, *SMALL, PYTHONHASHSEED="1").returncode == 0
    return out


def test_two_runs_in_other_places_with_other_hash_seeds_agree(first, tmp_path):
    elsewhere = tmp_path / "a longer place for temporary files"
    elsewhere.mkdir()
    process = corpus(tmp_path / "second", *SMALL, "--against", first, PYTHONHASHSEED="2", TMPDIR=str(elsewhere))
    assert (process.returncode, process.stdout) == (0, "the same, byte for byte\n")


def test_a_transcript_holds_arguments_exit_code_and_output(first):
    lines = (first / "gate-terminal/worse-80/transcript.txt").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == [
        "$ tunebench gate runs/gate-base.json runs/gate-worse.json",
        "exit code: 1",
        "--- stdout",
    ]
    assert lines[-2].startswith("verdict: regression")


def test_the_manifest_names_every_file(first):
    lines = (first / "MANIFEST").read_text(encoding="utf-8").splitlines()
    written = {path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()}
    assert {line.split("  ")[1] for line in lines} == written - {"MANIFEST"}


def test_of_parquet_the_table_is_kept_and_not_the_bytes(first):
    text = (first / "export-parquet/tuned/out.parquet.txt").read_text(encoding="utf-8")
    schema, rows = text.split('{"', 1)
    assert "metric: string" in schema
    assert json.loads('{"' + rows.splitlines()[0])["run"] == "20260102-030405-abcd"


def test_what_differs_is_shown_from_shortly_before_the_difference(first, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(first, other)
    manifest = other / "MANIFEST"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("  gate", "0  gate"), encoding="utf-8")
    transcript = other / "gate-terminal/worse-80/transcript.txt"
    text = transcript.read_text(encoding="utf-8")
    transcript.write_text(text.replace("exit 1", "exit 0"), encoding="utf-8")
    process = corpus(tmp_path / "again", *SMALL, "--against", other)
    assert process.returncode == 1
    heading, old, new = process.stdout.splitlines()
    assert heading == "gate-terminal/worse-80/transcript.txt: differs"
    assert "- " in old
    assert "exit 0: something got worse" in old
    assert "+ " in new
    assert "exit 1: something got worse" in new


def test_an_earlier_folder_may_hold_more_examples(first, tmp_path):
    assert corpus(tmp_path / "less", *SMALL[:2], "--against", first).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp_path}/out", "--only", "none/such"), "--only none/such: no example has such a name; --list prints"),
        ((), "OUT is missing; give a folder to write to"),
        (("{first}",), "is not empty; remove it, or give another folder"),
        (("{tmp_path}/out", "--against", "{tmp_path}"), "holds no MANIFEST; give a folder that this script wrote"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_do(first, tmp_path, arguments, message):
    process = corpus(*(word.format(first=first, tmp_path=tmp_path) for word in arguments))
    assert process.returncode == 2
    assert message in process.stderr
    assert not (tmp_path / "out").exists()


def test_names_are_listed_once_each():
    names = corpus("--list").stdout.splitlines()
    assert len(names) == len(set(names))
    assert {"report-all/S0", "report-all/S4", "gate-files/turns", "history/options", "pytest/help-80"} <= {*names}
