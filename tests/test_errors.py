import inspect

import pytest

from harness import errors
from harness.errors import BadConfig, BadRecord, HarnessError, UnknownName


def test_every_refusal_is_one_that_the_command_line_knows():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(kinds) > 5
    assert [kind.__name__ for kind in kinds if not issubclass(kind, HarnessError)] == []


def test_a_bad_record_is_a_bad_value_to_whoever_decodes_it():
    assert issubclass(BadRecord, ValueError)


def test_one_problem_is_one_and_two_are_two():
    assert str(BadConfig("x.toml", ["rank is 0"])) == "x.toml: 1 problem\n  rank is 0"
    assert str(BadConfig("x.toml", ["rank is 0", "scale is 0"])) == "x.toml: 2 problems\n  rank is 0\n  scale is 0"


def test_an_unknown_name_is_told_with_the_nearest_and_all_others_in_order():
    message = str(UnknownName("model", "qwem", ["smollm2", "qwen", "gpt2"], "hf: works too."))
    assert message == "unknown model 'qwem'. Did you mean 'qwen'? Known: gpt2, qwen, smollm2. hf: works too."


@pytest.mark.parametrize(("known", "listing"), [(["qwen"], "qwen"), ([], "none"), (iter(["b", "a"]), "a, b")])
def test_nothing_near_is_no_guess(known, listing):
    assert str(UnknownName("run", "2026", known)) == f"unknown run '2026'. Known: {listing}."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  \nfirst\nsecond"), "first"),
        (ValueError(" \n"), "ValueError"),
        (TimeoutError(), "TimeoutError"),
        ("ld: not found\nexit 1", "ld: not found"),
    ],
)
def test_the_first_line_of_an_error_is_its_first_that_is_not_blank(error, line):
    assert errors.first_line(error) == line
