from dataclasses import replace

import pytest

from harness.analysis.judge import Design
from harness.gate.verdicts import GateVerdict, Measurement, Role
from harness.gate.wording import terms
from harness.results.records import Better, Kind
from tests.support.gate_samples import interval, one_of_each, result, row, unmeasured

PASS, OPEN, WORSE = GateVerdict.PASS, GateVerdict.INCONCLUSIVE, GateVerdict.REGRESSION


def test_what_could_be_seen_and_how_many_there_were():
    assert terms.detectable(row(detectable=0.034)) == "≥ 3.4 %"
    assert terms.detectable(row(detectable=None)) == terms.NOTHING
    assert [terms.processes(row(processes=pair)) for pair in ((6, 6), (6, 5), None)] == [
        "6",
        "6 and 5",
        terms.NOTHING,
    ]


@pytest.mark.parametrize(
    ("more", "design", "text"),
    [
        (7, Design.INDEPENDENT, "7 more processes a side"),
        (1, Design.INDEPENDENT, "1 more process a side"),
        (7, Design.PAIRED, "7 more pairs"),
        (1, Design.PAIRED, "1 more pair"),
        (1000, Design.PAIRED, "1,000 more pairs"),
        (6351, Design.INDEPENDENT, "over 1,000 more processes a side"),
        (None, Design.PAIRED, ""),
    ],
)
def test_what_would_decide_it(more, design, text):
    assert terms.more(row(more=more), design) == text


def test_rows_of_one_reason_are_one_over_all_cases():
    rows = [
        unmeasured(metric="a"),
        unmeasured(metric="x", reason="another"),
        unmeasured(metric="b", label="late"),
        unmeasured(metric="c", case="other/tiny/base"),
    ]
    assert [(group.where, group.titles) for group in terms.folded(rows)] == [
        ("2 cases", ["a", "b late", "c"]),
        ("inference/tiny/base", ["x"]),
    ]


def test_rows_that_lack_more_or_less_are_not_one():
    rows = [unmeasured(OPEN, more=4), unmeasured(OPEN, more=2)]
    assert [terms.why(group.row, Design.PAIRED) for group in terms.folded(rows)] == [
        "not there; 4 more pairs",
        "not there; 2 more pairs",
    ]


def test_many_names_are_counted():
    assert [terms.names([*value]) for value in ("", "abc", "abcde")] == ["all", "a, b, c", "a, b, c and 2 more"]


def test_the_greatest_change_for_the_worse_is_first_and_no_number_last():
    rows = [unmeasured(), row(ratio=interval(1, 1.1, 2)), row(better=Better.HIGHER, ratio=interval(0.1, 0.5, 1))]
    assert terms.worst_first(rows) == [rows[2], rows[1], rows[0]]


def test_what_is_required_comes_before_what_is_watched_however_much_worse_that_is():
    rows = [row(role=Role.WATCHED, ratio=interval(1, 9, 10)), row(ratio=interval(1, 1.1, 2)), unmeasured()]
    assert terms.worst_first(rows) == [rows[1], rows[2], rows[0]]


def test_the_greatest_change_for_the_better_is_first():
    watched = row(role=Role.WATCHED, ratio=interval(0.1, 0.2, 0.3))
    rows = [watched, unmeasured(), row(ratio=interval(0.5, 0.9, 1)), row(ratio=interval(0.5, 0.8, 1))]
    assert terms.best_first(rows) == [rows[3], rows[2], rows[1], rows[0]]


def test_a_reason_does_not_repeat_the_ratio_that_the_change_says():
    first, second = Measurement(ratio=interval(0.7, 0.8, 0.9), reason=""), interval(0.7, 0.81, 0.9)
    confirmed = row(ratio=first.ratio, reason="", confirmed_by=replace(first, ratio=second))
    assert terms.reason(confirmed) == "measured again"
    assert terms.full_reason(confirmed) == "ratio 0.800 [0.700, 0.900]; measured again: ratio 0.810 [0.700, 0.900]"
    suspected = row(ratio=interval(0.9, 1.0, 1.1), reason="", suspicion=first)
    assert terms.reason(suspected) == "suspected, and it did not recur"
    assert terms.full_reason(suspected) == (
        "suspected (ratio 0.800 [0.700, 0.900]), and it did not recur: ratio 1.000 [0.900, 1.100]"
    )
    assert terms.reason(replace(suspected, reason="one of 12")) == "suspected, and it did not recur; one of 12"
    assert terms.reason(row(ratio=first.ratio, reason="one of 12")) == "one of 12"
    assert terms.full_reason(row(ratio=first.ratio, reason="one of 12")) == "ratio 0.800 [0.700, 0.900]; one of 12"
    steady = replace(suspected, ratio=None, reason="equal")
    assert terms.reason(steady) == "suspected (ratio 0.800 [0.700, 0.900]), and it did not recur: equal"


def test_what_cannot_be_judged_comes_by_what_matters_most_and_an_interval_has_a_table():
    rows = (*one_of_each(), unmeasured(OPEN, "mfu"))
    found = [(group.row.verdict.value, *group.titles) for group in terms.unjudged(result(*rows))]
    assert found == [
        ("invalid",),
        ("missing", "load_s"),
        ("not-comparable", "rating"),
        ("inconclusive", "mfu"),
    ]


def test_a_watched_row_that_is_open_stands_in_no_way_unless_it_is_the_verdict():
    watched, worse = row(OPEN, role=Role.WATCHED), row(WORSE)
    assert terms.undecided(result(watched, worse)) == ([], [watched])
    assert terms.undecided(result(watched)) == ([watched], [])


def test_passes_say_what_every_one_of_them_would_have_shown():
    rows = [row(detectable=0.02), row(detectable=0.05), row(WORSE, detectable=0.9)]
    assert terms.passes(rows) == "2 pass: a change of 5.0 % or more would have shown in each"


def test_passes_without_an_interval_claim_nothing():
    rows = [row(), unmeasured(PASS), unmeasured(PASS, kind=Kind.EXACT)]
    said = "3 pass: a change of 4.0 % or more would have shown in 1 of them, 1 compared exactly"
    assert terms.passes(rows) == said
    assert terms.passes([unmeasured(PASS)]) == "1 pass"


def test_the_tally_counts_every_verdict_but_the_ignored():
    said = "1 regression, 1 invalid, 1 missing, 1 not-comparable, 1 inconclusive, 1 improved, 1 pass, 1 ignored"
    assert terms.tally(one_of_each()) == said
    assert terms.tally([row(WORSE), row(WORSE), row(), row()]) == "2 regressions, 2 pass"
    assert terms.tally([]) == "nothing was compared"


def test_a_sentence_says_the_change_what_was_visible_and_what_is_missing():
    said = terms.sentence(row(OPEN, more=7), Design.PAIRED)
    assert said == "25.0 % longer [12.5, 50.0]; detectable ≥ 4.0 %; 7 more pairs"
    assert terms.sentence(unmeasured(), Design.PAIRED) == "not there"


def test_an_open_row_says_why_where_nothing_more_would_decide_it():
    assert terms.remark(row(OPEN, reason="the machine drifted"), Design.INDEPENDENT) == "the machine drifted"
    assert terms.remark(row(WORSE), Design.INDEPENDENT) == ""
