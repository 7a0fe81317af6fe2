import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.render.yaml_block import front_matter

yaml = pytest.importorskip("yaml")  # the hub's library brings it

KEYS = st.sampled_from(["a", "b-c", "d_e"])
texts = st.text(st.characters(blacklist_categories=["Cs"]))
facts = st.recursive(
    texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def read(text):
    assert text.startswith("---\n")
    assert text.endswith("\n---\n")
    return yaml.safe_load(text[4:-4])


@given(st.dictionaries(KEYS, facts, min_size=1))
def test_what_is_written_is_read_back_by_another_program(facts):
    assert read(front_matter(facts)) == facts


@pytest.mark.parametrize(
    "text",
    ["no", "1e3", "2026-01-01", "~", "null", "", "- x", "a: b", "{x}", "#", "'", '"', "\\", "\n---\n",
     "\x85\u2028\ufeff", "\x00\x1b[31m", "&a *a", "!!python/object:os.system", "%", "😀", "  edges  "],
)  # fmt: skip
def test_no_text_is_taken_for_anything_else(text):
    assert read(front_matter({"name": text, "tags": [text]})) == {"name": text, "tags": [text]}


def test_a_text_cannot_end_the_block():
    assert front_matter({"name": "x\n---\nmore"}).count("\n---\n") == 1


@pytest.mark.parametrize("number", [1e-05, 1e22, 0.1, -3, 1.5e300, 5e-324])
def test_a_number_is_read_as_a_number(number):
    assert read(front_matter({"value": number})) == {"value": number}


def test_the_block_as_it_is_written():
    facts = {"a": "x", "empty": [], "list": ["y", {"k": 1, "l": ["z"]}], "map": {"m": 1e-5}}
    assert front_matter(facts) == (
        '---\na: "x"\nempty: []\nlist:\n  - "y"\n  - k: 1\n    l:\n      - "z"\nmap:\n  m: 1.0e-05\n---\n'
    )
