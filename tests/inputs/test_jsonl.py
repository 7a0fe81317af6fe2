import pytest

from harness.errors import BadConfig
from harness.inputs.jsonl import canonical, read_each, read_lines


@pytest.fixture
def read(tmp_path):
    def its(content):
        (tmp_path / "x.jsonl").write_bytes(content)
        return read_lines(tmp_path / "x.jsonl", lambda row: row["a"])

    return its


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n{"a": 2}',
        b'{"a": 1}\n{"a": 2}\n',
        b'{"a": 1}\r\n{"a": 2}\r\n',
        b'{"a": 1}\n{"a": 2}\n\n \r\n\t\n',
        b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',
    ],
)
def test_the_ends_of_lines_and_of_the_file_make_no_difference(read, content):
    assert read(content) == (1, 2)


def test_a_line_ends_at_a_line_feed_and_at_no_other_separator(read):
    assert read('{"a": "x\u2028y\x85z"}\n'.encode()) == ("x\u2028y\x85z",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": ', r"line 2: not JSON: Expecting value.*"),
        (b"[" * 100_000, r"line 2: not JSON: .*recursion.*"),
        (b"", r"line 2: blank; leave it out"),
        (b" \r", r"line 2: blank; leave it out"),
        (b'["a"]', r"line 2: list, not an object; give {\.\.\.}, all of it on the line"),
        (b"null", r"line 2: NoneType, not an object.*"),
        (b'{"a": "\xe9"}', r"line 2: not UTF-8 at byte 8; save the file as UTF-8"),
    ],
)
def test_a_line_that_is_no_object_is_named_by_file_and_number(read, line, problem):
    with pytest.raises(BadConfig, match=rf"x\.jsonl: 1 problem\n  {problem}$"):
        read(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(read, content):
    with pytest.raises(BadConfig, match=r"x\.jsonl: 1 problem\n  there is no line in it; give one or more$"):
        read(content)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadConfig, match=r"none\.jsonl: 1 problem\n  it cannot be read: No such file"):
        read_lines(tmp_path / "none.jsonl", dict)


def test_all_problems_are_told_at_once_up_to_ten(read):
    with pytest.raises(BadConfig) as refusal:
        read(b"1\n" * 10 + b'{"a": 1}\n' + b"2\n" * 3)
    first, *lines = str(refusal.value).split("\n")
    assert first.endswith("x.jsonl: 13 problems")
    assert [line.split(":")[0] for line in lines] == [f"  line {n}" for n in range(1, 11)] + ["  and 3 more"]


def test_values_that_are_in_no_file_are_named_by_what_they_are():
    assert read_each("here", "row", ["1", "2"], int) == (1, 2)
    with pytest.raises(BadConfig, match=r"^here: 1 problem\n  row 2: invalid literal"):
        read_each("here", "row", ["1", "x"], int)


def test_equal_values_are_written_alike():
    assert canonical({"b": 1, "a": ["é\ud800"]}) == canonical({"a": ["é\ud800"], "b": 1})
    assert canonical({"a": 1}) != canonical({"a": 2})
