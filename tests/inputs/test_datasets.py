import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import BadConfig, UnknownName
from harness.inputs import datasets, hub_datasets
from harness.inputs.datasets import Dataset, check_masking, check_size, learnable_texts, prompts_of, read_dataset
from harness.inputs.prompts import SCENARIOS, Prompt, read_prompts

DATASETS = ["aphorisms", "mlqa"]
ROW = '{"messages": [{"role": "user", "content": "%s?"}, {"role": "assistant", "content": "%s!"}]}\n'


def normalized(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def turns(rows, role):
    return [normalized(m["content"]) for row in rows for m in row["messages"] if m["role"] == role]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A small set of fixtures in place of the one that ships."""
    for module in ("datasets", "prompts"):
        monkeypatch.setattr(f"harness.inputs.{module}.bundled", lambda folder: tmp_path / folder)
    for name in ("b", "a"):
        directory = tmp_path / "fixtures" / "data" / name
        directory.mkdir(parents=True)
        for split in ("train", "valid", "test"):
            (directory / f"{split}.jsonl").write_text(ROW % ((f"{name}-{split}",) * 2))
    prompts = tmp_path / "fixtures" / "prompts"
    prompts.mkdir()
    for scenario in SCENARIOS:
        (prompts / f"{scenario}.jsonl").write_text(f'{{"id": "{scenario}-1", "prompt": "ask {scenario}"}}\n')
    (prompts / "evaluation-a.jsonl").write_text('{"id": "a-1", "prompt": "secret"}\n')
    return tmp_path / "fixtures"


def numbered(count, first=0):
    return [{"text": f"t{number}"} for number in range(first, first + count)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"path:{path}"


def said(dataset):
    return {split: [row["text"] for row in rows] for split, rows in dataset.splits.items()}


def everything(dataset):
    return [text for texts_of_split in said(dataset).values() for text in texts_of_split]


def sizes(dataset):
    return [len(rows) for rows in dataset.splits.values()]


@pytest.fixture
def directory(tmp_path):
    """Three splits of 6, 4 and 3 texts, and what names them."""
    for split, (first, count) in {"train": (0, 6), "valid": (10, 4), "test": (20, 3)}.items():
        write(tmp_path / f"{split}.jsonl", numbered(count, first))
    return f"path:{tmp_path}"


# --- what ships ---


@pytest.mark.parametrize(
    ("name", "rows"),
    [("aphorisms", {"train": 80, "valid": 15, "test": 5}), ("mlqa", {"train": 422, "valid": 53, "test": 53})],
)
def test_the_shipped_datasets_have_their_promised_size(name, rows):
    dataset = read_dataset(name)
    assert {split: len(split_rows) for split, split_rows in dataset.splits.items()} == rows
    assert dataset.facts()["rows"] == rows


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_is_a_question_and_its_answer(name):
    for row in (row for rows in read_dataset(name).splits.values() for row in rows):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"].strip() for message in row["messages"])


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_no_question_and_no_answer_stands_twice_in_one_split_or_in_two(name, role):
    """So that nothing is tested on what was trained; case and punctuation make no difference."""
    counts = Counter(text for rows in read_dataset(name).splits.values() for text in turns(rows, role))
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", DATASETS)
def test_the_evaluation_asks_nothing_that_was_trained(name):
    prompts = read_prompts(f"evaluation-{name}")
    questions = [normalized(prompt.text) for prompt in prompts]
    assert len(set(questions)) == len({prompt.id for prompt in prompts}) == 5
    known_questions = {text for rows in read_dataset(name).splits.values() for text in turns(rows, "user")}
    assert [text for text in questions if text in known_questions] == []


# --- how it is read ---


def test_a_split_holds_the_rows_of_its_own_file(shipped):
    splits = read_dataset("a").splits
    assert {split: turns(rows, "user") for split, rows in splits.items()} == {
        "train": ["a train"],
        "valid": ["a valid"],
        "test": ["a test"],
    }


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_dataset_is_known_by_every_byte_of_it(shipped, split):
    dataset = read_dataset("a")
    assert read_dataset("a").facts() == dataset.facts()
    path = shipped / "data" / "a" / f"{split}.jsonl"
    path.write_text(path.read_text().replace("!", "."))
    assert read_dataset("a").facts()["sha256"] != dataset.facts()["sha256"]
    assert re.fullmatch("[0-9a-f]{64}", dataset.sha256)
    assert dataset.facts()["name"] == "a"


def test_a_stand_in_learns_from_training_rows_and_scenarios_but_not_from_what_is_tested(shipped):
    assert list(learnable_texts()) == ["a-train?", "a-train!", "b-train?", "b-train!", *(f"ask {s}" for s in SCENARIOS)]


def test_an_unknown_dataset_is_refused_with_those_there_are(shipped):
    with pytest.raises(UnknownName, match=r"unknown dataset 'c'.*Known: a, b\."):
        read_dataset("c")


def test_a_folder_outside_the_shipped_ones_is_no_dataset_of_ours(shipped):
    for name in ("../prompts", str(shipped), ""):
        with pytest.raises(UnknownName, match="path:FILE_OR_DIR and hf:ORG/NAME work too"):
            read_dataset(name)


def test_a_directory_holds_its_splits(directory):
    dataset = read_dataset(directory)
    assert said(dataset) == {
        "train": ["t0", "t1", "t2", "t3", "t4", "t5"],
        "valid": ["t10", "t11", "t12", "t13"],
        "test": ["t20", "t21", "t22"],
    }
    assert (dataset.form, dataset.split_rows, dataset.split_seed, dataset.revision) == ("text", None, None, None)
    assert set(dataset.facts()) == {"name", "form", "sha256", "rows"}


def test_of_given_splits_the_first_rows_are_taken(directory):
    dataset = read_dataset(directory, (2, 4, 1))
    assert said(dataset) == {"train": ["t0", "t1"], "valid": ["t10", "t11", "t12", "t13"], "test": ["t20"]}
    assert dataset.facts()["split_rows"] == [2, 4, 1]
    assert dataset.sha256 == read_dataset(directory).sha256


def test_rows_that_a_split_does_not_have_are_not_given(directory):
    with pytest.raises(BadConfig) as refusal:
        read_dataset(directory, (7, 4, 9))
    assert str(refusal.value) == (
        f"{directory}: 2 problems\n"
        "  split_rows asks for 7 rows of train, and there are 6; ask for these or fewer\n"
        "  split_rows asks for 9 rows of test, and there are 3; ask for these or fewer"
    )


def test_a_split_that_is_missing_is_named_with_what_to_add(directory, tmp_path):
    (tmp_path / "valid.jsonl").unlink()
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(BadConfig) as refusal:
        read_dataset(directory)
    remedy = f"add it, or name one file, which is split: path:{tmp_path}/NAME.jsonl"
    assert str(refusal.value).split("\n")[1:] == [
        f"  there is no valid.jsonl; {remedy}",
        f"  there is no test.jsonl; {remedy}",
    ]


def test_a_form_is_that_of_all_splits(directory, tmp_path):
    (tmp_path / "test.jsonl").write_text(ROW % ("q", "a"))
    with pytest.raises(
        BadConfig, match=r"test\.jsonl: 1 problem\n  line 1: has messages, but rows before it have text"
    ):
        read_dataset(directory)


def test_an_unreadable_row_is_named_by_file_and_line(directory, tmp_path):
    with (tmp_path / "valid.jsonl").open("a") as file:
        file.write('{"text": ""}\nnonsense\n')
    with pytest.raises(BadConfig, match=r"valid\.jsonl: 2 problems\n  line 5: text is empty\n  line 6: not JSON"):
        read_dataset(directory)


def test_one_file_is_split_for_good(tmp_path):
    """15 and 5 % of 45 rows are 6 and 2; random.Random(0) draws its largest numbers for rows 17 and 29."""
    dataset = read_dataset(write(tmp_path / "all.jsonl", numbered(45)))
    assert sizes(dataset) == [37, 6, 2]
    assert said(dataset)["test"] == ["t29", "t17"]
    assert sorted(everything(dataset)) == sorted(row["text"] for row in numbered(45))
    assert said(dataset)["train"] != [f"t{number}" for number in range(37)]
    assert (dataset.facts()["split_seed"], "split_rows" in dataset.facts()) == (0, False)


@pytest.mark.parametrize(("rows", "shares"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (100, [80, 15, 5])])
def test_every_split_of_one_file_has_a_row(tmp_path, rows, shares):
    assert sizes(read_dataset(write(tmp_path / "all.jsonl", numbered(rows)))) == shares


def test_one_file_is_split_as_asked_without_a_row_in_two_splits(tmp_path):
    dataset = read_dataset(write(tmp_path / "all.jsonl", numbered(10)), (4, 3, 2))
    assert sizes(dataset) == [4, 3, 2]
    assert len(set(everything(dataset))) == 9
    assert dataset.facts()["split_rows"] == [4, 3, 2]


@pytest.mark.parametrize(
    ("rows", "split_rows", "problem"),
    [
        (2, None, "2 rows cannot be split; give 3 or more: to train, validate and test on"),
        (10, (8, 2, 1), r"split_rows asks for 8 \+ 2 \+ 1 = 11 rows, and there are 10; ask for fewer"),
        (10, (8, 0, 2), "split_rows asks for 8, 0, 2 rows; give 1 or more of each split"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused_with_the_numbers(tmp_path, rows, split_rows, problem):
    name = write(tmp_path / "all.jsonl", numbered(rows))
    with pytest.raises(BadConfig, match=f"all.jsonl: 1 problem\n  {problem}$"):
        read_dataset(name, split_rows)


def test_given_splits_are_not_emptied(directory):
    with pytest.raises(BadConfig, match="split_rows asks for 4, 0, 2 rows; give 1 or more of each split"):
        read_dataset(directory, (4, 0, 2))


def test_the_same_rows_split_otherwise_are_other_data(directory, tmp_path):
    everything = b"".join((tmp_path / f"{split}.jsonl").read_bytes() for split in ("train", "valid", "test"))
    (tmp_path / "all.jsonl").write_bytes(everything)
    from_directory, drawn = (read_dataset(name).facts() for name in (directory, f"path:{tmp_path}/all.jsonl"))
    assert from_directory["sha256"] == drawn["sha256"]
    assert {**from_directory, "name": ""} != {**drawn, "name": "", "rows": from_directory["rows"]}


@pytest.mark.parametrize(
    ("name", "problem"), [("path:", "'path:' names no file"), ("path:/none/x.jsonl", "it cannot be read: No such file")]
)
def test_a_place_where_nothing_is_is_refused(name, problem):
    with pytest.raises(BadConfig, match=problem):
        read_dataset(name)


def test_no_user_s_name_gets_into_a_record(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path.parent)
    assert read_dataset(directory).facts()["name"] == f"path:~/{tmp_path.name}"
    assert read_dataset(directory).name == directory


def test_a_tilde_is_the_home_directory(directory, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sizes(read_dataset("path:~/train.jsonl")) == [4, 1, 1]


# --- from the hub ---


@dataclass
class Hub:
    """In place of the module that fetches."""

    splits: dict
    asked: list

    def fetch_rows(self, name):
        self.asked.append(name)
        return SimpleNamespace(repository="org/name", revision="c0ffee", splits=self.splits)


@pytest.fixture
def hub(monkeypatch):
    hub = Hub({"train": tuple(numbered(5)), "valid": tuple(numbered(2, 5)), "test": tuple(numbered(1, 9))}, [])
    monkeypatch.setattr(hub_datasets, "fetch_rows", hub.fetch_rows)
    datasets._read_from_hub.cache_clear()
    return hub


def test_rows_of_the_hub_are_known_by_their_revision(hub):
    dataset = read_dataset("hf:org/name@v1", (3, 2, 1))
    assert hub.asked == ["org/name@v1"]
    assert said(dataset) == {"train": ["t0", "t1", "t2"], "valid": ["t5", "t6"], "test": ["t9"]}
    facts = dataset.facts()
    assert (facts["name"], facts["revision"], facts["split_rows"]) == ("hf:org/name@v1", "c0ffee", [3, 2, 1])
    assert re.fullmatch("[0-9a-f]{64}", facts["sha256"])
    assert read_dataset("hf:org/name@v1").splits["train"][0] == {"text": "t0"}
    assert hub.asked == ["org/name@v1"]  # once, however often it is read
    hub.splits["test"] = ({"text": "other"},)
    assert read_dataset("hf:org/name@v2").sha256 != facts["sha256"]


def test_rows_of_the_hub_without_splits_are_split(hub):
    hub.splits = {"train": tuple(numbered(20))}
    assert sizes(read_dataset("hf:org/name")) == [16, 3, 1]
    assert read_dataset("hf:org/name").split_seed == 0


def test_a_split_that_the_hub_lacks_is_named_with_those_it_has(hub):
    del hub.splits["test"]
    with pytest.raises(BadConfig, match=r"hf:org/name: 1 problem\n  there is no split test; it has train, valid;"):
        read_dataset("hf:org/name")


def test_an_unreadable_row_of_the_hub_is_named_by_split_and_number(hub):
    hub.splits["valid"] = ({"text": "t"}, {"text": None})
    with pytest.raises(BadConfig, match=r"hf:org/name: 1 problem\n  valid row 2: text is None"):
        read_dataset("hf:org/name")


# --- what is done with it ---


def of(form, rows=(), **fields):
    splits = {split: tuple(rows) for split in ("train", "valid", "test")}
    return Dataset(**{"name": "mine", "form": form, "sha256": "00", "splits": splits, "numbers": {}, **fields})


def test_a_batch_is_no_larger_than_the_rows_to_train_on():
    check_size(of("text", numbered(4)), 4)
    with pytest.raises(BadConfig) as refusal:
        check_size(of("text", numbered(4)), 5)
    remedy = "give 5 rows or more, or a batch_size of 4 or less"
    assert str(refusal.value) == f"mine: 1 problem\n  4 rows to train on, and a batch takes 5; {remedy}"


def test_only_a_chat_has_prompts_to_mask():
    check_masking(of("chat"), mask_prompt=True)
    check_masking(of("text"), mask_prompt=False)
    with pytest.raises(BadConfig, match="mask_prompt, but the rows are text and have no prompt; leave out mask_prompt"):
        check_masking(of("text"), mask_prompt=True)


def test_a_shipped_dataset_has_prompts_of_its_own(shipped):
    assert prompts_of(read_dataset("a")) == (Prompt(id="a-1", text="secret"),)


def test_prompts_in_the_directory_are_asked(shipped):
    directory = shipped / "data" / "a"
    (directory / "prompts.jsonl").write_text('{"id": "p", "prompt": "mine"}\n')
    assert prompts_of(read_dataset(f"path:{directory}")) == (Prompt(id="p", text="mine"),)


def test_else_the_last_questions_of_the_first_test_rows_are_asked(tmp_path):
    talk = [("system", "s"), ("user", "first"), ("assistant", "a"), ("user", "last"), ("assistant", "b")]
    row = {"messages": [{"role": role, "content": content} for role, content in talk]}
    rows = [row, *(json.loads(ROW % (n, n)) for n in range(2, 30))]
    for name in (f"path:{tmp_path}", f"path:{tmp_path}/all.jsonl", "hf:org/name"):
        prompts = prompts_of(of("chat", rows, name=name))
        assert [(prompt.id, prompt.text) for prompt in prompts] == [
            ("test-1", "last"),
            *((f"test-{n}", f"{n}?") for n in range(2, 21)),
        ]


def test_nothing_is_asked_about_texts(directory, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"id": "p", "prompt": "mine"}\n')
    assert prompts_of(read_dataset(directory)) == ()


def test_rows_keep_the_numbers_of_their_lines(tmp_path):
    """A finding about a row is of use only where the row can be found."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"line {number}"}) + "\n" for number in range(1, 21)))
    dataset = read_dataset(f"path:{path}")
    for split, rows in dataset.splits.items():
        assert [row["text"] for row in rows] == [f"line {number}" for number in dataset.numbers[split]]
    assert sorted(number for numbers in dataset.numbers.values() for number in numbers) == list(range(1, 21))
    assert read_dataset("aphorisms", (3, 2, 1)).numbers == {"train": (1, 2, 3), "valid": (1, 2), "test": (1,)}
