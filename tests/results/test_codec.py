import json
from dataclasses import dataclass, field
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.results.codec import Malformed, decode, encode, json_schema, normalized, plain


class Color(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    size: float
    color: Color = Color.RED

    def __post_init__(self):
        if self.size < 0:
            raise ValueError("a leaf is not that small")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...]
    note: str | None = None


TREE = Tree(name="oak ü", leaves=(Leaf(size=1.5), Leaf(size=2.0)))
AS_PLAIN = {
    "name": "oak ü",
    "leaves": [{"size": 1.5, "color": "red"}, {"size": 2.0, "color": "red"}],
    "note": None,
}

leaves = st.builds(Leaf, size=st.floats(min_value=0, allow_infinity=False), color=st.sampled_from(Color))
trees = st.builds(Tree, name=st.text(), leaves=st.lists(leaves).map(tuple), note=st.none() | st.text())


@given(trees, st.sampled_from([0, 1, 4]))
@settings(deadline=None)
def test_a_value_comes_back_as_it_was_written(tree, indent):
    assert decode(encode(tree, indent=indent), Tree) == tree


@pytest.mark.parametrize("indent", [0, 2])
def test_any_json_reader_finds_the_fields_by_their_names(indent):
    assert json.loads(encode(TREE, indent=indent)) == AS_PLAIN


def test_one_line_for_a_message_and_several_for_a_file():
    assert b"\n" not in encode(TREE)
    text = encode(TREE, indent=1).decode()
    assert text.startswith('{\n "name": "oak ü",\n')
    assert text.endswith("}\n")


def test_the_plain_form_holds_no_type_of_ours():
    tree = plain(TREE)
    assert {**tree, "leaves": list(tree["leaves"])} == AS_PLAIN
    assert type(tree["leaves"][0]["color"]) is str


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "truncated"),
        (b'{"name": "oak", "lea', "truncated"),
        (b"nonsense", "malformed"),
        (b'{"name": "oak", "leaves": []} and more', "trailing characters"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"leaves": []}', "missing required field `name`"),
        (b'{"name": 1, "leaves": []}', r"Expected `str`, got `int` - at `\$\.name`"),
        (b'{"name": "oak", "leaves": [{"size": 1}, {"size": "2"}]}', r"at `\$\.leaves\[1\]\.size`"),
        (b'{"name": "oak", "leaves": [{"size": 1, "color": "blue"}]}', "Invalid enum value 'blue'"),
        (b'{"name": "oak", "leaves": [{"size": -1}]}', "a leaf is not that small"),
        (b'{"name": "oak", "leaves": [{"size": NaN}]}', "malformed"),
        (b'{"name": "oak", "leaves": [{"size": 1e999}]}', "out of range"),
        (b'{"name": "\xff", "leaves": []}', "(?i)utf-8"),  # msgspec 0.23 says UTF-8
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(text, message):
    with pytest.raises(Malformed, match=message):
        decode(text, Tree)


def test_brackets_without_end_are_refused_like_any_other_nonsense():
    with pytest.raises(Malformed, match="recursion"):
        decode(b"[" * 200_000, list)


def test_a_schema_has_every_kind_with_its_fields():
    schema = json_schema([Tree, Leaf])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["anyOf"] == [{"$ref": "#/$defs/Tree"}, {"$ref": "#/$defs/Leaf"}]
    assert set(schema["$defs"]["Tree"]["properties"]) == {"name", "leaves", "note"}
    assert schema["$defs"]["Tree"]["required"] == ["name", "leaves"]
    assert schema["$defs"]["Leaf"]["properties"]["size"] == {"type": "number"}


def form_of_a_release(description, **default):
    """One class's schema; its fields are called as the keywords of a schema are."""
    return {
        "title": "Tree",
        "description": description,
        "type": "object",
        "properties": {
            "default": {"type": "object", **default},
            "description": {"type": "string", "default": ""},
            "size": {"type": "number", "default": 0},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": [],
    }


EARLIER = form_of_a_release("What grows.\n\n    *size* is its height:\n      from the ground up.\n    ")
LATER = form_of_a_release("What grows.\n\n*size* is its height:\n  from the ground up.", default={})


@pytest.mark.parametrize("form", [EARLIER, LATER], ids=["msgspec 0.20 to 0.22", "msgspec 0.23"])
def test_a_schema_is_the_same_whichever_release_made_it(form):
    assert normalized(form) == form_of_a_release("What grows.\n\n*size* is its height:\n  from the ground up.")
    assert normalized({**form, "properties": {"leaves": {"type": "array", "default": []}}})["properties"] == {
        "leaves": {"type": "array"}
    }


def test_a_schema_without_text_or_fields_is_left_as_it_is():
    assert normalized({"title": "Color", "enum": ["red"]}) == {"title": "Color", "enum": ["red"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wood:
    """Trees together.

    *trees* are in the order of their planting.
    """

    trees: list[Tree] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


def test_the_schema_of_a_class_is_normalized():
    wood = json_schema([Wood])["$defs"]["Wood"]
    assert wood["description"] == "Trees together.\n\n*trees* are in the order of their planting."
    assert [name for name, schema in wood["properties"].items() if "default" in schema] == []
