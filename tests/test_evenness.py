from harness.evenness import latency, steadiness
from harness.tables import columns_of
from tests.samples import bundle, measured, record


def columns(**metrics):
    return columns_of([bundle(record(metrics=metrics))], "inference")


def test_percentiles_are_taken_within_a_process_and_the_median_of_the_processes_is_shown():
    spread = tuple(number / 1000 for number in range(1, 102))  # 1 to 101 ms
    slower = tuple(2 * value for value in spread)
    labels = ("short",) * 101
    section = latency(columns(itl_s=measured("itl_s", spread, slower, slower, labels=labels)))
    assert section.table.columns == ("case", "scenario", "p50", "p90", "p99", "longest", "processes × intervals")
    assert section.table.rows == (("tiny/base", "short", "102.0 ms", "182.0 ms", "200.0 ms", "202.0 ms", "3 × 101"),)


def test_every_scenario_has_a_row_of_its_own():
    readings = measured("itl_s", (0.1, 0.2, 0.4), labels=("short", "short", "long"))
    assert [row[1:3] for row in latency(columns(itl_s=readings)).table.rows] == [
        ("short", "150.0 ms"),
        ("long", "400.0 ms"),
    ]


def test_a_case_without_intervals_has_no_row():
    assert latency(columns(itl_s=measured("itl_s", reason="none"))).table.rows == ()
    assert latency(columns()).table.rows == ()


def test_the_spread_within_and_between_processes_is_told_apart():
    repeats = measured("repeat_decode_tokens_per_s", (9.0, 10.0, 11.0), (19.0, 20.0, 21.0))
    (row,) = steadiness(columns(repeat_decode_tokens_per_s=repeats)).table.rows
    assert row == ("tiny/base", "7.500 %", "47.14 %")  # medians 10 and 20: 7.071 / 15


def test_one_process_tells_nothing_of_the_others():
    repeats = measured("repeat_decode_tokens_per_s", (9.0, 10.0, 11.0))
    assert steadiness(columns(repeat_decode_tokens_per_s=repeats)).table.rows == (
        ("tiny/base", "10.00 %", "not measured"),
    )


def test_what_was_not_repeated_has_no_spread():
    repeats = measured("repeat_decode_tokens_per_s", reason="the disk was full")
    assert steadiness(columns(repeat_decode_tokens_per_s=repeats)).table.rows == (
        ("tiny/base", "not measured", "not measured"),
    )
    assert steadiness(columns()).table.rows == ()
