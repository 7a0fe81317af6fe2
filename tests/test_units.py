import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.units import count_of, format_number, format_percent, format_value, scale_of

SIZES = {"h": 3600.0, "min": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.5, "s", "1.500 s"),
        (0.0123456, "s", "12.35 ms"),
        (4.2e-6, "s", "4.200 µs"),
        (-0.25, "s", "-250.0 ms"),
        (1536, "byte", "1.500 KiB"),
        (3 * 2**20, "byte", "3.000 MiB"),
        (538090403, "byte", "513.2 MiB"),
        (5 * 2**30, "byte", "5.000 GiB"),
        (2.5e9, "byte/s", "2.500 GB/s"),
        (2.5e6, "byte/s", "2.500 MB/s"),
        (2500, "byte/s", "2.500 kB/s"),
        (7.25e12, "FLOP/s", "7.250 TFLOP/s"),
        (7.25e9, "FLOP/s", "7.250 GFLOP/s"),
        (7.25e6, "FLOP/s", "7.250 MFLOP/s"),
        (123.456, "token/s", "123.5 token/s"),
        (12345.6, "token/s", "12,346 token/s"),
        (1.234567, "bit/byte", "1.235 bit/B"),
        (8.1, "1", "8.100"),
        (0.5, "share", "50.00 %"),
    ],
)
def test_a_number_has_four_figures_and_the_scale_that_fits(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (134515008, "parameter", "134,515,008"),
        (10, "iteration", "10"),
        (1234567, "token", "1,234,567 token"),
        (12345, "row", "12,345 row"),
    ],
)
def test_a_count_is_written_whole(value, unit, text):
    assert format_value(value, unit) == text


def test_what_was_not_measured_is_not_written_as_a_number():
    assert format_value(None, "s") == "not measured"


def test_nothing_is_a_plain_zero():
    assert format_value(0, "s") == "0 s"
    assert format_value(0.0, "token/s") == "0 token/s"


def test_minutes_begin_at_three():
    assert scale_of(179.0, "s") == (1.0, "s")
    assert scale_of(-179.0, "s") == (1.0, "s")
    assert format_value(180.0, "s") == "3.000 min"


def test_a_unit_that_is_not_scaled_is_written_as_it_is():
    assert scale_of(5e9, "token/s") == (1.0, "token/s")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "0.00001000"), (1.5e-6, "1.500e-06"), (-1.5e-6, "-1.500e-06"), (1e15, "1,000,000,000,000,000")],
)
def test_powers_of_ten_are_kept_for_numbers_too_small_for_decimals(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.0314159, "3.142 %"), (-0.5, "-50.00 %"), (1.0, "100.0 %"), (0, "0 %")])
def test_a_share_of_one_is_written_as_a_percentage(share, text):
    assert format_percent(share) == text


@given(
    st.sampled_from(["s", "byte"]),
    st.floats(1.0, 1e9) | st.floats(-1e9, -1.0),
)
@settings(deadline=None)
def test_what_is_written_reads_back_as_the_value(unit, value):
    number, symbol = format_value(value, unit).split(" ")
    read = float(number.replace(",", "")) * SIZES[symbol]
    assert math.isclose(read, value, rel_tol=0.0005)


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1000, "1000 rows")])
def test_a_count_has_its_noun_in_the_singular_for_one_alone(count, text):
    assert count_of(count, "row") == text


def test_an_irregular_plural_is_given():
    assert [count_of(count, "process", "processes") for count in (1, 2)] == ["1 process", "2 processes"]
