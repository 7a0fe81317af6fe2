from dataclasses import replace

import pytest

from harness.results.records import Readings
from harness.worker.model_costs import ModelShape
from harness.worker.workloads import resource_usage
from harness.worker.workloads.resource_usage import Gauges, doubt_about, mbu, usage_readings
from harness.worker.workloads.response import Response

SHAPE = ModelShape(
    layers=2,
    block_parameters=1,
    head_parameters=1,
    attention_width=4,
    kv_width=3,
    vocabulary=8,
    hidden=4,
    stored_bytes=2000,
    weight_bytes=1000,
    kv_bytes_per_element=4,
)
START = Gauges(wall_ns=5 * 10**9, cpu_ns=10**9, joules={"package": 100.0, "dram": 7.0})


def test_processor_time_is_told_in_percent_of_wall_time():
    """Six seconds of processor time in four of wall time: a core and a half."""
    end = Gauges(wall_ns=9 * 10**9, cpu_ns=7 * 10**9, joules={})
    assert usage_readings(START, end, 10, "none")["cpu_percent"] == Readings(values=(150.0,))


def test_energy_is_told_by_part_and_token():
    end = Gauges(wall_ns=9 * 10**9, cpu_ns=7 * 10**9, joules={"package": 140.0, "dram": 12.0})
    energy = usage_readings(START, end, 10, "none")["energy_j_per_token"]
    assert energy == Readings(values=(4.0, 0.5), labels=("package", "dram"))


@pytest.mark.parametrize(("before", "after"), [({}, {}), ({"package": 1.0}, {}), ({}, {"package": 1.0})])
def test_without_a_reading_on_both_sides_there_is_a_reason_in_place_of_energy(before, after):
    end = Gauges(wall_ns=9 * 10**9, cpu_ns=7 * 10**9, joules=after)
    energy = usage_readings(replace(START, joules=before), end, 10, "no meter here")["energy_j_per_token"]
    assert energy == Readings(values=(), reason="no meter here")


def test_mbu_is_what_a_token_reads_at_its_rate_over_what_the_machine_can_copy(monkeypatch):
    """A token reads 1000 bytes of weights, and 2 x 2 layers x 3 x 4 = 48 bytes for each token of its context.

    Behind a prompt of 30 tokens and half of 4 more that is 1000 + 32 x 48 = 2536 bytes, at 2 token/s 5072 byte/s.
    """
    monkeypatch.setattr(resource_usage, "CACHE_BYTES", 0)
    stamps = {"tokens": (7, 8, 9, 7), "tokenized_s": 0.5, "token_s": (2.0, 2.5, 3.0, 3.5)}
    short = Response(scenario="short", prompt_tokens=30, **stamps)
    code = Response(scenario="code", prompt_tokens=3, **stamps)
    assert mbu([short, code], SHAPE, 10_000.0) == Readings(values=(0.5072, 0.248), labels=("short", "code"))


@pytest.mark.parametrize(("weight_bytes", "measured"), [(64 * 1024 * 1024 - 1, 0), (64 * 1024 * 1024, 1)])
def test_weights_below_64_mib_have_a_reason_in_place_of_mbu(weight_bytes, measured):
    response = Response(scenario="short", prompt_tokens=30, tokens=(7, 8), tokenized_s=0.5, token_s=(2.0, 2.5))
    share = mbu([response], replace(SHAPE, weight_bytes=weight_bytes), 1e9)
    assert len(share.values) == measured
    assert share.reason == (
        None if measured else "the weights of a token are less than 64 MiB: a processor's cache may hold them"
    )


def test_an_mbu_above_1_is_doubted_and_the_highest_is_named():
    share = Readings(values=(0.5, 1.05, 1.234, 1.1), labels=("short", "short", "code", "long"))
    assert doubt_about(share) == (
        "mbu of 1.23 in scenario code: more bytes than this machine can move; the clock or the count is wrong"
    )


@pytest.mark.parametrize(
    "share", [Readings(values=(1.0, 0.2), labels=("short", "code")), Readings(values=(), reason="in the cache")]
)
def test_an_mbu_up_to_1_or_none_is_not_doubted(share):
    assert doubt_about(share) is None


def test_a_model_of_unknown_shape_has_a_reason_in_place_of_mbu():
    assert mbu([], None, 1.0).reason == "the sizes of this architecture's matrices cannot be told"
