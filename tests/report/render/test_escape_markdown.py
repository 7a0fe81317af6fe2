import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plain_text import visible
from harness.report.render.escape_markdown import code, fenced, in_brackets, in_cell, inert
from tests.support.samples import Page

MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- gone",
    "a | b | c",
    "\\| \\",
    "`code` ``more``",
    "[text](http://evil.example)",
    "![image](http://evil.example/x.png)",
    "[text]: http://evil.example",
    "<http://evil.example>",
    "**bold** *slanted* __bold__ _slanted_ ***both***",
    "~~struck~~",
    "# heading",
    "&lt;b&gt; &amp; &#60;",
    "$x^2$",
    "{{ 7 * 7 }} {% raw %} {# x #}",
    "- item",
    "> quote",
    "1. first",
    "--- ===",
    ":--|:--",
]
OURS = {"table", "thead", "tbody", "tr", "th", "td", "br", "blockquote", "p", "strong"}


def in_a_cell(text):
    return Page(f"| head | next |\n|:--|:--|\n| {inert(text)} | end |\n")


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_cell_is_shown_letter_by_letter(text):
    page = in_a_cell(text)
    assert page.tables == [[["head", "next"], [text, "end"]]]
    assert {tag for tag, _ in page.tags} <= OURS


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_banner_is_shown_letter_by_letter(text):
    page = Page(f"> **Warning: {inert(text)}**\n")
    assert page.text.strip() == f"Warning: {text}"
    assert [tag for tag, _ in page.tags] == ["blockquote", "p", "strong"]


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab1é_*`<>|&[]()!#~\\$@:/.;-+={}%\"'", min_size=1, max_size=30))
def test_no_text_is_markup(text):
    page = in_a_cell(text)
    assert page.tables == [[["head", "next"], [text, "end"]]]
    assert {tag for tag, _ in page.tags} <= OURS


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n"])
def test_lines_stay_in_one_cell(break_):
    text = inert(f"one{break_}{break_}three")
    assert text == "one<br><br>three"


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x1b", "U+001B"),
        ("\x07", "U+0007"),
        ("\x00", "U+0000"),
        ("\x0b", "U+000B"),
        ("\x85", "U+0085"),
        ("\x9b", "U+009B"),
        ("\u200b", "U+200B"),
        ("\u202e", "U+202E"),
        ("\ufeff", "U+FEFF"),
        ("\U000e0041", "U+E0041"),
    ],
)
def test_an_invisible_character_is_shown_by_its_code(character, shown):
    assert inert(f"a{character}b") == f"a{shown}b"


def test_a_terminal_code_leaves_no_escape():
    assert Page(inert("\x1b[31mred\x1b[0m")).text.strip() == "U+001B[31mredU+001B[0m"


def test_what_a_reader_would_type_stays_as_it_is():
    for text in ("smollm2/qv-r8", "self_attn.q_proj, self_attn.v_proj", "Grüße, 你好! (50 %; 3.5 × 2)", "a: b/c"):
        assert inert(text) == text


@pytest.mark.parametrize("text", ["http://evil.example", "https://evil.example", "www.evil.example"])
def test_an_address_does_not_become_a_link_by_itself(text):
    """GitHub links raw `://` and `www.` in the Markdown it reads, before entities are resolved."""
    assert "://" not in inert(text)
    assert "www." not in inert(text)
    assert Page(inert(text)).text.strip() == text


@pytest.mark.parametrize("character", "<>|`*#@~\\$")
def test_what_markup_is_made_of_is_never_written_raw(character):
    """Half a tag does nothing alone; what stands beside it on the page could be the other half."""
    assert character not in inert(f"a{character}b {character}c").replace("&#", "")


def test_figures_stay_readable_in_a_cell():
    for text in ("0.50 [0.25, 0.75] s (6×1)", "[1, 2]", "-5 %", "+3", "1.5", "=0"):
        assert in_cell(text) == text


@pytest.mark.parametrize("text", ["](x", "][x", "]:x", "[^1]", "![x"])
def test_a_bracket_that_an_address_a_definition_or_a_footnote_follows_is_not_written_raw(text):
    for quiet in (inert(text), in_cell(f"a{text}")):
        assert text[:2] not in quiet
        assert Page(quiet).text.strip().endswith(text)


