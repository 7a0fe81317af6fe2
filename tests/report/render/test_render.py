"""Reports to pages.

`TUNEBENCH_UPDATE_GOLDENS=1 pytest tests/report/render/test_render.py` writes the goldens anew; read their diff
line by line.
"""

import base64
import hashlib
import os
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import BadConfig, UnknownName
from harness.paths import bundled
from harness.plain_text import visible
from harness.report.page import Cell, Finding, Listing, Report, Section, Table
from harness.report.render.render import of_figures, render
from tests.support.sample_pages import PICTURE, cell, figures, small_report, verdict, with_text
from tests.support.samples import Page

GOLDEN = Path(__file__).parents[2] / "golden"
PICTURES = {"md": {"loss": "figures/loss 1.svg"}, "html": {"loss": PICTURE}}
FORMS = ("md", "html")
STYLE = (bundled("templates") / "report.css").read_text(encoding="utf-8")


def page(form, report=None, **options):
    return render(report or small_report(), form, **{"pictures": PICTURES[form], **options})


@pytest.fixture
def user_templates(tmp_path):
    """A user's templates, written as name=text; "." in a name is "__"."""

    def write(**templates):
        for name, text in templates.items():
            (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return tmp_path

    return write


class Html(HTMLParser):
    """A page's tags with their attributes, and what it says: shown, spoken, or in its title."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said, self.tables, self._in = [], "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.said += "".join(f"\n{attributes[name]}\n" for name in ("alt", "aria-label") if name in attributes)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        self._in.append(tag)

    def handle_endtag(self, tag):
        while self._in.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._in:
            self.said += data
        if {"td", "th"} & set(self._in):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


# --- what it looks like ---


@pytest.mark.parametrize("form", FORMS)
def test_a_report_becomes_the_page_that_was_read_and_approved(form, user_templates):
    made = page(form, own_templates=user_templates(report__css="body { margin: 1rem }\n"))
    golden = GOLDEN / f"page.{form}"
    if os.environ.get("TUNEBENCH_UPDATE_GOLDENS"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", FORMS)
def test_the_same_report_gives_the_same_bytes(form):
    assert page(form) == page(form)


def test_markdown_shows_every_table_as_it_stands():
    head, *rows = Page(page("md")).tables[0]
    assert head == ["metric", "tiny/base", "tiny/r8", "verdict"]
    assert rows[1] == ["ttft_s", "0.5 [0.25, 0.75] s (6×1) [1]", "not measured [1] [2]", "n=1; a verdict needs 5 –"]
    assert rows[2] == ["loss_drop", "87 %", "–", ""]


def test_html_shows_every_table_as_it_stands():
    head, *rows = Html(page("html")).tables[0]
    assert head == ["metric", "tiny/base", "tiny/r8", "verdict"]
    assert rows[0][3] == "tiny/r8 has 2.1 times the rate\u00a0▲"
    assert rows[1] == ["ttft_s", "0.5 [0.25, 0.75] s (6×1)[1]", "not measured[1][2]", "n=1; a verdict needs 5\u00a0–"]
    assert rows[2] == ["loss_drop", "87 %", "–", ""]


@pytest.mark.parametrize("form", FORMS)
def test_a_section_with_nothing_in_it_is_left_out_and_one_with_a_text_is_not(form):
    report = replace(
        small_report(), sections=(Section(name="a", title="Alone"), Section(name="b", title="Spoken", text="x"))
    )
    made = page(form, report)
    assert "Alone" not in made
    assert "Spoken" in made


@pytest.mark.parametrize("form", FORMS)
def test_a_bare_report_has_no_empty_lists_tables_or_legend(form):
    nothing = Table(columns=(), rows=())
    bare = replace(small_report(), headline=(), banners=(), sections=(), not_measured=(), definitions=nothing)
    made = page(form, bare)
    assert "Every metric this version knows was measured." in made
    for absent in ("WARNING", "Read this first", "equivalent", "What the metrics mean", "<table"):
        assert absent not in made
    assert not re.search(r"<[ou]l[^>]*>\s*</[ou]l>", made)


def test_a_picture_is_linked_from_markdown_and_held_by_html():
    ((_, image),) = [tag for tag in Page(page("md")).tags if tag[0] == "img"]
    assert image == {"src": "figures/loss%201.svg", "alt": "It falls from 4 to 2."}
    (image,) = Html(page("html")).all("img")
    scheme, _, held = image["src"].partition("data:image/svg+xml;base64,")
    assert (scheme, base64.b64decode(held)) == ("", PICTURE)


@pytest.mark.parametrize("form", FORMS)
def test_a_figure_without_a_picture_is_told_in_words(form):
    made = page(form, pictures={})
    assert "<img" not in made
    assert "![" not in made
    assert "It falls from 4 to 2." in made


def test_the_policy_of_the_page_allows_its_own_style_and_pictures_alone():
    made = page("html")
    style = made.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [attributes["content"] for attributes in Html(made).all("meta") if attributes.get("http-equiv")]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def palettes():
    """Return the colors by name, for the light scheme, the dark scheme and paper."""
    palettes = [dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", block)) for block in STYLE.split(":root")[1:]]
    assert [len(block) for block in palettes] == [11, 11, 11]
    return palettes


def luminance(color):
    """Source: WCAG 2.2, definition of relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark", "paper"])
def test_words_stand_out_from_every_ground_they_are_on(palette):
    """4.5:1 at least: WCAG 2.2, success criterion 1.4.3, level AA."""
    for words in ("ink", "soft", "link", "good", "bad"):
        for ground in ("ground", "raised", "alert-ground"):
            dark, light = sorted(luminance(palette[name]) for name in (words, ground))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{words} on {ground}"


def test_every_link_of_a_page_leads_to_a_place_on_it_that_exists_once():
    parsed = Html(page("html"))
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes in parsed.all("a")}
    assert targets <= {f"#{name}" for name in ids}
    assert {"#inference", "#answers", "#note-inference-1-1", "#mark-inference-1-2"} <= targets
    assert "#nothing" not in targets


