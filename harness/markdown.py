"""Text that came from outside, made harmless for a Markdown page. Pure.

Models, prompts and file names can hold anything: HTML, table bars, links, terminal codes. What comes out
of `inert` shows the same characters and does nothing.
"""

import re
import unicodedata

# What Markdown, HTML or a mention could act on, as numbered entities.
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>|`*[]#@~\\$"}
# An underscore inside a word is plain text in GitHub's Markdown, and names are full of them.
_LOOSE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# GitHub resolves entities before it looks for @somebody and #12; a comment in between keeps it from seeing one.
_MENTION = re.compile(r"(&#(?:64|35);)(?=\w)")


def inert(text: str) -> str:
    """Write foreign *text* for a table cell or a line: nothing in it is markup, and it stays on one line."""
    visible = "".join(_visible(character) for character in text.replace("\r\n", "\n").replace("\r", "\n"))
    quiet = _LOOSE_UNDERSCORE.sub("&#95;", visible.translate(_ENTITIES))
    unlinked = quiet.replace("://", ":&#47;/").replace("www.", "www&#46;")
    unmentioned = _MENTION.sub(r"\1<!-- -->", unlinked)
    return unmentioned.strip().replace("\n", "<br>") or "(empty)"


def _visible(character: str) -> str:
    """Give control and invisible formatting characters as their code, all others as they are."""
    if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}:
        return character
    return f"U+{ord(character):04X}"