@pytest.mark.parametrize(
    "place",
    [
        "[evil]{}",  # each is half of something that the template's own characters make whole
        "{}(http://evil.example)",
        "{}[evil]",
        "{}[evil](x)",
        "{}: http://evil.example",
        "!{}",
        "- {}",
        "> {}",
        "{}\n===",
        "text\n{}",
        "# {}",
        "- {} done",
        "**{}**",
    ],
)
@pytest.mark.parametrize(
    "text", ["[x]", "[x](y)", "[ ]", "![x]", "!", "[!NOTE]", "[x", "---", "- x", "1. x", "=", ":--", "+"]
)
def test_a_template_cannot_make_whole_what_a_text_has_half_of(place, text):
    page = Page(place.format(inert(text)))
    plain = Page(place.format("word"))
    assert page.tags == plain.tags
    assert page.text == plain.text.replace("word", text)


@pytest.mark.parametrize("text", ["[x] done", "[ ] not", "[!NOTE]"])
def test_no_text_ticks_a_task_or_raises_an_alert(text):
    """GitHub makes these of brackets at the start of an item or a quote."""
    assert inert(text).startswith("&#91;")


ANYTHING = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab1 é_*`<>|&[]()!#~\\$@:/.;-+={}%\"'^\n\t"),
        st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn"]),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(ANYTHING, st.sampled_from([inert, in_cell]))
def test_a_paragraph_shows_a_text_and_nothing_but_it(text, made):
    page = Page(made(text))
    assert page.text.strip() == (text.strip().replace("\n", "") or "(empty)")
    assert [tag for tag, _ in page.tags] == ["p"] + ["br"] * text.strip().count("\n")


@settings(deadline=None, max_examples=200)
@given(ANYTHING)
def test_an_image_s_description_is_its_text(text):
    ((_, image),) = Page(f"![{in_brackets(text)}](loss.svg)").tags[1:]
    assert (image["src"], image["alt"]) == ("loss.svg", text.strip().replace("\n", " ") or "(empty)")


@settings(deadline=None, max_examples=200)
@given(ANYTHING)
def test_a_fence_holds_every_line(text):
    page = Page(f"before\n\n{fenced(text)}\n\nafter\n")
    assert [tag for tag, _ in page.tags] == ["p", "pre", "code", "p"]
    assert page.text == f"before\n{text.removesuffix(chr(10))}\n\nafter\n"


def test_a_fence_shows_control_characters_by_their_codes():
    assert fenced("\x1b[31mred\r\n````\u202e") == "`````text\nU+001B[31mred\n````U+202E\n`````"


@settings(deadline=None, max_examples=200)
@given(ANYTHING)
def test_what_is_typeset_as_code_is_shown_letter_by_letter(text):
    page = Page(f"| head |\n|:--|\n| {code(text)} |\n")
    assert page.tables[0][1:] == [[text.strip().replace("\n", "") or "(empty)"]]
    assert {tag for tag, _ in page.tags} <= OURS | {"code"}


def test_a_name_is_typeset_as_code():
    assert code("val_loss_best") == "`val_loss_best`"
    for text in ("a`b", "a|b", " a", "a\nb", "a\x1bb", ""):
        assert code(text) == inert(text)


def test_lines_end_alike():
    assert visible("a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n"])
def test_an_empty_text_is_named(text):
    assert inert(text) == "(empty)"


@pytest.mark.parametrize("text", ["@team", "#12", "me@example.org"])
def test_a_mention_mentions_nobody_where_entities_are_resolved_first(text):
    """GitHub mentions whom `&#64;name` names (github/cmark-gfm#181); something must stand between sign and name."""
    assert not re.search(r"&#(64|35);\w", inert(text))
    assert in_a_cell(text).tables[0][1][0] == text


@pytest.mark.parametrize("text", [" ", "\t", " \n "])
def test_a_text_of_spaces_is_named(text):
    assert in_a_cell(text).tables[0][1][0] != ""