def test_cells_say_what_they_hold_to_the_style():
    parsed = Html(page("html"))
    classes = [attributes.get("class") for name, attributes in parsed.tags if name in {"th", "td"}][:16]
    assert classes[:8] == [
        None,
        "figures",
        "figures",
        None,
        "code",
        "measured figures",
        "measured figures winner",
        "verdict better",
    ]
    assert classes[9:12] == ["measured figures", "not-measured figures", "verdict not-judged"]
    assert classes[13:] == ["computed figures", "not-applicable figures", "text"]
    assert [attributes.get("scope") for name, attributes in parsed.tags if name == "th"][:5] == ["col"] * 4 + ["row"]


def test_a_footnote_without_a_mark_leads_nowhere():
    grid = Table(columns=("a", "b"), rows=((cell("x"), cell("y")),), notes=("why",))
    report = replace(small_report(), sections=(Section(name="s", title="S", tables=(grid,)),))
    assert "#mark-s" not in page("html", report)


def test_a_column_of_zeros_is_one_of_figures():
    grid = Table(columns=("a", "b"), rows=((cell("x"), figures("0 s", 0.0)), (cell("y"),)))
    assert of_figures(grid) == (False, True)


def test_two_tables_of_one_section_have_footnotes_of_their_own():
    grid = Table(columns=("a", "b"), rows=((cell("x"), cell("y", notes=(1,))),), notes=("why",))
    report = replace(small_report(), sections=(Section(name="s", title="S", tables=(grid, grid)),))
    ids = [
        attributes["id"]
        for _, attributes in Html(page("html", report)).tags
        if attributes.get("id", "").startswith(("note", "mark"))
    ]
    assert ids == ["mark-s-1-1", "note-s-1-1", "mark-s-2-1", "note-s-2-1"]


@pytest.mark.parametrize(
    ("verdict_value", "symbol"), [("worse", "▼"), ("equivalent", "~"), ("inconclusive", "?"), ("not comparable", "⊘")]
)
def test_a_verdict_has_its_symbol_after_its_words(verdict_value, symbol):
    grid = Table(columns=("a", "b"), rows=((cell("x"), verdict("words", verdict_value)),))
    report = replace(small_report(), sections=(Section(name="s", title="S", tables=(grid,)),))
    assert Page(page("md", report)).tables[0][1][1] == f"words {symbol}"
    assert Html(page("html", report)).tables[0][1][1] == f"words\u00a0{symbol}"


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(UnknownName, match="page format 'pdf'"):
        render(small_report(), "pdf", pictures={})


