import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadArm
from harness.session.ab.arms import Packages, Revision, Same, Variables, parse

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters=",\0", exclude_categories=["Cs"]), max_size=8)


def refusal(text):
    with pytest.raises(BadArm) as caught:
        parse(text)
    message = str(caught.value)
    assert repr(text) in message
    return message


def test_the_same_environment_is_one_word():
    assert parse("same") == Same(text="same")


def test_a_revision_is_whatever_git_may_know():
    assert parse("git:HEAD~1") == Revision(text="git:HEAD~1", revision="HEAD~1")
    assert parse("git:a:b").revision == "a:b"


def test_variables_are_name_and_value_and_a_value_may_hold_an_equals_sign_or_nothing():
    text = "env:MLX_A=x=1,_b2="
    assert parse(text) == Variables(text=text, variables={"MLX_A": "x=1", "_b2": ""})


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_variables_read_back_as_they_were_written(variables):
    text = "env:" + ",".join(f"{name}={value}" for name, value in variables.items())
    assert parse(text).variables == variables


@pytest.mark.parametrize(
    ("written", "requirements"),
    [
        ("mlx-lm==0.31.3", ("mlx-lm==0.31.3",)),
        ("MLX_lm", ("mlx-lm",)),
        ("mlx>=0.30,<0.32", ("mlx<0.32,>=0.30",)),
        ("mlx-lm ~= 0.31 , mlx!=0.30,== 0.31.*", ("mlx!=0.30,==0.31.*", "mlx-lm~=0.31")),
        ("mlx[ Cuda13,cpu ]==0.31,numpy", ("mlx[cpu,cuda13]==0.31", "numpy")),
    ],
)
def test_requirements_are_normalized_and_sorted(written, requirements):
    assert parse(f"pip:{written}") == Packages(text=f"pip:{written}", requirements=requirements)


def test_the_order_and_the_spelling_of_a_wish_do_not_matter():
    assert parse("pip:mlx-lm==1,mlx<2,>1").requirements == parse("pip:mlx>1,<2, MLX.LM ==1").requirements


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "unknown form; write same, pip:REQUIREMENT[,REQUIREMENT], git:REV or env:NAME=VALUE[,NAME=VALUE]"),
        ("Same", "unknown form; write same,"),
        ("same:", "unknown form; write same,"),
        ("mlx-lm==0.31.3", "unknown form; write same,"),
        ("pip", "nothing after pip:; write same,"),
        ("pip:", "nothing after pip:; write same,"),
        ("git: ", "nothing after git:; write same,"),
        ("env:", "nothing after env:; write same,"),
    ],
)
def test_an_unknown_form_is_told_all_forms(text, problem):
    assert problem in refusal(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pip:mlx-lm==", "'mlx-lm==' is no requirement ("),
        ("pip:mlx-lm=0.31", "'mlx-lm=0.31' is no requirement ("),
        ("pip:==1", "'==1' is no requirement ("),
        ("pip:a,,b", "'' is no requirement ("),
        ("pip:./mlx-lm", "'./mlx-lm' is no requirement ("),
        ("pip:-r wishes.txt", "'-r wishes.txt' is an option of pip;"),
        ("pip:mlx,--index-url=https://example.org", "'--index-url=https://example.org' is an option of pip;"),
        ("pip:a @ https://example.org/a.whl", "'a @ https://example.org/a.whl' is a direct reference;"),
        ("pip:a; python_version>'3'", "has a condition, which pip may drop without a word;"),
        ("pip:Tune_Bench,TuneBench==1", "'TuneBench==1' is what measures;"),
    ],
)
def test_what_is_no_plain_requirement_is_refused_with_an_example(text, problem):
    message = refusal(text)
    assert problem in message
    assert "pip:mlx-lm==0.31.3,mlx>=0.30,<0.32" in message


@pytest.mark.parametrize(("text", "what"), [("git:--all", "'--all'"), ("git:a b", "'a b'")])
def test_what_git_would_take_for_something_else_is_refused(text, what):
    assert f"{what} is no revision; git: takes a branch, a tag or a commit" in refusal(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("env:A", "'A'"),
        ("env:1A=2", "'1A=2'"),
        ("env:=2", "'=2'"),
        ("env:A=1,2", "'2'"),
        ("env:A=1, B=2", "' B=2'"),
        ("env:A-B=1", "'A-B=1'"),
        ("env:Ä=1", "'Ä=1'"),
        ("env:A=\0", r"'A=\x00'"),
    ],
)
def test_what_is_no_variable_is_refused(text, what):
    assert f"{what} is no variable; env: takes NAME=VALUE[,NAME=VALUE]" in refusal(text)


def test_a_variable_has_one_value():
    assert "A is set twice; env: takes" in refusal("env:A=1,B=2,A=1")


def test_versions_that_are_not_as_wished_are_named():
    packages = parse("pip:mlx-lm==0.31.3,mlx>=0.30,numpy[x]")
    assert packages.names == ("mlx-lm", "mlx", "numpy")
    assert packages.unmet({"mlx-lm": "0.31.3", "mlx": "0.31.0rc1", "numpy": "2"}) == []
    assert packages.unmet({"mlx-lm": "0.31.2", "mlx": "0.29"}) == ["mlx-lm 0.31.2", "mlx 0.29", "no numpy"]
