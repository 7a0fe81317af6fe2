import pytest

from harness.errors import BadConfig
from harness.render import render

PAGE = "comparison.md.j2"
TABLE = "table.md.j2"


class Grid:
    columns = ("a", "b")
    rows = (("1", "2"), ("3", "4"))
    notes = ("[1] x", "[2] y")


class Bare(Grid):
    notes = ()


def own(folder, name, template):
    (folder / name).write_text(template, encoding="utf-8")
    return folder


def test_our_table_has_a_rule_a_line_a_row_and_its_notes(tmp_path):
    own(tmp_path, "page", '{% from "table.md.j2" import table %}{{ table(grid) }}')
    assert render("page", {"grid": Grid}, own_templates=tmp_path) == (
        "| a | b |\n|:--|:--|\n| 1 | 2 |\n| 3 | 4 |\n\n[1] x  \n[2] y\n"
    )
    assert render("page", {"grid": Bare}, own_templates=tmp_path).endswith("| 3 | 4 |\n")


def test_a_users_template_overrides_ours(tmp_path):
    own(tmp_path, PAGE, "mine: {{ report }}\n")
    assert render(PAGE, {"report": "words"}, own_templates=tmp_path) == "mine: words\n"


def test_what_the_user_has_not_got_is_ours(tmp_path):
    own(tmp_path, "mine.md.j2", '{% from "table.md.j2" import table %}{{ table(grid) }}')
    assert "| 3 | 4 |" in render("mine.md.j2", {"grid": Grid}, own_templates=tmp_path)


def test_braces_in_a_value_are_not_a_template(tmp_path):
    own(tmp_path, PAGE, "{{ report }}")
    assert render(PAGE, {"report": "{{ 7 * 7 }}{% x %}{# y #}"}, own_templates=tmp_path) == "{{ 7 * 7 }}{% x %}{# y #}"


def test_a_value_is_placed_as_it_is(tmp_path):
    """What is foreign was made inert before; a second escape would show its codes."""
    own(tmp_path, PAGE, "{{ report }}")
    assert render(PAGE, {"report": "&#60; <br>"}, own_templates=tmp_path) == "&#60; <br>"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ reprot }}", "'reprot' is undefined"),
        ("{{ report.titel }}", "has no attribute 'titel'"),
        ("{% for x in reports %}{% endfor %}", "'reports' is undefined"),
        ("{% if reprot %}{% endif %}", "'reprot' is undefined"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{% for x in report %}", "TemplateSyntaxError"),
        ("{{ report | shout }}", "No filter named 'shout'"),
        ('{% include "nowhere.j2" %}', "nowhere.j2"),
    ],
)
def test_a_mistake_in_a_template_names_file_and_problem(tmp_path, template, problem):
    own(tmp_path, PAGE, template)
    with pytest.raises(BadConfig) as refusal:
        render(PAGE, {"report": "words"}, own_templates=tmp_path)
    assert str(refusal.value).startswith(f"{tmp_path / PAGE}: 1 problem\n")
    assert problem in str(refusal.value)


def test_a_template_that_is_nowhere_is_named():
    with pytest.raises(BadConfig, match=r"nowhere\.md\.j2"):
        render("nowhere.md.j2", {})


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ report + 1 }}", "{{ report() }}"])
def test_what_goes_wrong_while_a_template_runs_is_refused_by_name(tmp_path, template):
    own(tmp_path, PAGE, template)
    with pytest.raises(BadConfig, match=r"comparison\.md\.j2"):
        render(PAGE, {"report": "words"}, own_templates=tmp_path)


def test_a_template_that_is_not_text_is_refused_by_name(tmp_path):
    (tmp_path / PAGE).write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match=r"comparison\.md\.j2"):
        render(PAGE, {"report": "words"}, own_templates=tmp_path)


def test_a_mistake_in_a_part_names_the_part(tmp_path):
    own(tmp_path, PAGE, '{% from "table.md.j2" import table %}\n{{ table(grid) }}')
    own(tmp_path, TABLE, "{% macro table(grid) %}\n{{ gird }}{% endmacro %}")
    with pytest.raises(BadConfig) as refusal:
        render(PAGE, {"grid": Grid}, own_templates=tmp_path)
    assert str(refusal.value).startswith(f"{tmp_path / TABLE}: 1 problem\n  line 2: ")
    assert "'gird' is undefined" in str(refusal.value)


def test_a_template_that_includes_itself_is_refused_by_name(tmp_path):
    own(tmp_path, PAGE, '{% include "comparison.md.j2" %}')
    with pytest.raises(BadConfig, match=r"comparison\.md\.j2"):
        render(PAGE, {"report": "words"}, own_templates=tmp_path)
