"""Escape text from outside the program for an HTML page, so that nothing in it is markup."""

from markupsafe import escape

from harness.plain_text import visible


def inert(text: str) -> str:
    """Escape *text* for any place between tags, or within a quoted attribute."""
    return str(escape(visible(text)))


def code(text: str) -> str:
    """Typeset *text* as code."""
    return f"<code>{inert(text)}</code>"


def fenced(text: str) -> str:
    """Typeset *text* line by line, as it is."""
    return f"<pre>\n{inert(text)}</pre>"  # HTML does not show the first line break after <pre>