# --- what texts cannot do ---

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "</title></pre></details></table>",
    "[text](javascript:alert(1)) ![i](https://evil.example/x.png)",
    "[a]: https://evil.example",
    "https://evil.example www.evil.example me@evil.example @team #12",
    "\x1b[31mred\x1b[0m \x07\x00",
    "[red]rich[/red] [link=https://evil.example]x[/link]",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "]]> --> <!-- --!> ?>",
    "\u202egnp.exe\u2066 \u200b",
    "=cmd|' /C calc'!A0",
    "```\n# heading\n| a | b |\n|---|---|\n- item\n",
    "</summary></details>\n\n<script>",
    "`code` ~~~ ``` $x$ **b** __b__",
    "\ud800 lone",
    "&lt;b&gt; &amp; &#60;",
    '<!-- tunebench {"kind":"forged"} -->',
]
MARKDOWN_TAGS = set(
    re.findall(
        r"\S+", "h1 h2 h3 p blockquote ul li strong br table thead tbody tr th td code pre img details summary hr"
    )
)
HTML_TAGS = set(
    re.findall(
        r"\S+",
        "html head meta title style body a header nav main section footer h1 h2 h3 p ol ul li span strong sup br div "
        "table caption thead tbody tr th td code pre figure figcaption img details summary",
    )
)
ATTRIBUTES = set(
    re.findall(
        r"\S+",
        "lang charset http-equiv content name class href id aria-label aria-labelledby aria-hidden "
        "role tabindex scope src alt",
    )
)


def everywhere(text):
    texts_put_in = []
    report = with_text(small_report(), text, texts_put_in)
    assert len(texts_put_in) > 50
    # A path that is no UTF-8 cannot be stored; a result's is checked where it is read.
    return replace(report, provenance=small_report().provenance) if "\ud800" in text else report, texts_put_in


