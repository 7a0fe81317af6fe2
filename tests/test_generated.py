"""The generated files are what the code makes; the schema accepts what `store` writes, and nothing broken."""

import json
from pathlib import Path

import jsonschema
import pytest

from harness.generated import FILES
from harness.results import codec
from harness.results.metrics import DEFINITIONS
from harness.results.records import Status
from tests.support.samples import bundle, environment, failed, full_record, record, small_run, stored

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "harness" / "schema.json").read_text(encoding="utf-8"))
ANYTHING = jsonschema.Draft202012Validator(SCHEMA)


def only(name):
    """A validator of one kind of file."""
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def as_json(value):
    return json.loads(codec.encode(value))


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_what_the_code_makes(name):
    found = (ROOT / name).read_text(encoding="utf-8")
    assert found == FILES[name](), f"{name} is out of date; run: python -m harness.generated"


def test_the_page_of_metrics_has_a_row_a_metric_with_all_it_is():
    lines = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(DEFINITIONS)
    assert {len(row) for row in rows} == {6}
    assert all(all(row) for row in rows)
    (decode,) = [row for row in rows if row[0] == "`decode_tokens_per_s`"]
    assert decode[1:4] == ["token/s", "higher", "timing"]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]) >= {"Bundle", "RunFile", "RecordFile", "Record", "Metric", "Key", "Environment"}


RUNS = {
    "full": bundle(full_record(), full_record("evaluation/tiny/r8"), small_run().records[1]),
    "every status": bundle(*(failed(f"inference/{s.value}/base", status=s) for s in Status if s is not Status.OK)),
    "bare": bundle(record(key=None), environment=None, git=None, finished_at=None, options={}, command=()),
    "paired": bundle(paired_with="20260101-000000-0000", warnings=("one", "two")),
    "unknown machine": bundle(
        environment=environment(device={}, os={"cores": None}, packages={"mlx": None}, compiler=None)
    ),
}


@pytest.mark.parametrize("run_bundle", RUNS.values(), ids=RUNS)
def test_every_stored_file_is_valid(run_bundle, tmp_path):
    (directory,) = stored(tmp_path, run_bundle)
    files = sorted(directory.iterdir())
    assert len(files) == 1 + len(run_bundle.records)
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        ANYTHING.validate(content)
        only("RunFile" if file.name == "run.json" else "RecordFile").validate(content)


@pytest.mark.parametrize("run_bundle", RUNS.values(), ids=RUNS)
def test_every_bundle_is_valid(run_bundle):
    ANYTHING.validate(as_json(run_bundle))
    only("Bundle").validate(as_json(run_bundle))


def broken(content, path, value):
    """*content* with the field at *path* set to *value*, or taken out where that is `...`."""
    *way, last = path
    target = content
    for step in way:
        target = target[step]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema"], "1"),
        (["schema"], ...),
        (["run_id"], ...),
        (["record"], ...),
        (["record", "case"], None),
        (["record", "suite"], ...),
        (["record", "status"], "fine"),
        (["record", "reason"], 5),
        (["record", "wall_s"], "1.5 s"),
        (["record", "key", "tokenizer"], ...),
        (["record", "key", "weights", "sha256"], None),
        (["record", "metrics", "step_s", "samples"], 0.5),
        (["record", "metrics", "step_s", "samples", 0], 0.5),
        (["record", "metrics", "step_s", "samples", 0, 0], "0.5"),
        (["record", "metrics", "step_s", "samples", 0, 0], None),
        (["record", "metrics", "step_s", "better"], "bigger"),
        (["record", "metrics", "step_s", "kind"], "guess"),
        (["record", "metrics", "step_s", "unit"], ...),
        (["record", "series", "val_loss", "y", 0], "4.0"),
        (["record", "outputs", 0, "text"], None),
        (["record", "artifacts", 0, "bytes"], 1.5),
    ],
    ids=str,
)
def test_a_broken_record_is_not_valid(path, value):
    good = {"schema": 1, "run_id": "x", "record": as_json(full_record())}
    assert ANYTHING.is_valid(good)
    assert not ANYTHING.is_valid(broken(good, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["run"], ...),
        (["run"], None),
        (["run", "id"], ...),
        (["run", "started_at"], None),
        (["run", "command"], "pytest suites/"),
        (["environment"], ...),
        (["environment", "packages", "mlx"], 0.31),
        (["environment", "compiler"], ...),
    ],
    ids=str,
)
def test_a_broken_head_is_not_valid_in_a_run_file_nor_in_a_bundle(path, value):
    head = {name: value for name, value in as_json(bundle()).items() if name != "records"}
    assert ANYTHING.is_valid(head)
    assert not ANYTHING.is_valid(broken(head, path, value))
    assert not ANYTHING.is_valid(broken(as_json(bundle(full_record())), path, value))


BROKEN_RECORDS = [(["records"], "none"), (["records", 0, "status"], "fine"), (["records", 0, "metrics"], ...)]


@pytest.mark.parametrize(("path", "value"), BROKEN_RECORDS, ids=str)
def test_a_bundle_with_a_broken_record_is_not_a_valid_bundle(path, value):
    assert not only("Bundle").is_valid(broken(as_json(bundle(full_record())), path, value))


@pytest.mark.parametrize(("path", "value"), BROKEN_RECORDS, ids=str)
def test_a_bundle_with_a_broken_record_is_not_valid_at_all(path, value):
    assert not ANYTHING.is_valid(broken(as_json(bundle(full_record())), path, value))
