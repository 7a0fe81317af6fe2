import pytest

from harness.inputs.row_formats import CHAT, TEXT, Form

USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


def test_a_chat_is_read_as_it_is_with_its_other_keys():
    form, row = Form(), {"messages": [{"role": "system", "content": "s"}, USER, ASSISTANT], "topic": "x"}
    assert form.read(row) == row
    assert form.name == CHAT


def test_a_completion_becomes_two_messages_and_keeps_its_other_keys():
    form = Form()
    assert form.read({"prompt": "q", "completion": "a", "n": 1}) == {"messages": [USER, ASSISTANT], "n": 1}
    assert form.name == CHAT


def test_a_text_is_read_as_it_is():
    form = Form()
    assert form.read({"text": "t", "tools": [], "n": 1}) == {"text": "t", "tools": [], "n": 1}
    assert form.name == TEXT


def test_a_row_of_several_forms_is_what_mlx_lm_takes_it_for():
    everything = {"text": "t", "messages": [USER, {**ASSISTANT, "content": "m"}], "prompt": "q", "completion": "a"}
    assert Form().read(everything)["messages"] == [USER, ASSISTANT]
    assert (
        Form().read({key: everything[key] for key in ("text", "messages", "prompt")})["messages"][1]["content"] == "m"
    )


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (
            {"text": "t"},
            {"messages": [USER, ASSISTANT]},
            "has messages, but rows before it have text",
        ),
        (
            {"messages": [USER, ASSISTANT]},
            {"prompt": "q", "completion": "a"},
            "has prompt and completion, but rows before it have messages",
        ),
    ],
)
def test_forms_are_not_mixed(first, second, problem):
    form = Form()
    form.read(first)
    with pytest.raises(ValueError, match=problem):
        form.read(second)
    assert form.read(first)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (3, "int, not an object"),
        ({}, "has no key; give it messages, prompt and completion, or text"),
        ({"prompt": "q", "answer": "a"}, "has 'prompt', 'answer'; give it messages, prompt and completion, or text"),
        ({"messages": [USER, ASSISTANT], "tools": [{}]}, "has tools, which no model is told of here; leave them out"),
        ({"messages": "hi"}, "messages is 'hi'; give a list of messages"),
        ({"messages": []}, r"messages is \[\]; give a list of messages"),
        ({"messages": [USER, "hi"]}, "message 2 is 'hi'; give an object with role and content"),
        ({"messages": [{"content": "q"}, ASSISTANT]}, "message 1 has the role None; known: system, user, assistant"),
        ({"messages": [{**USER, "role": "human"}]}, "message 1 has the role 'human'; known: system, user, assistant"),
        ({"messages": [{**USER, "role": ["user"]}]}, r"message 1 has the role \['user'\]; known"),
        ({"messages": [USER, {"role": "assistant"}]}, "content of message 2 is None; give a text"),
        ({"messages": [USER, {**ASSISTANT, "content": [1]}]}, r"content of message 2 is \[1\]; give a text"),
        ({"messages": [USER, {**ASSISTANT, "content": " \n"}]}, "content of message 2 is empty"),
        ({"messages": [USER, ASSISTANT, USER]}, "the last message is the user's; end with the assistant's"),
        ({"messages": [ASSISTANT]}, "no message is the user's; give what is answered"),
        ({"prompt": 1, "completion": "a"}, "prompt is 1; give a text"),
        ({"prompt": "q", "completion": ""}, "completion is empty"),
        ({"text": None}, "text is None; give a text"),
        ({"text": ""}, "text is empty"),
        ({"text": "a\ud83d"}, "text holds half of a surrogate pair, which is no character"),
    ],
)
def test_a_row_that_cannot_be_learned_is_refused_with_the_reason(row, problem):
    with pytest.raises(ValueError, match=f"^{problem}"):
        Form().read(row)
