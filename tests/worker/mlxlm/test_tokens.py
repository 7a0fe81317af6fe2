import pytest
from mlx_lm.tuner.datasets import ChatDataset

from harness.inputs.config_files import known
from harness.worker import mlxlm

MODELS = tuple(known("models"))


@pytest.mark.parametrize("name", MODELS)
def test_a_conversation_has_the_tokens_that_mlx_lm_trains_on(load_nano, name):
    tokenizer = load_nano(name).tokenizer
    row = {"messages": [{"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "Ho 12"}]}
    tokens = mlxlm.conversation_tokens(tokenizer, row["messages"])
    assert tokens == list(ChatDataset([row], tokenizer).process(row)[0])
    prompt = mlxlm.prompt_tokens(tokenizer, row["messages"][:1])
    assert tokens[: len(prompt)] == prompt
    assert tokens[len(prompt) :] != []


@pytest.mark.parametrize(("name", "closing"), [("tinyllama", {0, 1, 2}), ("smollm2", {0, 1, 2}), ("gpt2", {0})])
def test_what_closes_an_answer_is_not_text(load_nano, name, closing):
    assert mlxlm.closing_tokens(load_nano(name).tokenizer) == closing
