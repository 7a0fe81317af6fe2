"""Text with nothing hidden in it."""

import re
import unicodedata

_BEYOND_ASCII = re.compile(r"[^ -~\n\t]")


def visible(text: str) -> str:
    """Give *text* with control and invisible formatting characters as their codes and lines that end alike."""
    return _BEYOND_ASCII.sub(_visible, text.replace("\r\n", "\n").replace("\r", "\n"))


def _visible(found: re.Match[str]) -> str:
    hidden = unicodedata.category(found[0]) in {"Cc", "Cf", "Cs", "Co", "Cn"}
    return f"U+{ord(found[0]):04X}" if hidden else found[0]


def cut_short(text: str, longest: int) -> str:
    """Return *text*, or its beginning and an ellipsis where it has more than *longest* characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
