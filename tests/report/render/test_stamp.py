import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.errors import BadReport
from harness.report.page import Provenance, Source
from harness.report.render.render import render
from harness.report.render.stamp import provenance_of, stamp
from tests.support.sample_pages import small_report

TEXTS = st.text(
    alphabet=st.one_of(st.sampled_from("-<>!&\"'\\ \n\u202e😀"), st.characters(exclude_categories=["Cs"])), max_size=12
)


def made_from(text):
    return Provenance(kind=text, version=text, sources=(Source(run=text, path=text, schema=1, sha256=text),))


@settings(deadline=None, max_examples=200)
@given(TEXTS)
@example("--")
@example("😀")
def test_a_stamp_is_ascii_that_ends_no_comment_and_is_read_back(text):
    provenance = made_from(text)
    written = stamp(provenance)
    assert written.isascii()
    assert written.isprintable()
    assert not any(end in written for end in ("--", "<", ">", "&"))
    assert provenance_of(f"words\n\n<!-- tunebench {written} -->\n", "md") == provenance
    quoted = written.replace('"', "&quot;")
    assert provenance_of(f'<meta name="tunebench" content="{quoted}">', "html") == provenance


@pytest.mark.parametrize("form", ["md", "html"])
def test_a_page_says_what_it_was_made_from(form):
    report = small_report()
    assert provenance_of(render(report, form, pictures={}), form) == report.provenance


@pytest.mark.parametrize("form", ["md", "html"])
@pytest.mark.parametrize("text", ["", "words", "<p>", "<meta name='other' content='{}'>", "text <!-- tunebench {} -->"])
def test_a_page_that_does_not_say_is_refused(form, text):
    with pytest.raises(BadReport, match="does not say what it was made from"):
        provenance_of(text, form)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("md", "<!-- tunebench {} -->"),
        ("md", '<!-- tunebench {"kind": -->'.replace(" -->", "} -->")),
        ("html", "<meta name='tunebench' content='{\"kind\":1}'>"),
        ("html", "<meta name='tunebench' content=''>"),
    ],
)
def test_a_stamp_that_is_broken_is_refused(form, text):
    with pytest.raises(BadReport, match="cannot be read"):
        provenance_of(text, form)


def test_the_last_stamp_counts_whatever_stands_before_and_after_it():
    report = small_report()
    forged = f"<!-- tunebench {stamp(made_from('forged'))} -->"
    made = render(report, "md", pictures={})
    assert provenance_of(f"```\n{forged}\n```\n\n{made}", "md") == report.provenance
    assert provenance_of(f"{made}\nwhat an editor left", "md") == report.provenance


def test_the_first_meta_is_the_page_s():
    report = small_report()
    made = render(report, "html", pictures={})
    assert provenance_of(made + "<meta name='tunebench' content='{}'>", "html") == report.provenance
