import json
import sys
import types

import pytest

from harness.errors import BadConfig, BadWeights
from harness.inputs import hub_datasets
from harness.inputs.hub import HubUnreachable
from harness.inputs.hub_datasets import fetch_rows
from tests.support.hub_server import Fault, in_place_of_the_hub, serving

ROWS = "datasets/org/rows"


@pytest.fixture
def served(monkeypatch, tmp_path):
    """A hub with one data set, org/rows, whose files a test puts there; the library's cache is empty."""
    with serving({ROWS: {}}) as server:
        in_place_of_the_hub(monkeypatch, server, tmp_path)
        yield server


@pytest.fixture
def put(served):
    """Puts files in the data set, in place of those before."""

    def put(files):
        served.repositories[ROWS] = {name: text.encode() for name, text in files.items()}

    return put


def jsonl(*texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def texts_of(rows):
    return {split: [row["text"] for row in split_rows] for split, split_rows in rows.splits.items()}


def problems(name="org/rows"):
    with pytest.raises(BadConfig) as caught:
        fetch_rows(name)
    return str(caught.value).split("\n  ")[1:]


def test_rows_come_with_the_commit_they_are_of(served, put):
    put({"train.jsonl": jsonl("one", "two"), "README.md": "rows"})
    rows = fetch_rows("org/rows")
    assert rows.repository == "org/rows"
    assert rows.revision == served.commit(ROWS)
    assert rows.splits == {"train": ({"text": "one"}, {"text": "two"})}


def test_a_revision_is_asked_for(served, put):
    put({"train.jsonl": jsonl("one")})
    assert fetch_rows(f"org/rows@{served.commit(ROWS)}").revision == served.commit(ROWS)
    with pytest.raises(BadWeights, match="there is no org/rows@v9"):
        fetch_rows("org/rows@v9")


@pytest.mark.parametrize("name", ["rows", "org/rows/more", "org/rows@", "/rows", ""])
def test_what_is_no_name_of_a_data_set_is_refused_with_what_one_is(served, name):
    assert problems(name) == [f"{name!r} is no data set of the hub; give ORG/NAME or ORG/NAME@REV"]
    assert served.asked == []


@pytest.mark.parametrize(
    ("paths", "split"),
    [
        (["train.jsonl"], "train"),
        (["valid.jsonl"], "valid"),
        (["validation.jsonl"], "valid"),
        (["dev.jsonl"], "valid"),
        (["Test.jsonl"], "test"),
        (["data/my_dev_set.jsonl"], "valid"),
        (["test/rows.jsonl"], "test"),
        (["train/test/rows.jsonl"], "test"),
        (["test/train.jsonl"], "train"),
        (["latest.jsonl"], "train"),
        (["train-00000-of-00002-a1.jsonl", "train-00001-of-00002-b2.jsonl"], "train"),
        (["validation/a.jsonl", "validation/b.jsonl"], "valid"),
    ],
)
def test_a_split_is_what_its_files_or_else_their_folders_are_called(put, paths, split):
    put({path: jsonl(path) for path in paths})
    assert texts_of(fetch_rows("org/rows")) == {split: paths}


def test_splits_stand_in_their_order_and_other_files_beside_them_are_not_read(put):
    put({name: jsonl(name) for name in ("test.jsonl", "dev.jsonl", "train.jsonl", "notes.jsonl")})
    rows = fetch_rows("org/rows")
    assert list(texts_of(rows).items()) == [
        ("train", ["train.jsonl"]),
        ("valid", ["dev.jsonl"]),
        ("test", ["test.jsonl"]),
    ]


def test_what_another_library_notes_of_a_data_set_holds_no_rows(put):
    put({"rows.jsonl": jsonl("one"), "dataset_infos.json": "{}"})
    assert texts_of(fetch_rows("org/rows")) == {"train": ["one"]}


@pytest.mark.parametrize(
    "paths",
    [
        ("easy/train.jsonl", "hard/train.jsonl"),
        ("train.csv", "train.jsonl"),
        ("train_chosen-0.jsonl", "train_rejected-0.jsonl"),
        ("dev.jsonl", "valid.jsonl"),
    ],
)
def test_files_that_may_be_two_versions_of_a_split_are_not_put_together(put, paths):
    put(dict.fromkeys(paths, ""))
    (problem, accepted) = problems()
    assert problem == f"{'valid' if 'dev' in paths[0] else 'train'} could be any of {paths[0]}, {paths[1]}"
    assert accepted.startswith("accepted: files or folders called train, valid, validation, val, dev, test;")


def test_several_files_called_after_no_split_are_refused_by_name(put):
    put({"a.jsonl": "", "b.csv": ""})
    assert problems()[0] == "none of a.jsonl, b.csv is called after a split"


def test_a_data_set_of_notes_alone_has_no_file_of_a_split(put):
    put({"dataset_info.json": "{}"})
    assert problems()[0] == "no file is called after a split"


def test_lines_are_read_as_they_are_and_empty_ones_are_none(put):
    put({"train.jsonl": '{"text": "a\u2028b", "n": [1]}\n\n{"text": "c"}'})
    assert fetch_rows("org/rows").splits["train"] == ({"text": "a\u2028b", "n": [1]}, {"text": "c"})


def test_a_list_of_objects_is_read(put):
    put({"test.json": '[{"text": "é"}, {"text": "b"}]'})
    assert texts_of(fetch_rows("org/rows")) == {"test": ["é", "b"]}


def test_a_table_is_read_as_text_with_line_breaks_and_without_its_byte_order_mark(put):
    put({"train.csv": '\ufefftext,n\n"a, ""b""\r\nc",1\n'})
    assert fetch_rows("org/rows").splits["train"] == ({"text": 'a, "b"\r\nc', "n": "1"},)


def test_every_unreadable_row_is_named_at_once_by_file_and_line(put):
    put(
        {
            "train.jsonl": '{"text": "a"}\n\nnonsense\n[1]\n',
            "valid.csv": "a,b\n1,2\n1\n1,2,3\n",
            "test.json": '[{"a": 1}, "text", null, 7]',
        }
    )
    problem_texts = problems()
    assert problem_texts[0].startswith("train.jsonl: line 3 is not JSON: Expecting value")
    assert problem_texts[1:] == [
        "train.jsonl: line 4 is a list; give an object",
        "valid.csv: line 3 has not 2 fields",
        "valid.csv: line 4 has not 2 fields",
        "test.json: row 2 is a string; give an object",
        "test.json: row 3 is null; give an object",
        "test.json: row 4 is a number; give an object",
    ]


def test_a_file_of_another_shape_or_none_at_all_is_named(served, put):
    put({"train.json": '{"data": []}', "test.json": "[", "valid.csv": 'a\n"open'})
    served.repositories[ROWS]["dev.csv"] = served.repositories[ROWS].pop("valid.csv")
    train, valid, test = problems()
    assert train == "train.json: it is an object; give a list of objects"
    assert valid.startswith("dev.csv: cannot be read: unexpected end of data")
    assert test.startswith("test.json: cannot be read: Expecting value")


def test_a_file_that_is_not_text_is_named(served):
    served.repositories[ROWS] = {"train.jsonl": b"\xff\xfe"}
    assert problems()[0].startswith("train.jsonl: cannot be read: 'utf-8' codec")


def test_many_problems_are_counted_after_ten(put):
    put({"train.jsonl": "1\n" * 12})
    problem_texts = problems()
    assert problem_texts[9:] == ["train.jsonl: line 10 is a number; give an object", "and 2 more"]


def test_a_split_without_rows_is_named(put):
    put({"train.jsonl": jsonl("a"), "test.jsonl": "\n"})
    assert problems() == ["test has no rows"]


@pytest.fixture
def pyarrow(monkeypatch):
    """Stands for pyarrow: a file is JSON, and the calls are the library's."""
    package, parquet = types.ModuleType("pyarrow"), types.ModuleType("pyarrow.parquet")
    package.parquet = parquet
    parquet.read_table = lambda path: types.SimpleNamespace(to_pylist=lambda: json.loads(path.read_text()))
    monkeypatch.setitem(sys.modules, "pyarrow", package)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


def test_parquet_is_read_by_pyarrow_piece_after_piece(pyarrow, put):
    put({"data/train-1.parquet": '[{"text": "b"}]', "data/train-0.parquet": '[{"text": "a"}]'})
    assert texts_of(fetch_rows("org/rows")) == {"train": ["a", "b"]}


def test_parquet_that_pyarrow_cannot_read_is_named(pyarrow, put):
    put({"train.parquet": "nonsense"})
    assert problems()[0].startswith("train.parquet: cannot be read: Expecting value")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, put):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    put({"train.parquet": "PAR1"})
    assert problems() == ["train.parquet: cannot be read: Parquet needs pyarrow: pip install 'tunebench[datasets]'"]


