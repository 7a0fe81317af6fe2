from harness.gate.verdicts import GateVerdict, Origin, Role
from harness.report.kinds.gate import gate_report
from harness.results.records import Better
from tests.support.gate_samples import EVIL, every_kind, interval, result, row, unmeasured
from tests.support.samples import Page, grid, markdown, section, titles


def test_the_worst_is_first_and_what_is_fine_is_folded():
    report = gate_report(every_kind())
    assert titles(report) == [
        "Regressions",
        "What cannot be judged",
        "Inconclusive",
        "Improved",
        "Passed: 1",
        "Ignored by the policy",
    ]
    assert [name.title for name in report.sections if name.detail] == ["Passed: 1", "Ignored by the policy"]
    assert report.banners == ("the baseline is 40 days old",)
    assert report.headline[-1].startswith("verdict: regression (exit 1")


def test_a_row_holds_the_text_and_the_numbers_of_its_change():
    report = gate_report(every_kind())
    (cells,) = grid(report, "Regressions")
    assert cells == {
        "verdict": "regression",
        "case": "inference/tiny/base",
        "metric": "step_s late",
        "change": "25.0 % longer [12.5, 50.0]",
        "baseline": "500.0 ms",
        "candidate": "625.0 ms",
        "detectable": "≥ 4.0 %",
        "n": "6",
        "remark": "",
    }
    change = section(report, "Regressions").tables[0].rows[0][3]
    assert (change.value, change.low, change.high, change.unit) == (0.25, 0.125, 0.5, "share")


def test_what_cannot_be_judged_is_a_line_a_case_and_reason():
    report = gate_report(result(unmeasured(metric="a"), unmeasured(metric="b"), unmeasured(metric="", case="")))
    assert grid(report, "What cannot be judged") == [
        {"verdict": "missing", "case": "inference/tiny/base", "metrics": "a, b", "reason": "not there"},
        {"verdict": "missing", "case": "the run", "metrics": "all", "reason": "not there"},
    ]


def test_one_reason_of_many_cases_is_one_line():
    report = gate_report(result(*(unmeasured(case=f"c{at}") for at in range(20))))
    (cells,) = grid(report, "What cannot be judged")
    assert (cells["case"], cells["metrics"]) == ("20 cases", "load_s")


def test_watched_regressions_are_folded_beside_required_ones():
    worse = GateVerdict.REGRESSION
    report = gate_report(result(row(worse), row(worse, "mfu", role=Role.WATCHED)))
    assert [(name.title, name.detail) for name in report.sections] == [
        ("Regressions", False),
        ("Watched, and worse too: 1", True),
    ]


def test_the_change_of_a_rate_is_its_own_in_text_and_number():
    rate = row(GateVerdict.REGRESSION, better=Better.HIGHER, unit="token/s", ratio=interval(0.5, 0.75, 0.875))
    change = section(gate_report(result(rate)), "Regressions").tables[0].rows[0][3]
    assert (change.text, change.low, change.value, change.high) == (
        "25.0 % fewer token/s [12.5, 50.0]",
        -0.5,
        -0.25,
        -0.125,
    )


def test_the_page_says_where_both_sides_come_from():
    a, b = (Origin(run=run_id, started_at="2026-11-01") for run_id in ("run-a", "run-b"))
    assert gate_report(result(row(), origins=(a, b))).headline[1].startswith("baseline: run run-a, measured 2026")


def test_what_is_ignored_says_why_and_what_is_watched_stands_apart():
    watched = row(GateVerdict.INCONCLUSIVE, "mfu", role=Role.WATCHED, more=2)
    report = gate_report(result(*every_kind().rows, watched))
    (cells,) = grid(report, "Ignored by the policy")
    assert (cells["metric"], cells["why it does not count"]) == ("itl_s", "meter broken, until 2027-01-01")
    assert [cells["metric"] for cells in grid(report, "Inconclusive")] == ["first_step_s"]
    (cells,) = grid(report, "Watched, and undecided: 1")
    assert (cells["metric"], cells["remark"]) == ("mfu", "2 more processes a side")


def test_every_verdict_has_a_symbol_that_the_page_explains():
    page = markdown(gate_report(every_kind()))
    for symbol in ("regression ▼", "invalid –", "missing –", "comparable ⊘", "inconclusive ?", "improved ▲", "pass ~"):
        assert symbol in page
    assert "▼ regression, – invalid or missing, ⊘ not comparable, ? inconclusive, ▲ improved, ~ pass." in page


def test_the_page_begins_with_the_marker_of_a_comment_that_is_kept_up_to_date():
    assert markdown(gate_report(every_kind())).startswith(
        "<!-- tunebench-gate -->\n# Gate: regression: inference/tiny/base step_s late 25.0 % longer\n"
    )


def test_no_text_in_a_page_acts_or_is_longer_than_a_reader_goes_through():
    long = EVIL + "x" * 5000
    rows = (
        row(GateVerdict.REGRESSION, long, case=long),
        unmeasured(metric=long, case=long, reason=long),
        row(role=Role.IGNORED, ignored=long),
    )
    report = gate_report(result(*rows, baseline=long, policy=long, warnings=(long,)))
    page = markdown(report)
    assert len(page) < 15_000
    structure = {"h1", "h2", "p", "ul", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in Page(page).tags} <= structure | {"code", "br", "details", "summary"}
    assert "@team" not in page


def test_a_pass_has_no_empty_headings():
    assert titles(gate_report(result(row()))) == ["Passed: 1"]
    assert gate_report(result(row())).headline[0] == "run-b against run-a: a stored baseline; policy default."
    assert gate_report(result()).sections == ()
