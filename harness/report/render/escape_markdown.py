"""Text that came from outside, made harmless for a Markdown page. Pure.

Models, prompts and file names can hold anything: HTML, table bars, links, terminal codes. What comes out
of `inert` shows the same characters and does nothing, wherever on a line it stands and whatever stands beside it.
"""

import re

from harness.plain_text import visible

# What Markdown, HTML or a mention could act on, as numbered entities.
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>|`*#@~\\$"}
# Brackets are plain text, and figures are full of them, unless an address, a definition or a footnote follows.
_LINK = re.compile(r"\](?=[(\[:])|\[(?=\^)|(?<=!)\[")
# What stands at the edge meets a template's own characters: a task's box, an alert's name, half a link.
_BRACKET_AT_AN_EDGE = re.compile(r"^\[|\]$|!$")
# A list, an underline of a heading or a table, a line across the page.
_LINE_START = re.compile(r"^[-+=:](?![0-9A-Za-z.])|^\d{1,9}[.)](?=\s|$)")
# An underscore inside a word is plain text in GitHub's Markdown, and names are full of them.
_LOOSE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# GitHub resolves entities before it looks for @somebody and #12; a comment in between keeps it from seeing one.
_MENTION = re.compile(r"(&#(?:64|35);)(?=\w)")
_BACKTICKS = re.compile(r"`+")


def inert(text: str) -> str:
    """Write foreign *text* for any place on a line: nothing in it is markup, and it stays on one line."""
    return _BRACKET_AT_AN_EDGE.sub(_entity, in_cell(text))


def in_cell(text: str) -> str:
    """Write foreign *text* for where spaces stand around it, as in a table's cell: figures stay readable there."""
    quiet = _LOOSE_UNDERSCORE.sub("&#95;", visible(text).strip().translate(_ENTITIES))
    unlinked = _LINK.sub(_entity, quiet).replace("://", ":&#47;/").replace("www.", "www&#46;")
    unmentioned = _MENTION.sub(r"\1<!-- -->", unlinked)
    return _LINE_START.sub(_last_as_entity, unmentioned).replace("\n", "<br>") or "(empty)"


def in_brackets(text: str) -> str:
    """Write foreign *text* for between brackets, as an image's description."""
    without_tags = inert(text).replace("<br>", " ").replace("<!-- -->", "")  # it would show them
    return without_tags.replace("[", "&#91;").replace("]", "&#93;")


def code(text: str) -> str:
    """Typeset a name as code; what would not look the same there, or could end it, is made inert instead."""
    plain = text == visible(text).strip() and not set(text) & set("`|\n\t")
    return f"`{text}`" if plain and text else inert(text)


def fenced(text: str) -> str:
    """Write *text* line by line between fences longer than any it holds."""
    shown = visible(text).removesuffix("\n")
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _last_as_entity(found: re.Match[str]) -> str:
    """Keep the number of a list's item; it is the sign after it that makes it one."""
    return f"{found[0][:-1]}&#{ord(found[0][-1])};"
