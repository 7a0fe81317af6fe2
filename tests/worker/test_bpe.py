import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from harness.inputs.plans import Chat
from harness.worker import bpe

TEXTS = ["low lower lowest", "new newer newest", "wide wider widest"] * 20
SPECIAL = ("<|end|>", "<|start|>")
PRINTABLE = [chr(code) for code in range(ord("!"), ord("~") + 1)]


@pytest.fixture(scope="module")
def learned():
    return bpe.learn(TEXTS, 276, SPECIAL, None)


def test_the_special_tokens_come_first_and_the_size_is_what_was_asked_for(learned):
    assert [learned.id_to_token(i) for i in range(2)] == list(SPECIAL)
    assert learned.get_vocab_size() == 276


def test_every_byte_has_a_token_of_its_own(learned):
    """256 bytes and two special tokens: the 18 others are merges."""
    vocabulary = learned.get_vocab()
    assert len([token for token in vocabulary if len(token) == 1]) == 256
    assert len(json.loads(learned.to_str())["model"]["merges"]) == 18


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_comes_back(learned, text):
    assert learned.decode(learned.encode(text).ids, skip_special_tokens=False) == text


def test_what_is_frequent_is_one_token(learned):
    assert learned.encode("low").tokens == ["low"]
    assert learned.encode(" newest").tokens == ["Ġnewest"]


def test_a_special_token_in_a_text_is_one_token_and_never_split(learned):
    assert learned.encode("low<|end|>low").tokens == ["low", "<|end|>", "low"]


def test_the_opening_token_opens_every_text_where_there_is_one():
    tokenizer = bpe.learn(TEXTS, 276, SPECIAL, "<|start|>")
    assert tokenizer.encode("low").tokens == ["<|start|>", "low"]
    assert tokenizer.encode("low", add_special_tokens=False).tokens == ["low"]


def test_the_same_texts_give_the_same_tokenizer(learned):
    assert bpe.learn(TEXTS, 276, SPECIAL, None).to_str() == learned.to_str()


def test_a_rebuilt_tokenizer_merges_in_the_stored_order():
    """With "a b" before "b c", abc is ab + c; the other way round it is a + bc."""
    vocabulary = [*string.ascii_lowercase, "ab", "bc"]
    assert bpe.rebuild(vocabulary, ["a b", "b c"], []).encode("abc").tokens == ["ab", "c"]
    assert bpe.rebuild(vocabulary, ["b c", "a b"], []).encode("abc").tokens == ["a", "bc"]


def test_a_rebuilt_tokenizer_keeps_the_stored_ids():
    vocabulary = ["<|end|>", *reversed(string.ascii_lowercase), "Ġ"]
    tokenizer = bpe.rebuild(vocabulary, [], ["<|end|>"])
    assert tokenizer.encode("za b<|end|>").ids == [1, 26, 27, 25, 0]
    assert tokenizer.decode([1, 26, 27, 25]) == "za b"


def test_digits_are_split_one_by_one():
    tokenizer = bpe.rebuild([*PRINTABLE, "Ġ", "12"], ["1 2"], [])
    assert tokenizer.encode("a 12").tokens == ["a", "Ġ", "1", "2"]


def test_transformers_reads_what_was_saved(learned, tmp_path):
    chat = Chat(family="plain", bos="<|start|>", eos="<|end|>", pad="<|end|>", unk="<|start|>", special=SPECIAL)
    bpe.save(learned, chat, "{{ messages[0].content }}<|end|>", 128, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    tokens = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    assert tokens == ("<|start|>", "<|end|>", "<|end|>", "<|start|>")
    assert tokenizer.model_max_length == 128
    message = [{"role": "user", "content": "low , low"}]
    assert tokenizer.apply_chat_template(message, tokenize=False) == "low , low<|end|>"
    assert tokenizer.decode(tokenizer.encode("low , low")) == "low , low"
    assert tokenizer.clean_up_tokenization_spaces is False


def test_tokens_that_a_family_lacks_are_not_saved(learned, tmp_path):
    bpe.save(learned, Chat(family="qwen", eos="<|end|>", pad="<|end|>"), "", 128, tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert "bos_token" not in config
    assert "unk_token" not in config
