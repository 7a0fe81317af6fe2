"""Row formats of datasets: messages, prompt and completion, or text; each is read as chat or as text."""

from collections.abc import Callable
from typing import Any

CHAT, TEXT = "chat", "text"  # the format of a row once it is read
ROLES = ("system", "user", "assistant")

Row = dict[str, Any]


class Form:
    """Format of a dataset: the first row sets it, and every other row must have it too."""

    def __init__(self) -> None:
        self.name = ""  # chat or text, once a row is read
        self._keys = ""

    def read(self, row: object) -> Row:
        """Check a row and return it, prompt and completion as messages; other keys stay.

        Raises:
            ValueError: saying what is wrong with the row.
        """
        if not isinstance(row, dict):
            raise ValueError(f"{type(row).__name__}, not an object")  # noqa: TRY004 - a problem of the row
        if row.get("tools"):
            raise ValueError("has tools, which no model is told of here; leave them out")
        keys, name, parse = _form_of(row)
        if self._keys not in {"", keys}:
            raise ValueError(f"has {keys}, but rows before it have {self._keys}; give all rows one form")
        self._keys, self.name = keys, name
        return parse(row)


def _form_of(row: Row) -> tuple[str, str, Callable[[Row], Row]]:
    """Return the keys that decide the format of *row*, the format, and its reader; precedence is mlx-lm's."""
    if "prompt" in row and "completion" in row:
        return "prompt and completion", CHAT, _read_completion
    if "messages" in row:
        return "messages", CHAT, _read_chat
    if "text" in row:
        return "text", TEXT, _read_text
    keys = ", ".join(map(repr, row)) or "no key"
    raise ValueError(f"has {keys}; give it messages, prompt and completion, or text")


def _read_text(row: Row) -> Row:
    _check_text("text", row["text"])
    return row


def _read_completion(row: Row) -> Row:
    for key in ("prompt", "completion"):
        _check_text(key, row[key])
    messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    others = {key: value for key, value in row.items() if key not in {"prompt", "completion"}}
    return {**others, "messages": messages}


def _read_chat(row: Row) -> Row:
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"messages is {messages!r:.40}; give a list of messages")
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            raise ValueError(f"message {number} is {message!r:.40}; give an object with role and content")  # noqa: TRY004 - a problem of the row
        if (role := message.get("role")) not in ROLES:
            raise ValueError(f"message {number} has the role {role!r:.40}; known: {', '.join(ROLES)}")
        _check_text(f"content of message {number}", message.get("content"))
    roles = [message["role"] for message in messages]
    if roles[-1] != "assistant":
        raise ValueError(f"the last message is the {roles[-1]}'s; end with the assistant's, which is learnt")
    if "user" not in roles:
        raise ValueError("no message is the user's; give what is answered")
    return row


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r:.40}; give a text")  # noqa: TRY004 - a problem of the row
    if not value.strip():
        raise ValueError(f"{name} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds half of a surrogate pair, which is no character") from error
