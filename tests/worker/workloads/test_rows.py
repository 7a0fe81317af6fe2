import pytest
from mlx_lm.tuner.datasets import ChatDataset, CompletionsDataset, TextDataset

from harness.errors import BadConfig
from harness.inputs.row_formats import Form
from harness.worker.workloads.rows import TokenRow, statistics, tokenize_rows

FAMILIES = ["smollm2", "tinyllama", "qwen", "gpt2", "gemma-270m", "llama-1b"]
TALK = [
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Därum."},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "So."},
]


def pairs(rows):
    return [(list(row.tokens), row.start) for row in rows]


def theirs(dataset, tokenizer, row, messages, *, mask_prompt):
    """A row as mlx-lm tokenizes it, masked as it does today.

    Up to 0.28.3 the answer's opening was no part of the prompt; up to 0.30.7 a completion's prompt was no conversation.
    """
    tokens, start = dataset.process(row)
    if mask_prompt:
        start = len(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False))
    return list(tokens), start


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("mask_prompt", [False, True])
def test_a_chat_is_to_the_token_what_mlx_lm_trains_on(load_nano, name, mask_prompt):
    tokenizer, row = load_nano(name).tokenizer, {"messages": TALK}
    ours = tokenize_rows(tokenizer, [row], form="chat", mask_prompt=mask_prompt)
    assert pairs(ours) == [theirs(ChatDataset([row], tokenizer), tokenizer, row, TALK, mask_prompt=mask_prompt)]
    assert ours[0].text_bytes == 4 + 7 + 4 + 3


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("mask_prompt", [False, True])
def test_a_completion_is_to_the_token_what_mlx_lm_trains_on(load_nano, name, mask_prompt):
    tokenizer, row = load_nano(name).tokenizer, {"prompt": "Why?", "completion": "Därum."}
    dataset = CompletionsDataset([row], tokenizer, "prompt", "completion", mask_prompt=False)
    ours = tokenize_rows(tokenizer, [Form().read(row)], form="chat", mask_prompt=mask_prompt)
    assert pairs(ours) == [theirs(dataset, tokenizer, row, TALK[:2], mask_prompt=mask_prompt)]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_text_is_to_the_token_what_mlx_lm_trains_on(load_nano, name):
    tokenizer = load_nano(name).tokenizer
    rows = [{"text": "Därum, 12."}, {"text": f"closed{tokenizer.eos_token}"}]
    dataset = TextDataset(rows, tokenizer)
    ours = tokenize_rows(tokenizer, rows, form="text", mask_prompt=False)
    assert pairs(ours) == [(list(tokens), start) for tokens, start in map(dataset.process, rows)]
    assert ours[0].text_bytes == 11
    assert [row.tokens[1:].count(tokenizer.eos_token_id) for row in ours] == [1, 1]


def test_a_text_has_no_prompt_to_mask(load_nano):
    with pytest.raises(BadConfig, match="rows of text have no prompt; leave it out, or give rows with messages"):
        tokenize_rows(load_nano("gpt2").tokenizer, [{"text": "t"}], form="text", mask_prompt=True)


def test_statistics_are_of_whole_rows_and_targets_of_what_is_left_of_them():
    """4, 6, 10 and 12 tokens, at most 10: 3 + 5 targets, of a masked prompt of 7 the last 3, of 11 none."""
    rows = [TokenRow(tokens=(7,) * n, start=start, text_bytes=n) for n, start in ((12, 11), (4, 0), (10, 7), (6, 0))]
    assert statistics(rows, 10) == {
        "rows": 4,
        "tokens": 32,
        "shortest_tokens": 4,
        "median_tokens": 8.0,
        "longest_tokens": 12,
        "targets": 11,
        "truncated_rows": 1,
        "text_bytes": 32,
    }


def test_every_row_that_the_chat_template_refuses_is_named(load_nano):
    """As the published template of Gemma does with roles that do not take turns."""
    tokenizer = load_nano("qwen").tokenizer
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    system = {"messages": [{"role": "system", "content": "Be brief."}, *TALK]}
    with pytest.raises(BadConfig) as refusal:
        tokenize_rows(tokenizer, [system, {"messages": TALK}, system], form="chat", mask_prompt=False, split="valid")
    first, *problems = str(refusal.value).splitlines()
    assert first == "the rows as the model reads them: 2 problems"
    assert [problem.partition(";")[0] for problem in problems] == [
        f"  valid row {number}: the chat template refuses it: no system here" for number in (1, 3)
    ]
