from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.analysis.judge import Design
from harness.cli import main
from harness.commands.ab import measured_text
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.session.ab.compare import ComparisonOutcome
from harness.session.ab.pairs import PairPlan
from tests.support.command_line import refusal_of


@pytest.fixture
def comparison(working_directory, monkeypatch):
    """Replace measuring: comparisons end as *outcome* says, and their arguments are kept."""
    requested = SimpleNamespace(outcome={"ended": "the verdict is clear"}, verdict=GateVerdict.PASS)

    def compare(arms, arguments, plan, *, results_dir, gate, say):
        requested.arms, requested.arguments, requested.plan, requested.results_dir = arms, arguments, plan, results_dir
        say("pair 1 of 3")
        row = GateRow(case="c", metric="m", verdict=requested.verdict, reason="because")
        result = GateResult(baseline="a", candidate="b", design=Design.PAIRED, rows=(row,))
        runs = tuple(results_dir.iterdir()) * 2
        return ComparisonOutcome(**({"result": result, "directories": runs, "pairs": {"c": 3}} | requested.outcome))

    monkeypatch.setattr("harness.session.ab.compare.compare", compare)
    return requested


@pytest.mark.parametrize(
    ("verdict", "code"), [(GateVerdict.PASS, 0), (GateVerdict.REGRESSION, 1), (GateVerdict.INCONCLUSIVE, 3)]
)
def test_a_comparison_exits_with_its_verdict_and_says_where_it_is(comparison, capsys, verdict, code):
    comparison.verdict = verdict
    arguments = ["ab", "same", "env:X=1", "--pairs", "3", "--seed", "7", "--", "suites", "-k", "a", "--", "b"]
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err == "pair 1 of 3\n"
    assert captured.out.startswith("pairs: 3 of c; the verdict is clear\nA: results/")
    assert f"\nverdict: {verdict.value} (exit {code}" in captured.out
    assert comparison.arguments == ["suites", "-k", "a", "--", "b"]
    assert comparison.plan == PairPlan(pairs=3, budget_s=None, seed=7)
    assert [arm.text for arm in comparison.arms] == ["same", "env:X=1"]
    assert comparison.results_dir == Path("results")


def test_an_interrupted_comparison_exits_as_a_shell_says_it(comparison, capsys):
    comparison.outcome = {"ended": "interrupted"}
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert "verdict: pass" in capsys.readouterr().out
    comparison.outcome = {"ended": "interrupted", "result": None, "pairs": {}}
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert "nothing is stored" in capsys.readouterr().err


def test_a_comparison_that_is_interrupted_twice_ends_without_a_traceback(comparison, monkeypatch, capsys):
    def compare(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.session.ab.compare.compare", compare)
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert capsys.readouterr().err == "tunebench: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ab", "same", "same"], "nothing is to be measured"),
        (["ab", "same", "same", "--"], "nothing is to be measured"),
        (["ab", "same", "same", "--", "suites", "--resume=x"], "'--resume=x' is set by the comparison itself"),
        (["ab", "same", "same", "--pairs", "0", "--", "suites"], "--pairs 0"),
        (["ab", "same", "svn:1", "--", "suites"], "'svn:1': unknown form"),
    ],
)
def test_a_comparison_of_nothing_is_refused_before_anything_is_made(comparison, capsys, arguments, message):
    assert message in refusal_of(capsys, *arguments)
    assert not hasattr(comparison, "arms")


@pytest.mark.parametrize("places", [["--json", "-", "--md", "-"], ["--junit", "no/x"]])
def test_a_comparison_whose_answer_has_no_place_is_not_begun(comparison, capsys, places):
    assert "places of the answer: 1 problem" in refusal_of(capsys, "ab", "same", "same", *places, "--", "suites")
    assert not hasattr(comparison, "arms")


def test_a_comparison_says_where_the_two_dashes_belong(comparison, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["ab", "same", "env:X=a b", "suites/inference"])
    assert stop.value.code == 2
    assert "put -- before what is for pytest" in (message := capsys.readouterr().err)
    assert "tunebench ab same 'env:X=a b' -- suites/inference" in message


def test_a_comparison_says_what_was_measured_why_it_ended_and_where_it_is():
    text = measured_text((Path("r/x-a"), Path("r/x-b")), {"c": 3, "d": 2}, "the budget\x1b is spent")
    assert text == "pairs: 3 of c, 2 of d; the budget? is spent\nA: r/x-a\nB: r/x-b\n"
