import math
from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.judge import Demand, Verdict, _judge_change
from harness.analysis.stats.changes import Change, change_of_pairs
from harness.analysis.stats.estimates import Interval
from harness.gate.power import detectable, more
from harness.results.records import Better

PAIRS = Demand(tolerance=0.03)
STORED = Demand(tolerance=0.03, margin=0.05)


def change(point, error, *, rise=0.5, fall=0.5):
    reach = 2 * error
    interval = Interval(
        low=point * math.exp(-reach), point=point, high=point * math.exp(reach), confidence=0.95, method=""
    )
    return Change(ratio=interval, rise=rise, fall=fall, error=error, freedom=1e9)  # as good as normal


def test_of_twenty_quiet_pairs_the_tolerance_limits_what_can_be_seen():
    """The interval's share 1.96 x 0.1 % is taken off 3 %, and 1.28 x 0.1 % added for nine times of ten."""
    expected = math.expm1(math.log1p(0.03) - 1.95996 * 0.001 + 1.28155 * 0.001)
    assert detectable(change(1.0, 0.001), PAIRS, 20) == pytest.approx(expected, rel=1e-4)


def test_of_twenty_noisy_pairs_noise_does():
    """2.576 standard errors leave 0.5 % to chance."""
    expected = math.expm1((2.57583 + 1.28155) * 0.02)
    assert detectable(change(1.0, 0.02), PAIRS, 20) == pytest.approx(expected, rel=1e-4)


def test_many_metrics_see_less_than_one():
    assert detectable(change(1.0, 0.02), PAIRS, 20, among=100) > detectable(change(1.0, 0.02), PAIRS, 20)


def test_of_another_day_no_less_than_machine_and_tolerance_together_can_be_seen():
    assert detectable(change(1.0, 0.0), STORED, 20) == pytest.approx(1.05 * 1.03 - 1)


def test_six_pairs_among_a_hundred_could_have_shown_nothing():
    assert detectable(change(1.0, 0.001), PAIRS, 6, among=100) is None


def test_what_can_be_seen_is_found_nine_times_of_ten():
    """Of normal noise; three standard deviations of 400 rounds are 4.5 points."""
    random = np.random.default_rng(1)
    seen = detectable(replace(change(1.0, 0.02 * math.sqrt(2 / 20)), freedom=0.7 * 19), PAIRS, 20)
    found = 0
    for _ in range(400):
        ratios = (1 + seen) * random.lognormal(0, 0.02 * math.sqrt(2), 20)
        estimated = change_of_pairs(ratios.tolist(), [1.0] * 20)
        found += _judge_change(estimated, Better.LOWER, PAIRS, 20).verdict is Verdict.WORSE
    assert 0.85 <= found / 400 <= 0.96


def test_more_pairs_pass_what_seems_unchanged():
    """1.96 x 1.5 % has to become 3 %: n (1.96 x 0.015 / 0.02956)^2."""
    assert more(change(1.0, 0.03), PAIRS, 20) == math.ceil(20 * (1.95996 * 0.03 / math.log(1.03)) ** 2) - 20


def test_more_pairs_convict_what_seems_slower():
    """At +5 %, 2.576 standard errors have to become 4.88 %."""
    needed = 20 * (2.57583 * 0.03 / math.log(1.05)) ** 2
    assert more(change(1.05, 0.03), PAIRS, 20) == math.ceil(needed) - 20


def test_among_many_metrics_it_takes_as_many_pairs_as_signs_can_prove():
    """0.1 / 6 among 100 leaves 1.7e-4 to chance: thirteen equal signs."""
    assert more(change(1.05, 0.0001), PAIRS, 6, among=100) == 13 - 6


def test_of_another_day_no_number_decides_what_the_machine_may_have_done():
    assert more(change(1.04, 0.001), STORED, 20) is None


def test_far_too_many_is_none():
    assert more(change(1.0299, 0.03), PAIRS, 20) is not None  # as a change
    assert more(change(1.0, 3.0), PAIRS, 20) is None
