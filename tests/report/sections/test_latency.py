from harness.report.cells import columns_of
from harness.report.sections.latency import latency, steadiness
from tests.support.samples import POLICY, bundle, measured, record


def rows(section):
    """Return the texts of the only table of the section."""
    return [tuple(cell.text for cell in cells) for cells in section.tables[0].rows]


def columns(**metrics):
    return columns_of([bundle(record(metrics=metrics))], "inference")


def test_percentiles_are_taken_within_a_process_and_the_median_of_the_processes_is_shown():
    spread = tuple(number / 1000 for number in range(1, 102))  # 1 to 101 ms
    slower = tuple(2 * value for value in spread)
    labels = ("short",) * 101
    section = latency(columns(itl_s=measured("itl_s", spread, slower, slower, labels=labels)))
    assert section.tables[0].columns == ("case", "scenario", "p50", "p90", "p99", "longest", "processes × intervals")
    assert rows(section) == [("tiny/base", "short", "102.0 ms", "182.0 ms", "200.0 ms", "202.0 ms", "3 × 101")]


def test_every_scenario_has_a_row_of_its_own():
    readings = measured("itl_s", (0.1, 0.2, 0.4), labels=("short", "short", "long"))
    assert [row[1:3] for row in rows(latency(columns(itl_s=readings)))] == [("short", "150.0 ms"), ("long", "400.0 ms")]


def test_a_case_without_intervals_has_no_row():
    assert rows(latency(columns(itl_s=measured("itl_s", reason="none")))) == []
    assert rows(latency(columns())) == []


def spread(*processes, **others):
    repeated = columns(repeat_decode_tokens_per_s=measured("repeat_decode_tokens_per_s", *processes, **others))
    return steadiness(repeated, POLICY.rating)


def test_the_spread_within_and_between_processes_is_told_apart():
    (row,) = rows(spread((9.0, 10.0, 11.0), (19.0, 20.0, 21.0)))
    assert row[:3] == ("tiny/base", "7.500 %", "47.14 %")  # medians 10 and 20: 7.071 / 15


def test_one_process_tells_nothing_of_the_others():
    assert rows(spread((9.0, 10.0, 11.0))) == [("tiny/base", "10.00 %", "–", "too few answers (n=3)")]


def test_what_was_not_repeated_has_no_spread_and_says_why():
    section = spread(reason="the disk was full")
    assert rows(section) == [("tiny/base", "not measured", "not measured", "too few answers (n=0)")]
    assert section.tables[0].notes == ("the disk was full",)
    assert rows(steadiness(columns(), POLICY.rating)) == []


def test_a_word_comes_from_the_policy_and_from_ten_answers_on():
    """1, 1.03, 1, 1.03 ... vary by 1.55 % of their mean: very steady is below 2 %."""
    assert rows(spread((1.0, 1.03) * 5))[0][3] == "very steady"
    assert rows(spread((1.0, 1.3) * 5))[0][3] == "unsteady"
    assert rows(spread((1.0, 1.03) * 4))[0][3] == "too few answers (n=8)"
    assert "below 2.000 % very steady" in spread((1.0, 1.03) * 5).text
