"""Escape text from outside the program for a Markdown page, so that nothing in it is markup.

Models, prompts and file names can hold anything: HTML, table bars, links, terminal codes. The result of `inert` shows
the same characters and has no effect, at any place on a line and beside any other text.
"""

import re

from harness.plain_text import visible

# Characters with a meaning in Markdown, HTML or a mention, as numbered entities.
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>|`*#@~\\$"}
# Brackets are plain text, and figures are full of them, unless an address, a definition or a footnote follows.
_LINK = re.compile(r"\](?=[(\[:])|\[(?=\^)|(?<=!)\[")
# At the edges of a text, a bracket meets the template's own characters: a task's box, an alert's name, half a link.
_BRACKET_AT_AN_EDGE = re.compile(r"^\[|\]$|!$")
# Start of a list item, of the underline of a heading or table, or of a horizontal rule.
_LINE_START = re.compile(r"^[-+=:](?![0-9A-Za-z.])|^\d{1,9}[.)](?=\s|$)")
# An underscore inside a word is plain text in GitHub's Markdown, and names are full of them.
_LOOSE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# GitHub resolves entities before it looks for @somebody and #12; a comment in between keeps it from seeing one.
_MENTION = re.compile(r"(&#(?:64|35);)(?=\w)")
_BACKTICKS = re.compile(r"`+")


def inert(text: str) -> str:
    """Escape *text* for any place on a line; the result is one line."""
    return _BRACKET_AT_AN_EDGE.sub(_entity, in_cell(text))


def in_cell(text: str) -> str:
    """Escape *text* for a place with spaces around it, such as a table cell; brackets of intervals stay readable."""
    quiet = _LOOSE_UNDERSCORE.sub("&#95;", visible(text).strip().translate(_ENTITIES))
    unlinked = _LINK.sub(_entity, quiet).replace("://", ":&#47;/").replace("www.", "www&#46;")
    unmentioned = _MENTION.sub(r"\1<!-- -->", unlinked)
    return _LINE_START.sub(_last_as_entity, unmentioned).replace("\n", "<br>") or "(empty)"


def in_brackets(text: str) -> str:
    """Escape *text* for a place between brackets, such as the description of an image."""
    without_tags = inert(text).replace("<br>", " ").replace("<!-- -->", "")  # a description would show the tags
    return without_tags.replace("[", "&#91;").replace("]", "&#93;")


def code(text: str) -> str:
    """Typeset a name as code; escape it instead if it would look different there, or could end the code."""
    plain = text == visible(text).strip() and not set(text) & set("`|\n\t")
    return f"`{text}`" if plain and text else inert(text)


def fenced(text: str) -> str:
    """Typeset *text* line by line in a fenced block; the fence is longer than any row of backticks in it."""
    lines = visible(text).removesuffix("\n")
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(lines)), default=0))
    return f"{fence}text\n{lines}\n{fence}"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _last_as_entity(match: re.Match[str]) -> str:
    """Escape the last character of a match; it turns the number before it into a list item."""
    return f"{match[0][:-1]}&#{ord(match[0][-1])};"
