import re
from unittest.mock import ANY

import pytest

from harness.commands.gate_text import gate_text
from harness.gate.verdicts import GateVerdict, Origin, Role
from tests.support.gate_samples import EVIL, every_kind, interval, result, row, unmeasured


def lines(text):
    """Split each line into its cells."""
    return [re.split(r"  +", line.rstrip()) for line in text.splitlines()]


def test_a_gate_lists_the_worst_first_and_ends_with_the_verdict():
    assert lines(gate_text(every_kind())) == [
        ["run-b against run-a: a stored baseline; policy default"],
        ["warning: the baseline is 40 days old"],
        [""],
        ["regression: inference/tiny/base step_s late 25.0 % longer"],
        [""],
        ["verdict", "case", "metric", "change", "detectable", "n", "remark"],
        ANY,
        ["regression", "inference/tiny/base", "step_s late", "25.0 % longer [12.5, 50.0]", "≥ 4.0 %", "6"],
        [""],
        ["invalid: training/tiny/r8: all: oom: killed at 7.5 GiB"],
        ["missing: inference/tiny/base: load_s: not there"],
        ["not-comparable: inference/tiny/base: rating: differing: device"],
        [""],
        ["verdict", "case", "metric", "change", "detectable", "n", "remark"],
        ANY,
        [
            "inconclusive",
            "inference/tiny/base",
            "first_step_s",
            "6.2 % longer [−25.0, 12.5]",
            "≥ 4.0 %",
            "6",
            "7 more processes a side",
        ],
        [""],
        ["verdict", "case", "metric", "change", "detectable", "n", "remark"],
        ANY,
        ["improved", "inference/tiny/base", "tpot_s", "25.0 % shorter [12.5, 50.0]", "≥ 4.0 %", "6"],
        [""],
        ["1 pass: a change of 4.0 % or more would have shown in each"],
        ["1 ignored: meter broken, until 2027-01-01"],
        ["verdict: regression (exit 1: something got worse)"],
    ]


def test_a_gate_that_passes_lists_nothing():
    watched = row(GateVerdict.INCONCLUSIVE, role=Role.WATCHED)
    gate_result = result(row(), watched, row(GateVerdict.REGRESSION))
    assert "1 watched metric undecided, which the verdict does not need" in gate_text(gate_result)
    assert gate_text(result(row())).splitlines()[1:] == [
        "",
        "pass: ttft_s of 1 case; a change of 4.0 % would have shown",
        "",
        "1 pass: a change of 4.0 % or more would have shown in each",
        "verdict: pass (exit 0: nothing that counts got worse)",
    ]


def test_of_one_verdict_the_worst_is_first_and_of_the_improved_the_best():
    worse = [row(GateVerdict.REGRESSION, name, ratio=interval(1, ratio, 4)) for name, ratio in (("a", 1.5), ("b", 3.0))]
    better = [
        row(GateVerdict.IMPROVED, name, ratio=interval(0.1, ratio, 1)) for name, ratio in (("c", 0.75), ("d", 0.5))
    ]
    rows = lines(gate_text(result(*worse, *better)))
    assert [line[2] for line in rows if line[0] in {"regression", "improved"}] == ["b", "a", "d", "c"]


def test_a_long_gate_is_cut_verdict_by_verdict_and_says_so():
    worse = [row(GateVerdict.REGRESSION, f"m{at}") for at in range(32)]
    lost = [unmeasured(metric=f"m{at}", reason=f"{at}") for at in range(31)]
    text_lines = gate_text(result(*worse, *lost)).splitlines()
    assert [line for line in text_lines if line.startswith("and ")] == [
        "and 2 more; --json FILE has all",
        "and 1 more; --json FILE has all",
    ]
    assert sum(line.startswith("regression ") for line in text_lines) == 30
    assert sum(line.startswith("missing: ") for line in text_lines) == 30


def test_nothing_in_a_gate_steers_the_terminal():
    rows = (row(GateVerdict.REGRESSION, EVIL, case=EVIL), unmeasured(metric=EVIL, case=EVIL, reason=EVIL))
    ignored = row(role=Role.IGNORED, ignored=EVIL)
    text = gate_text(result(*rows, ignored, baseline=EVIL, policy=EVIL, warnings=(EVIL,)))
    assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert not any(line.startswith("::") for line in text.split("\n"))


@pytest.mark.parametrize("columns", [1, 80, 100])
def test_a_gate_s_rows_stay_within_the_terminal(columns):
    rows = [row(verdict, reason="word " * 40) for verdict in (GateVerdict.REGRESSION, GateVerdict.INCONCLUSIVE)]
    text_lines = gate_text(result(*rows), columns).splitlines()
    assert max(map(len, text_lines)) <= max(columns, 80)
    position = text_lines.index("inconclusive: inference/tiny/base ttft_s")
    assert text_lines[position + 1].startswith("    25.0 % longer [12.5, 50.0]; detectable ≥ 4.0 %; n 6; word word")


def test_watched_regressions_are_a_line_a_case_beside_required_ones():
    watched = [row(GateVerdict.REGRESSION, metric, role=Role.WATCHED) for metric in "ab"]
    text_lines = gate_text(result(row(GateVerdict.REGRESSION), *watched)).splitlines()
    assert "inference/tiny/base: 2 watched metrics of it got worse too: a, b" in text_lines
    assert sum(line.startswith("regression ") for line in text_lines) == 1


def test_one_reason_of_many_cases_is_one_line():
    lost = [unmeasured(GateVerdict.INCONCLUSIVE, case=f"c{at}", reason="n=1", more=4) for at in range(20)]
    assert "inconclusive: 20 cases: load_s: n=1; 4 more processes a side" in gate_text(result(*lost))


def test_where_both_sides_come_from_is_said():
    a, b = (Origin(run=run, started_at="2026-11-01") for run in ("run-a", "run-b"))
    assert "\nbaseline: run run-a, measured 2026-11-01, " in gate_text(result(origins=(a, b)))
