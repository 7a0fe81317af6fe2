import json
import re

import pytest

from harness.errors import BadConfig, UnknownName
from harness.inputs.config_files import known, read_model
from harness.inputs.prompts import SCENARIOS, Prompt, read_chat_template, read_prompt_file, read_prompts


def normalized(text):
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A small set of fixtures in place of the one that ships."""
    monkeypatch.setattr("harness.inputs.prompts.bundled", lambda folder: tmp_path / folder)
    prompts = tmp_path / "fixtures" / "prompts"
    prompts.mkdir(parents=True)
    for scenario in SCENARIOS:
        (prompts / f"{scenario}.jsonl").write_text(f'{{"id": "{scenario}-1", "prompt": "ask {scenario}"}}\n')
    return tmp_path / "fixtures"


# --- what ships ---


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_has_four_prompts_of_its_own(scenario):
    prompts = read_prompts(scenario)
    assert [prompt.id for prompt in prompts] == [f"{scenario}-{number}" for number in range(1, 5)]
    assert len({normalized(prompt.text) for prompt in prompts}) == 4


def test_the_scenarios_differ_in_length_as_their_names_say():
    short, medium, long = (
        [len(prompt.text) for prompt in read_prompts(scenario)] for scenario in ("short", "medium", "long")
    )
    assert max(short) < min(medium)
    assert max(medium) < min(long)


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


def test_a_prompt_keeps_its_id(shipped):
    assert read_prompts("code") == (Prompt(id="code-1", text="ask code"),)


def test_letters_of_every_alphabet_are_read(shipped):
    (shipped / "prompts" / "short.jsonl").write_bytes(
        json.dumps({"id": "short-1", "prompt": "où est 東京?"}, ensure_ascii=False).encode()
    )
    assert read_prompts("short")[0].text == "où est 東京?"


def test_an_unknown_prompt_set_is_refused_with_those_there_are(shipped):
    with pytest.raises(UnknownName, match=r"unknown prompt set 'shrot'\. Did you mean 'short'\?"):
        read_prompts("shrot")


def test_prompts_that_are_none_are_named_by_line(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"id": "a", "prompt": "x"}\n{"id": "a", "prompt": "y"}\n{"id": 3, "prompt": "x"}\n{"id": "b"}\n')
    with pytest.raises(BadConfig) as refusal:
        read_prompt_file(path)
    assert str(refusal.value).split("\n")[1:] == [
        "  line 2: the id 'a' stands on a line before; give each prompt its own",
        "  line 3: id is 3; give a text",
        "  line 4: prompt is None; give a text",
    ]
