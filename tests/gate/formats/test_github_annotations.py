import pytest

from harness.gate.formats.github_annotations import annotations
from harness.gate.verdicts import GateVerdict, Role
from tests.support.gate_samples import EVIL, every_kind, interval, result, row, unmeasured

WORSE, OPEN = GateVerdict.REGRESSION, GateVerdict.INCONCLUSIVE


def levels(lines):
    return [line.split(" ")[0].strip(":") for line in lines]


def test_a_regression_is_an_error_and_what_is_in_the_way_a_warning():
    assert annotations(every_kind()) == [
        (
            "::error title=regression in inference/tiny/base::"
            "step_s late: 25.0 %25 longer [12.5, 50.0]; detectable ≥ 4.0 %25"
        ),
        "::warning title=invalid%3A training/tiny/r8::all: oom: killed at 7.5 GiB",
        "::warning title=missing%3A inference/tiny/base::load_s: not there",
        "::warning title=not-comparable%3A inference/tiny/base::rating: differing: device",
        (
            "::warning title=inconclusive%3A inference/tiny/base::"
            "first_step_s: 6.2 %25 longer [−25.0, 12.5]; detectable ≥ 4.0 %25; 7 more processes a side"
        ),
        "::warning title=tunebench::the baseline is 40 days old",
        (
            "::notice title=tunebench::verdict: regression (exit 1: something got worse) "
            "- 1 regression, 1 invalid, 1 missing, 1 not-comparable, "
            "1 inconclusive, 1 improved, 1 pass, 1 ignored"
        ),
    ]


def test_a_pass_is_a_notice():
    assert levels(annotations(result(row(), row(OPEN, role=Role.WATCHED), row(WORSE)))) == ["error", "notice"]
    assert levels(annotations(result(row()))) == ["notice"]


@pytest.mark.parametrize(("count", "shown", "left"), [(10, 10, None), (11, 9, "2"), (40, 9, "31")])
def test_of_more_than_ten_the_last_counts_the_rest(count, shown, left):
    lines = annotations(result(*(row(WORSE, f"m{at}") for at in range(count))))
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 10
    assert sum("longer" in line for line in errors) == shown
    if left:
        assert errors[-1].endswith(f"::{left} more errors are not shown here; the summary and the JSON have all")


def test_no_text_is_a_command():
    evil = row(WORSE, f"a,b:{EVIL}", case=f"x,y:z%{EVIL}")
    lines = annotations(result(evil, unmeasured(reason=EVIL, case=EVIL), warnings=(EVIL,)))
    assert levels(lines) == ["error", "warning", "warning", "notice"]
    assert not any("\n" in line or "\r" in line for line in lines)
    assert lines[0].startswith("::error title=regression in x%2Cy%3Az%25|<b>`U+001B[2J%0A%3A%3Aerror%3A%3Ax ]]>")
    assert "::a,b:|<b>" in lines[0]


def test_required_regressions_are_said_first_and_watched_ones_in_a_line_a_case():
    watched = [row(WORSE, value, role=Role.WATCHED, ratio=interval(5, 6, 7)) for value in "ab"]
    errors = [line for line in annotations(result(*watched, row(WORSE))) if line.startswith("::error")]
    assert errors[0].startswith("::error title=regression in inference/tiny/base::ttft_s: 25.0 %25 longer")
    assert errors[1:] == ["::error title=tunebench::inference/tiny/base: 2 watched metrics of it got worse too: a, b"]
