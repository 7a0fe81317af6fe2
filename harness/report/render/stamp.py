"""What a page was made from, written into it for programs and read back. Pure."""

import re
from html.parser import HTMLParser

from harness.errors import BadReport
from harness.report.page import Provenance
from harness.results import codec

_STAMP = re.compile(r"^<!-- tunebench (\{.*\}) -->", flags=re.MULTILINE)
# All that could end a comment or an attribute, turn lines around or be no UTF-8.
_UNSAFE = re.compile(r"--|[^ -~]|[<>&]")


def stamp(provenance: Provenance) -> str:
    """Write *provenance* as JSON in printable ASCII without "--", "<", ">" and "&"."""
    return _UNSAFE.sub(_escaped, codec.encode(provenance).decode())


def provenance_of(text: str, form: str) -> Provenance:
    """Read from a page in Markdown ("md") or HTML ("html") what it was made from.

    Raises:
        BadReport: if it does not say, or not in a way this version reads.
    """
    found = _in_markdown(text) if form == "md" else _in_html(text)
    if found is None:
        raise BadReport(
            "the report does not say what it was made from; its last line in Markdown, or a <meta name="
            '"tunebench"> in HTML, holds that in every report whose template does not take it out'
        )
    try:
        return codec.decode(found.encode(), Provenance)
    except codec.Malformed as error:
        raise BadReport(f"what the report says it was made from cannot be read: {error}; make it again") from error


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _in_markdown(text: str) -> str | None:
    """The last stamp: one before it may be an answer that looks like it, and what follows may be an editor's."""
    found = _STAMP.findall(text)
    return str(found[-1]) if found else None


def _in_html(text: str) -> str | None:
    page = _Head()
    page.feed(text)
    return page.stamp


class _Head(HTMLParser):
    """Finds the first stamp among a page's <meta>."""

    stamp: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        its = dict(attrs)
        if tag == "meta" and its.get("name") == "tunebench" and self.stamp is None:
            self.stamp = its.get("content")