@pytest.mark.parametrize("by_commit", [False, True])
def test_without_a_hub_what_was_downloaded_before_is_read(served, put, by_commit):
    put({"train.jsonl": jsonl("one")})
    name = f"org/rows@{served.commit(ROWS)}" if by_commit else "org/rows"
    rows = fetch_rows(name)
    served.faults[ROWS] = Fault(status=500)
    assert fetch_rows(name) == rows


def test_without_a_hub_and_anything_downloaded_the_hub_is_missed(served):
    served.faults[ROWS] = Fault(status=500)
    with pytest.raises(HubUnreachable, match="not reachable for org/rows"):
        fetch_rows("org/rows")


def test_a_hub_that_refuses_is_not_passed_over(served, put):
    put({"train.jsonl": jsonl("one")})
    fetch_rows("org/rows")
    served.faults[ROWS] = Fault(status=401)
    with pytest.raises(BadWeights, match="org/rows is private"):
        fetch_rows("org/rows")


def test_damaged_parquet_never_reaches_its_reader(served, put):
    put({"train.parquet": "PAR1"})
    served.faults[f"{ROWS}/train.parquet"] = Fault(flipped=True)
    with pytest.raises(BadWeights, match=r"train\.parquet has sha256"):
        fetch_rows("org/rows")
    assert hub_datasets.hub.cached_data("org/rows", None, ["*.parquet"]) is None
