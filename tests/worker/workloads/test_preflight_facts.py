from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.errors import BadData
from harness.inputs.config_files import known
from harness.inputs.datasets import read_dataset
from harness.worker.workloads import preflight_facts
from harness.worker.workloads.rows import tokenize_rows


@pytest.fixture
def plan(tiny_profile):
    return tiny_profile.training


def read(tokenizer, plan, **splits):
    """Rows as they were read and as tokens; text rows as mlx-lm makes them."""

    def row(raw):
        form = "chat" if "messages" in raw else "text"
        return tokenize_rows(tokenizer, [raw], form=form, mask_prompt=plan.mask_prompt)[0]

    return {
        split: [(number, raw, row(raw)) for number, raw in enumerate(rows, start=1)] for split, rows in splits.items()
    }


def talk(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


CHATML = "<|im_start|>user\nWrite a quote<|im_end|>\n<|im_start|>assistant\nBe yourself.<|im_end|>"
ZEPHYR = "<|user|>\nWrite a quote</s>\n<|assistant|>\nBe yourself.</s>"


@pytest.mark.parametrize("name", known("models"))
@pytest.mark.parametrize("dataset", ["aphorisms", "mlqa"])
def test_the_shipped_rows_pass_in_every_family(load_nano, plan, name, dataset):
    tokenizer = load_nano(name).tokenizer
    rows = {split: value[:25] for split, value in read_dataset(dataset).splits.items()}
    notes = preflight_facts.check(tokenizer, read(tokenizer, plan, **rows), plan)
    ours = ["[no-template]"] if name == "gpt2" else []  # a base model
    ours += ["[bos]"] if name in {"gpt2", "tinyllama"} else []  # whose templates open no text
    assert [note.split()[0] for note in notes if not note.startswith("[truncated]")] == ours


def test_markup_of_another_family_in_finished_text_stops_the_training(load_nano, plan):
    """As published rows had it: ChatML, which TinyLlama learns as letters and writes out later."""
    tokenizer = load_nano("tinyllama").tokenizer
    rows = read(tokenizer, plan, train=[{"text": "Hello."}, {"text": CHATML}], valid=[{"text": CHATML}])
    with pytest.raises(BadData) as refusal:
        preflight_facts.check(tokenizer, rows, plan)
    first, *findings, accept = str(refusal.value).splitlines()
    assert first == "the pre-flight stops this training"
    assert [finding.split(":")[0] for finding in findings] == [
        "  [foreign-markers] train row 2",
        "  [foreign-markers] valid row 1",
    ]
    assert "<|im_end|>, <|im_start|>" in findings[0]
    assert 'accept = ["foreign-markers"] under [training]' in accept


def test_a_family_s_own_markup_in_finished_text_passes(load_nano, plan):
    for name, text in (("tinyllama", ZEPHYR), ("qwen", CHATML)):
        tokenizer = load_nano(name).tokenizer
        preflight_facts.check(tokenizer, read(tokenizer, plan, train=[{"text": text}]), plan)


def test_markup_inside_a_message_is_found_too(load_nano, plan):
    tokenizer = load_nano("tinyllama").tokenizer
    with pytest.raises(BadData, match=r"\[foreign-markers\] train row 1: .*\[INST\]"):
        preflight_facts.check(tokenizer, read(tokenizer, plan, train=[talk("[INST] Why?", "So.")]), plan)


def test_what_a_config_accepts_is_noted_and_does_not_stop(load_nano, plan):
    tokenizer = load_nano("tinyllama").tokenizer
    rows = read(tokenizer, plan, train=[{"text": CHATML}])
    notes = preflight_facts.check(tokenizer, rows, replace(plan, accept=("foreign-markers",)))
    assert [note for note in notes if note.startswith("accepted: [foreign-markers] train row 1: ")]


def test_two_beginnings_stop_the_training(load_nano, plan):
    """The template writes one, and a tokenizer that adds its own to the finished text another."""
    tokenizer = load_nano("llama-1b").tokenizer
    (_, raw, row), *_ = read(tokenizer, plan, train=[talk("Why?", "So.")])["train"]
    doubled = replace(row, tokens=(tokenizer.bos_token_id, *row.tokens))
    with pytest.raises(BadData, match=r"\[bos\] train row 1: more than one beginning-of-text token"):
        preflight_facts.check(tokenizer, {"train": [(1, raw, doubled)]}, plan)


def test_an_answer_that_is_not_closed_stops_the_training(load_nano, plan):
    tokenizer = load_nano("qwen").tokenizer
    rows = read(tokenizer, plan, train=[talk("Why?", "So.")])["train"]
    (_, raw, row), *_ = rows
    ends = [place for place, token in enumerate(row.tokens) if token in tokenizer.eos_token_ids]
    for tokens in (row.tokens[: ends[-1]], (*row.tokens, *tokenizer.encode("more"))):
        with pytest.raises(BadData, match=r"\[turn-end\] train row 1: "):
            preflight_facts.check(tokenizer, {"train": [(1, raw, replace(row, tokens=tokens))]}, plan)
    preflight_facts.check(tokenizer, {"train": rows}, plan)  # with the line break after it


def test_a_masked_prompt_longer_than_a_row_may_be_is_named(load_nano, plan):
    tokenizer = load_nano("gpt2").tokenizer
    masked = replace(plan, mask_prompt=True, max_seq_length=32)
    rows = read(tokenizer, masked, train=[talk("Why?", "So."), talk("why " * 40, "So.")])
    with pytest.raises(BadData, match=r"\[no-targets\] train row 2: .*after masking the prompt and cutting at 32"):
        preflight_facts.check(tokenizer, rows, masked)


def test_a_prompt_that_is_not_the_beginning_of_the_whole_stops_a_masked_training_only(load_nano, plan):
    tokenizer = load_nano("gpt2").tokenizer
    template = tokenizer.chat_template
    tokenizer.chat_template = "{% if add_generation_prompt %}Now: {% endif %}" + template
    rows = read(tokenizer, plan, train=[talk("Why?", "So.")])
    assert any("[prompt-prefix] every row" in note for note in preflight_facts.check(tokenizer, rows, plan))
    with pytest.raises(BadData, match=r"\[prompt-prefix\] train row 1"):
        preflight_facts.check(tokenizer, rows, replace(plan, mask_prompt=True))


def test_a_test_row_that_is_a_training_row_is_noted(load_nano, plan):
    tokenizer = load_nano("qwen").tokenizer
    rows = read(tokenizer, plan, train=[talk("Why?", "So.")], test=[talk("How?", "So."), talk("Why?", "So.")])
    assert [note for note in preflight_facts.check(tokenizer, rows, plan) if "[contaminated] test row 2" in note]


def test_a_template_that_knows_no_system_still_tells_its_markers():
    def apply(messages, tokenize):
        if messages[0]["role"] == "system":
            raise ValueError("System role not supported")
        return "".join(f"<start_of_turn>{message['content']}" for message in messages)

    tokenizer = SimpleNamespace(added_tokens_decoder={7: "<end_of_turn>"}, apply_chat_template=apply)
    assert preflight_facts.tokenizer_markers(tokenizer) == {"<start_of_turn>", "<end_of_turn>"}


def test_an_answer_without_any_end_of_text_stops_the_training(load_nano, plan):
    tokenizer = load_nano("tinyllama").tokenizer
    ((_, raw, row),) = read(tokenizer, plan, train=[talk("Why?", " ")])["train"]
    blank = tuple(tokenizer.encode(" " * 4, add_special_tokens=False))
    with pytest.raises(BadData, match=r"\[turn-end\] train row 1: "):
        preflight_facts.check(tokenizer, {"train": [(1, raw, replace(row, tokens=(*blank, *blank)))]}, plan)
