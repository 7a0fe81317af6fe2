import json
import re
from collections import Counter

import pytest

from harness import texts
from harness.configs import known, read_model
from harness.errors import BadConfig, UnknownName
from harness.texts import SCENARIOS, Prompt, learnable_texts, read_chat_template, read_dataset, read_prompts

DATASETS = ["aphorisms", "mlqa"]
ROW = '{"messages": [{"role": "user", "content": "%s?"}, {"role": "assistant", "content": "%s!"}]}\n'


def normalised(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def turns(rows, role):
    return [normalised(m["content"]) for row in rows for m in row["messages"] if m["role"] == role]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A small set of fixtures in place of the one that ships."""
    monkeypatch.setattr(texts, "bundled", lambda folder: tmp_path / folder)
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


# --- what ships ---


@pytest.mark.parametrize(
    ("name", "rows"),
    [("aphorisms", {"train": 80, "valid": 15, "test": 5}), ("mlqa", {"train": 422, "valid": 53, "test": 53})],
)
def test_the_shipped_datasets_have_their_promised_size(name, rows):
    dataset = read_dataset(name)
    assert {split: len(its) for split, its in dataset.splits.items()} == rows
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
    seen = Counter(text for rows in read_dataset(name).splits.values() for text in turns(rows, role))
    assert [text for text, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_has_four_prompts_of_its_own(scenario):
    prompts = read_prompts(scenario)
    assert [prompt.id for prompt in prompts] == [f"{scenario}-{number}" for number in range(1, 5)]
    assert len({normalised(prompt.text) for prompt in prompts}) == 4


def test_the_scenarios_differ_in_length_as_their_names_say():
    short, medium, long = (
        [len(prompt.text) for prompt in read_prompts(scenario)] for scenario in ("short", "medium", "long")
    )
    assert max(short) < min(medium)
    assert max(medium) < min(long)


@pytest.mark.parametrize("name", DATASETS)
def test_the_evaluation_asks_nothing_that_was_trained(name):
    prompts = read_prompts(f"evaluation-{name}")
    asked = [normalised(prompt.text) for prompt in prompts]
    assert len(set(asked)) == len({prompt.id for prompt in prompts}) == 5
    known_questions = {text for rows in read_dataset(name).splits.values() for text in turns(rows, "user")}
    assert [text for text in asked if text in known_questions] == []


@pytest.mark.parametrize("name", sorted(known("models")))
def test_the_template_of_every_shipped_model_ships_too(name):
    template = read_chat_template(read_model(name).chat.family)
    assert "messages" in template
    assert "add_generation_prompt" in template


def test_templates_are_told_apart_by_their_family():
    assert "<|assistant|>" in read_chat_template("zephyr")
    assert "<|im_start|>" in read_chat_template("qwen")
    assert "<|im_start|>" not in read_chat_template("zephyr")


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
    before = read_dataset("a")
    assert read_dataset("a").facts() == before.facts()
    path = shipped / "data" / "a" / f"{split}.jsonl"
    path.write_text(path.read_text().replace("!", "."))
    assert read_dataset("a").facts()["sha256"] != before.facts()["sha256"]
    assert re.fullmatch("[0-9a-f]{64}", before.sha256)
    assert before.facts()["name"] == "a"


def test_a_stand_in_learns_from_training_rows_and_scenarios_but_not_from_what_is_tested(shipped):
    assert list(learnable_texts()) == ["a-train?", "a-train!", "b-train?", "b-train!", *(f"ask {s}" for s in SCENARIOS)]


def test_a_prompt_keeps_its_id(shipped):
    assert read_prompts("code") == (Prompt(id="code-1", text="ask code"),)


def test_an_unknown_dataset_is_refused_with_those_there_are(shipped):
    with pytest.raises(UnknownName, match=r"unknown dataset 'c'.*Known: a, b\."):
        read_dataset("c")


@pytest.mark.parametrize("torn", ['{"messages": [', "", "nonsense"])
def test_a_torn_line_is_named_by_file_and_number(shipped, torn):
    path = shipped / "data" / "a" / "valid.jsonl"
    path.write_text(ROW % ("q", "a") + torn + "\n")
    with pytest.raises(BadConfig, match=r"valid\.jsonl: 1 problem\n  line 2 is not JSON"):
        read_dataset("a")


def test_letters_of_every_alphabet_are_read(shipped):
    (shipped / "prompts" / "short.jsonl").write_bytes(
        json.dumps({"id": "short-1", "prompt": "où est 東京?"}, ensure_ascii=False).encode()
    )
    assert read_prompts("short")[0].text == "où est 東京?"
