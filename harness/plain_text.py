"""Replace the invisible characters of a text by their codes."""

import re
import unicodedata

_BEYOND_ASCII = re.compile(r"[^ -~\n\t]")


def visible(text: str) -> str:
    """Replace control and invisible formatting characters by codes such as U+200B, and every line end by a newline."""
    return _BEYOND_ASCII.sub(_visible, text.replace("\r\n", "\n").replace("\r", "\n"))


def _visible(match: re.Match[str]) -> str:
    hidden = unicodedata.category(match[0]) in {"Cc", "Cf", "Cs", "Co", "Cn"}
    return f"U+{ord(match[0]):04X}" if hidden else match[0]


def cut_short(text: str, longest: int) -> str:
    """Return *text*, or its beginning and an ellipsis where it has more than *longest* characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
