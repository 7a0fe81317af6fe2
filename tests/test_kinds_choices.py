from samples import bundle, key, measured, record, weights

from harness.configs import read_policy
from harness.kinds.choices import costs, evidence, use_cases
from harness.kinds.frame import runs_of
from harness.pages import State
from harness.policies import CardText, Limit, Policy, Rank, Rating, UseCase
from harness.records import Status

FAST, SLOW = [1.0, 1.01, 1.02, 1.03, 1.04], [3.0, 3.01, 3.02, 3.03, 3.04]
LIMIT = Limit(metric="leak_rate", statistic="median", at_most=0.05)
CHAT = UseCase(name="chat", rank=Rank(metric="response_s"), limits=(LIMIT,))
POLICY = Policy(
    name="mine.toml", sha256="s", rating=Rating(steps=(), otherwise="any"), use_cases=(CHAT,), cards=CardText()
)


def measured_case(name, response, leaks, **changes):
    return [
        record(f"inference/{name}", metrics={"response_s": measured("response_s", *response)}, **changes),
        record(f"evaluation/{name}", metrics={"leak_rate": measured("leak_rate", *leaks)}, **changes),
    ]


def rows(table):
    return [tuple(cell.text for cell in row) for row in table.rows]


RECORDS = [
    *measured_case("a/base", FAST, [0.5] * 5),
    *measured_case("b/base", SLOW, [0.0] * 5),
    *measured_case("c/base", SLOW, [0.0], key=key(weights=weights(source="nano"))),
]


def test_a_use_case_shows_limits_ranking_answer_and_reason():
    section = use_cases(runs_of([bundle(*RECORDS)]), POLICY)
    needed = "leak_rate (median) were at most 5.000 %; it is 50.00 %"
    assert rows(section.tables[0]) == [
        (
            "chat",
            "leak_rate median at most 5.000 %",
            "response_s",
            "b/base",
            f"the only one within all limits; a/base is within the limits if its {needed}",
        )
    ]
    assert "mine.toml" in section.text


def test_the_evidence_shows_each_case_against_each_limit_and_what_was_left_out():
    weighed, left_out = evidence(runs_of([bundle(*RECORDS)]), POLICY).tables
    limit = "leak_rate median at most 5.000 %"
    assert rows(weighed) == [
        ("chat", "a/base", limit, "50.00 % (n=5; evaluation)", "no"),
        ("chat", "b/base", limit, "0 % (n=5; evaluation)", "yes"),
    ]
    assert rows(left_out) == [("chat", "c/base: stand-in weights (nano)")]


def test_where_every_case_was_considered_there_is_no_table_of_others():
    (table,) = evidence(runs_of([bundle(*RECORDS[:4])]), POLICY).tables
    assert table.caption == "Cases against limits"


def test_a_cost_stands_with_its_processes_and_against_the_least():
    cases = [
        record(f"training/{name}", metrics={"train_wall_s": measured("train_wall_s", *values)})
        for name, values in (("a/r8", [value / 3 for value in SLOW]), ("b/r8", SLOW), ("c/r8", SLOW[:1]))
    ]
    (table,) = costs(runs_of([bundle(*cases)])).tables
    a, b, c = rows(table)
    assert a == ("a/r8", "1.007 s (n=5)", "the least")
    assert b[:2] == ("b/r8", "3.020 s (n=5)")
    assert b[2].startswith("3")
    assert c[1:] == ("3.000 s (n=1)", "n=1; a verdict needs 5 processes a case")
    assert table.columns[1] == "seconds per training run"


def test_what_cannot_be_told_has_its_reason_below():
    records = [*measured_case("a/base", FAST, [0.0]), record("inference/b/base")]
    table, _ = evidence(runs_of([bundle(*records)]), POLICY).tables
    (figure, kept), (missing, unknown) = (row[3:] for row in table.rows)
    assert (figure.text, kept.text, kept.notes) == ("0 % (n=1; evaluation)", "cannot tell", (1,))
    assert (missing.state, unknown.text, unknown.notes) == (State.NOT_MEASURED, "cannot tell", (2,))
    assert table.notes == ("n=1; a verdict needs 5", "leak_rate was not measured")


def test_of_several_runs_each_answer_names_its_own():
    runs = runs_of([bundle(*RECORDS), bundle(*RECORDS, id="20260102-030405-ef01")])
    assert [row[0] for row in rows(use_cases(runs, POLICY).tables[0])] == [
        "chat (20260102-030405-abcd)",
        "chat (20260102-030405-ef01)",
    ]
    assert evidence(runs, POLICY).tables[1].rows[1][0].text == "chat (20260102-030405-ef01)"


def test_a_case_that_is_doubted_in_one_suite_stays_one_case():
    doubted = record(
        "evaluation/a/base", status=Status.INVALID, reason="odd", metrics={"leak_rate": measured("leak_rate", 0.0)}
    )
    records = [measured_case("a/base", FAST, [0.0])[0], doubted, *RECORDS[2:4]]
    _, left_out = evidence(runs_of([bundle(*records)]), POLICY).tables
    assert rows(left_out) == [("chat", "a/base: evaluation ended as invalid: odd")]


def test_a_run_without_a_case_has_no_use_cases_and_the_shipped_policy_recommends_nothing_unmeasured():
    nothing = runs_of([bundle()])
    assert use_cases(nothing, read_policy(None)).empty
    assert evidence(nothing, read_policy(None)).empty
    section = use_cases(runs_of([bundle(record())]), read_policy(None))
    assert {row[3] for row in rows(section.tables[0])} == {"insufficient evidence"}
