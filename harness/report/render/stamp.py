"""Write the provenance of a report into its page as a stamp for programs, and read it back."""

import re
from html.parser import HTMLParser

from harness.errors import BadReport
from harness.report.page import Provenance
from harness.results import codec

_STAMP = re.compile(r"^<!-- tunebench (\{.*\}) -->", flags=re.MULTILINE)
# Everything that could end a comment or an attribute, reverse the text direction or be no valid UTF-8.
_UNSAFE = re.compile(r"--|[^ -~]|[<>&]")


def stamp(provenance: Provenance) -> str:
    """Write *provenance* as JSON in printable ASCII without "--", "<", ">" and "&"."""
    return _UNSAFE.sub(_escaped, codec.encode(provenance).decode())


def provenance_of(text: str, form: str) -> Provenance:
    """Read the provenance from a page in Markdown ("md") or HTML ("html").

    Raises:
        BadReport: if the page has no stamp, or one that this version cannot read.
    """
    stamped = _in_markdown(text) if form == "md" else _in_html(text)
    if stamped is None:
        raise BadReport(
            "the report does not say what it was made from; its last line in Markdown, or a <meta name="
            '"tunebench"> in HTML, holds that in every report whose template does not take it out'
        )
    try:
        return codec.decode(stamped.encode(), Provenance)
    except codec.Malformed as error:
        raise BadReport(f"what the report says it was made from cannot be read: {error}; make it again") from error


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _in_markdown(text: str) -> str | None:
    """Return the last stamp: an earlier one may be an answer that looks like a stamp."""
    stamps = _STAMP.findall(text)
    return str(stamps[-1]) if stamps else None


def _in_html(text: str) -> str | None:
    page = _Head()
    page.feed(text)
    return page.stamp


class _Head(HTMLParser):
    """Find the first stamp among a page's <meta> elements."""

    stamp: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "meta" and attributes.get("name") == "tunebench" and self.stamp is None:
            self.stamp = attributes.get("content")
