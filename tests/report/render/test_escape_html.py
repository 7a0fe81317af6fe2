import pytest

from harness.report.render import escape_html


@pytest.mark.parametrize("escape", [escape_html.inert, escape_html.code, escape_html.fenced])
def test_no_character_of_a_text_is_markup_or_hidden(escape):
    page = escape('<b onclick="x">\'&\u200b</b>')
    assert "&lt;b onclick=&#34;x&#34;&gt;&#39;&amp;U+200B&lt;/b&gt;" in page


def test_a_listing_keeps_its_first_line_break():
    assert escape_html.fenced("\na") == "<pre>\n\na</pre>"


def test_code_is_typeset_as_code():
    assert escape_html.code("a<b") == "<code>a&lt;b</code>"
