from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.inputs.cases import SUITES, matrix
from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.session.schedule import Turn, in_rounds, one_by_one

MODELS = [read_model(name) for name in ("gpt2", "qwen", "tinyllama")]
CASES = [case for suite in SUITES for case in matrix(suite, MODELS, [read_adapter("qv-r8")], read_profile("smoke"))]


def test_a_turn_is_named_by_its_case_and_its_number():
    assert Turn(case=CASES[0], number=3).id == "training/gpt2/qv-r8#3"


def test_one_by_one_finishes_a_case_before_the_next_begins():
    a, b = CASES[:2]
    assert [turn.id for turn in one_by_one([a, b], 2)] == [f"{a.id}#1", f"{a.id}#2", f"{b.id}#1", f"{b.id}#2"]


def test_a_single_round_keeps_the_order_that_was_asked_for():
    assert [turn.case for turn in in_rounds(CASES, 1)] == CASES


@given(st.integers(2, 6), st.integers(0, 99))
def test_every_round_measures_every_case_once(repeats, seed):
    turns = in_rounds(CASES, repeats, seed)
    assert len(turns) == repeats * len(CASES)
    for number in range(repeats):
        round_turns = turns[number * len(CASES) : (number + 1) * len(CASES)]
        assert Counter(turn.case.id for turn in round_turns) == Counter(case.id for case in CASES)
        assert {turn.number for turn in round_turns} == {number + 1}


@given(st.integers(0, 99))
def test_in_the_first_round_training_comes_before_what_uses_it(seed):
    suites = [turn.case.suite for turn in in_rounds(CASES, 2, seed)[: len(CASES)]]
    assert suites[:3] == ["training"] * 3


def test_the_rounds_differ_from_each_other_and_the_seed_decides_how():
    turns = in_rounds(CASES, 4, seed=7)
    size = len(CASES)
    orders = {tuple(turn.case.id for turn in turns[start : start + size]) for start in range(0, 4 * size, size)}
    assert len(orders) == 4
    assert in_rounds(CASES, 4, seed=7) == turns
    assert in_rounds(CASES, 4, seed=8) != turns


@pytest.mark.parametrize("suite", SUITES)
def test_after_the_first_round_no_suite_always_comes_first(suite):
    firsts = {in_rounds(CASES, 2, seed)[len(CASES)].case.suite for seed in range(40)}
    assert suite in firsts