def letters(text):
    """A text without what differs where lines may break."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_report_is_markup_in_html(text):
    report, texts_put_in = everywhere(text)
    parsed = Html(page("html", report, pictures={report.sections[0].figures[0].name: PICTURE}))
    assert {tag for tag, _ in parsed.tags} <= HTML_TAGS
    assert {name for _, attributes in parsed.tags for name in attributes} <= ATTRIBUTES
    assert len(parsed.all("style")) == 1
    assert all(attributes["href"].startswith("#") for attributes in parsed.all("a"))
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for attributes in parsed.all("img"))
    visible_text = letters(parsed.said)
    at_fault = [text_put_in for text_put_in in texts_put_in if letters(visible(text_put_in)) not in visible_text]
    assert at_fault == [] or "\ud800" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_report_is_markup_in_markdown(text):
    report, texts_put_in = everywhere(text)
    parsed = Page(page("md", report, pictures={report.sections[0].figures[0].name: "loss.svg"}))
    assert {tag for tag, _ in parsed.tags} <= MARKDOWN_TAGS
    assert [attributes["src"] for tag, attributes in parsed.tags if tag == "img"] == ["loss.svg"]
    assert {name for _, attributes in parsed.tags for name in attributes} <= {"src", "alt", "style", "class"}
    visible_text = letters(parsed.text + "".join(attributes.get("alt", "") for _, attributes in parsed.tags))
    at_fault = [text_put_in for text_put_in in texts_put_in if letters(visible(text_put_in)) not in visible_text]
    assert at_fault == [] or "\ud800" in text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", FORMS)
def test_every_page_is_utf_8_without_control_characters(form, text):
    made = page(form, everywhere(text)[0])
    assert visible(made) == made
    made.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_keeps_its_outline_whatever_the_texts_are(text):
    """As many headings, lists, tables and fences as with plain words."""
    kinds = {"h1", "h2", "ul", "table", "pre", "blockquote", "details", "hr"}

    def outline(hostile):
        return [tag for tag, _ in Page(page("md", everywhere(hostile)[0])).tags if tag in kinds]

    assert outline(text) == outline("plain")


# --- what a user's template may do ---


@pytest.mark.parametrize("form", FORMS)
def test_one_block_of_ours_is_overridden_and_the_rest_stays(form, user_templates):
    extending = (
        f'{{% extends "tunebench/report.{form}.j2" %}}{{% block headline %}}MINE {{{{ report.title }}}}{{% endblock %}}'
    )
    made = page(form, own_templates=user_templates(**{f"comparison__{form}__j2": extending}))
    assert "MINE tiny" in made
    assert "2 of 3 cases ended ok." not in made
    assert "Ratios are of medians." in made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("block", ["title", "banners", "headline", "sections", "footer"])
def test_a_block_s_name_is_kept(form, block, user_templates):
    extending = f'{{% extends "tunebench/report.{form}.j2" %}}{{% block {block} %}}MINE{{% endblock %}}'
    assert "MINE" in page(form, own_templates=user_templates(**{f"report__{form}__j2": extending}))


@pytest.mark.parametrize("form", FORMS)
def test_the_block_of_a_section_is_overridden_for_one_of_them(form, user_templates):
    extending = (
        f'{{% extends "tunebench/report.{form}.j2" %}}{{% block section %}}'
        '{% if section.name == "answers" %}NO ANSWERS{% else %}{{ super() }}{% endif %}{% endblock %}'
    )
    made = page(form, own_templates=user_templates(**{f"comparison__{form}__j2": extending}))
    assert "NO ANSWERS" in made
    assert "Say hi." not in made
    assert "Ratios are of medians." in made


def test_contents_are_a_block_of_html(user_templates):
    extending = '{% extends "tunebench/report.html.j2" %}{% block contents %}{% endblock %}'
    assert "<nav" not in page("html", own_templates=user_templates(report__html__j2=extending))


def test_a_kind_s_own_template_comes_before_the_one_for_all(user_templates):
    templates = user_templates(report__md__j2="all\n", comparison__md__j2="mine\n")
    assert page("md", own_templates=templates) == "mine\n"
    assert page("md", replace(small_report(), kind="training"), own_templates=templates) == "all\n"
    assert page("html", own_templates=templates) == page("html")


def test_a_part_of_ours_is_replaced_for_every_page(user_templates):
    macros = {"legend()": "", "table(grid)": "", "content(section)": "PART"}
    changed = "".join(f"{{% macro {name} %}}{text}{{% endmacro %}}" for name, text in macros.items())
    assert page("md", own_templates=user_templates(parts__md__j2=changed)).count("PART") == 2


PRINTING = [
    "{{ report.title }}",
    "{{ report.title | upper }}",
    "{{ report.title | e }}",
    "{{ report.title | escape }}",
    "{{ report.title | forceescape }}",
    "{{ report.headline | join(', ') }}",
    "{{ [report.title | code, report.title] | join(', ') }}",
    "{{ (report.title | code) ~ ' ' ~ report.title }}",
    "{{ report.title ~ '!' }}",
    "{{ report.title | replace('x', 'y') }}",
    "{{ '%s' | format(report.title) }}",
    "{% set x = report.title %}{{ x }}",
    "{% set x %}{{ report.title }}{% endset %}{{ x }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(report.title) }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('a') ~ report.title }}",
    "{{ report.headline }}",
    "{{ report }}",
    "{% autoescape false %}{{ report.title }}{% endautoescape %}",
    "{% filter upper %}{{ report.title }}{% endfilter %}",
]


@pytest.mark.parametrize("template", PRINTING)
def test_a_user_s_template_cannot_forget_to_make_a_text_inert(template, user_templates):
    text = "[x](http://evil.example) ![y](z) <b>*b*</b>"
    report = replace(small_report(), title=text, headline=(text, text))
    parsed = Page(page("md", report, own_templates=user_templates(report__md__j2=template)))
    assert {tag for tag, _ in parsed.tags} <= {"p", "code", "br"}
    parsed = Html(page("html", report, own_templates=user_templates(report__html__j2=template)))
    assert {tag for tag, _ in parsed.tags} <= {"code"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ ('a_' | code) ~ ' is ' ~ report.title ~ ' ' }}.", "`a_` is t&#42; ."),
        ("{{ ['a' | code, report.title] | join(', ') }}", "`a`, t&#42;"),
        ("{{ report.sections | join('; ', attribute='title') }}", "Inference; Answers; Nothing"),
        ("{{ report.sections | join(attribute='name') }}", "inferenceanswersnothing"),
        ("{{ [] | join(', ') }}", ""),
        ("{{ ('a' | code) ~ '  ' }}.", "`a`  ."),
        ("{{ 'no' ~ 1 ~ report.title }}", "no1t&#42;"),
        ("{{ {'no1': 'found'}['no' ~ 1] }}", "found"),
    ],
)
def test_texts_and_markup_are_put_together(template, expected, user_templates):
    report = replace(small_report(), title="t*")
    assert page("md", report, own_templates=user_templates(report__md__j2=template)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_braces_in_a_text_are_not_a_template(form, user_templates):
    report = replace(small_report(), title="{{ 7 + 7 }}{% x %}")
    templates = user_templates(**{f"report__{form}__j2": "{{ report.title }}"})
    assert page(form, report, own_templates=templates) == "{{ 7 + 7 }}{% x %}"


@pytest.mark.parametrize("template", ["{{ report.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ [].append(1) }}"])
def test_a_template_gets_at_nothing_but_the_report(template, user_templates):
    with pytest.raises(BadConfig, match=r"SecurityError|is unsafe"):
        page("md", own_templates=user_templates(report__md__j2=template))


# --- mistakes ---


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ reprot }}", "'reprot' is undefined"),
        ("{{ report.titel }}", "has no attribute 'titel'"),
        ("{{ report.titel ~ 'x' }}", "has no attribute 'titel'"),
        ("{% for x in reports %}{% endfor %}", "'reports' is undefined"),
        ("{% if reprot %}{% endif %}", "'reprot' is undefined"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{% for x in report %}", "TemplateSyntaxError"),
        ("{{ report | shout }}", "No filter named 'shout'"),
        ('{% include "nowhere.j2" %}', "nowhere.j2"),
        ('{% extends "tunebench/nowhere.j2" %}', "nowhere.j2"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ report + 1 }}", "TypeError"),
        ("{{ report() }}", "not callable"),
    ],
)
def test_a_mistake_in_a_template_names_file_and_problem(template, problem, user_templates):
    folder = user_templates(comparison__md__j2=template)
    with pytest.raises(BadConfig) as refusal:
        page("md", own_templates=folder)
    assert str(refusal.value).startswith(f"{folder / 'comparison.md.j2'}: 1 problem\n  line 1: ")
    assert problem in str(refusal.value)


def test_a_mistake_in_a_part_names_the_part_and_its_line(user_templates):
    folder = user_templates(
        comparison__md__j2='{% from "mine.j2" import part %}\n\n{{ part(report) }}',
        mine__j2="{% macro part(report) %}\n{{ repotr }}{% endmacro %}",
    )
    with pytest.raises(BadConfig) as refusal:
        page("md", own_templates=folder)
    assert str(refusal.value).startswith(f"{folder / 'mine.j2'}: 1 problem\n  line 2: ")
    assert "'repotr' is undefined" in str(refusal.value)


def test_a_template_that_includes_itself_is_refused_by_name(user_templates):
    with pytest.raises(BadConfig, match=r"comparison\.md\.j2"):
        page("md", own_templates=user_templates(comparison__md__j2='{% include "comparison.md.j2" %}'))


def test_a_template_that_is_not_text_is_refused_by_name(tmp_path):
    (tmp_path / "comparison.md.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match=r"comparison\.md\.j2"):
        page("md", own_templates=tmp_path)


def test_a_template_that_may_not_be_read_is_refused_by_name(user_templates, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    folder = user_templates(comparison__md__j2="")
    monkeypatch.setattr("jinja2.loaders.FileSystemLoader.get_source", lambda self, env, name: refuse(name))
    with pytest.raises(BadConfig, match="Permission denied"):
        page("md", own_templates=folder)


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(BadConfig, match=r"nowhere: 1 problem\n  no such folder"):
        page("md", own_templates=tmp_path / "nowhere")


# --- what is documented ---

DOCS = (Path(__file__).parents[3] / "docs" / "templates.md").read_text(encoding="utf-8")


def test_the_example_of_the_documentation_does_what_it_says(user_templates):
    (example,) = re.findall(r"<!-- runs in a test -->\n```jinja\n(.*?)```", DOCS, flags=re.DOTALL)
    made = page("md", own_templates=user_templates(comparison__md__j2=example))
    ours = page("md")
    line = "*Nightly comparison: 3 sections, 2 warnings.*\n"
    answers = ours[ours.index("\n<details>") : ours.index("\n## What the metrics mean")]
    assert "Say hi." in answers
    assert re.sub(r"\n+", "\n", made.replace(line, "")) == re.sub(r"\n+", "\n", ours.replace(answers, "\n"))
    assert line in made


def test_the_refusal_of_the_documentation_is_the_one_that_is_given(user_templates):
    folder = user_templates(comparison__md__j2="\n\n{{ report.titel }}")
    with pytest.raises(BadConfig) as refusal:
        page("md", own_templates=folder)
    (documented,) = re.findall(r"```\n(mine/.*?)\n```", DOCS, flags=re.DOTALL)
    assert str(refusal.value) == documented.replace("mine", str(folder), 1)


@pytest.mark.parametrize("kind", [Report, Section, Table, Cell, Finding, Listing])
def test_every_field_a_template_is_given_is_documented(kind):
    assert [field.name for field in fields(kind) if f"`{field.name}`" not in DOCS] == []


def test_every_filter_and_block_of_ours_is_documented():
    ours = "".join((bundled("templates") / f"report.{form}.j2").read_text(encoding="utf-8") for form in FORMS)
    blocks = set(re.findall(r"{% block (\w+)", ours))
    assert blocks == {"title", "banners", "headline", "contents", "sections", "section", "footer"}
    assert [name for name in (*blocks, "code", "fenced", "cell", "alt", "anchor") if f"`{name}`" not in DOCS] == []
