import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.training.phases import _lines, _misfits, find_phases
from harness.analysis.training.spikes import find_spikes

loss = st.none() | st.floats(-1, 100) | st.sampled_from([0.0, 1.0, 40.0])


def phases_of(y, every=1):
    x = [every * (i + 1) for i in range(len(y))]
    return find_phases(x, y, find_spikes(x, y))


def names(phases):
    return [phase.name for phase in phases]


def noisy(truth, seed, noise=0.08):
    return (np.array(truth) * (1 + noise * np.random.default_rng(seed).standard_normal(len(truth)))).tolist()


def straight(first, last, count):
    """*count* losses evenly spaced in their logarithm."""
    return np.exp(np.linspace(math.log(first), math.log(last), count)).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_long_run_with_a_spike_has_its_phases_where_the_loss_was_made_to_turn(seed):
    """3 to 0.15 by report 100, flat; at 300 up 40 times, down to 0.09 in 300 reports, flat to the end at 1,500."""
    truth = straight(3, 0.15, 100) + [0.15] * 200 + straight(6, 0.09, 300) + [0.09] * 900
    phases = phases_of(noisy(truth, seed), every=10)
    assert names(phases[:4]) == ["Initial descent", "Plateau", "Spike 1", "Recovery 1"]
    assert names(phases[4:]) == ["Steady descent", "Plateau"]
    initial, plateau, spike, recovery, rest, final = phases
    assert abs(initial.end - 1000) <= 100
    assert (spike.start, initial.start, final.end) == (3010, 10, 15000)
    assert recovery.end == pytest.approx(3000 + 3000 * math.log(6 / 0.165) / math.log(6 / 0.09), abs=40)
    assert abs(rest.end - 6000) <= 150
    assert (initial.first, initial.last) == (pytest.approx(3, rel=0.1), pytest.approx(0.15, rel=0.3))
    assert (plateau.first, final.last) == (pytest.approx(0.15, rel=0.06), pytest.approx(0.09, rel=0.03))
    assert spike.last == recovery.first == pytest.approx(6, rel=0.3)
    assert recovery.last == pytest.approx(0.165, rel=0.2)
    assert initial.change == pytest.approx(-0.95, abs=0.02)


def test_noise_about_one_level_is_one_plateau():
    several = [seed for seed in range(60) if names(phases_of(noisy([1.0] * 300, seed))) != ["Plateau"]]
    assert not several


def test_each_report_belongs_to_one_phase():
    truth = straight(3, 1, 50) + [1.0] * 50 + [4.0] + straight(3.5, 1, 20) + [1.0] * 50
    phases = phases_of(noisy(truth, 1, noise=0.03))
    assert (phases[0].start, phases[-1].end) == (1, len(truth))
    assert all(after.start == before.end + 1 for before, after in pairwise(phases))


@pytest.mark.parametrize(
    ("last", "name"),
    [(0.81, "Steady descent"), (0.94, "Steady descent"), (0.96, "Plateau"), (1.04, "Plateau"), (1.06, "Drift up")],
)
def test_a_phase_is_named_by_its_change(last, name):
    (phase,) = phases_of(straight(1, last, 40))
    assert phase.name == name
    assert (phase.first, phase.last, phase.change) == pytest.approx((1, last, last - 1), abs=0.03)


def test_the_first_fall_by_a_fifth_is_the_initial_descent_and_a_later_one_is_steady():
    y = [2.0] * 50 + straight(2, 1, 50) + [1.0] * 50 + straight(1, 0.5, 50)
    assert names(phases_of(y)) == ["Plateau", "Initial descent", "Plateau", "Steady descent"]


def test_a_fall_after_a_spike_is_not_initial():
    y = [1.0] * 30 + straight(4, 1, 30) + straight(1, 0.3, 40)
    assert names(phases_of(y)) == ["Plateau", "Spike 1", "Recovery 1", "Steady descent"]


def test_a_short_spike_interrupts_no_phase():
    assert names(phases_of([1.0] * 150 + [5.0] + [1.0] * 150)) == ["Plateau"]


def test_a_spike_keeps_its_number_where_an_earlier_one_was_short():
    y = [1.0] * 150 + [5.0] + [1.0] * 150 + straight(8, 1, 50) + [1.0] * 100
    assert names(phases_of(y)) == ["Plateau", "Spike 2", "Recovery 2", "Plateau"]


def test_a_short_spike_on_the_way_back_does_not_end_a_recovery():
    way_back = straight(8, 1, 60)
    way_back[20] *= 5
    y = [1.0] * 100 + way_back + [1.0] * 100
    phases = phases_of(y)
    assert names(phases) == ["Plateau", "Spike 1", "Recovery 1", "Plateau"]
    assert phases[2].end == find_spikes(range(1, len(y) + 1), y)[0].recovered


def test_a_lasting_spike_on_the_way_back_ends_a_recovery():
    y = [1.0] * 100 + straight(8, 3, 30) + straight(9, 1, 60) + [1.0] * 100
    found = names(phases_of(y))
    assert found[:5] == ["Plateau", "Spike 1", "Steady descent", "Spike 2", "Recovery 2"]
    assert found[5:] == ["Steady descent", "Plateau"]  # below the 3 from which the second began


def test_what_follows_a_spike_that_is_not_recovered_is_named_by_its_change():
    assert names(phases_of([1.0] * 50 + [3.0] * 100)) == ["Plateau", "Spike 1", "Plateau"]


def test_a_bent_phase_ends_where_its_reports_do_and_not_where_a_line_through_it_would():
    y = [0.15 + 2.85 * math.exp(-i / 50) for i in range(15000)]
    phase = phases_of(y)[0]
    assert 1.001 * y[int(phase.end) - 1] < phase.last < 0.2


def test_lines_of_one_name_are_one_phase():
    (phase,) = phases_of(straight(1, 0.9, 60) + straight(0.9, 0.8, 20) + straight(0.8, 0.7, 60))
    assert (phase.name, phase.start, phase.end) == ("Steady descent", 1, 140)
    assert phase.change == pytest.approx(-0.3, abs=0.01)


def test_fewer_than_twenty_reports_have_no_phases():
    assert phases_of([1.0] * 19) == ()
    assert phases_of([1.0] * 19 + [None]) == ()
    assert len(phases_of([1.0] * 20)) == 1


@pytest.mark.parametrize("y", [[], [None] * 30, [0.0] * 30, [-1.0] * 30])
def test_a_loss_without_a_logarithm_has_no_phases(y):
    assert phases_of(y) == ()


@given(st.lists(loss, max_size=80))
@settings(deadline=None)
def test_no_series_is_too_odd_and_phases_do_not_overlap(y):
    phases = phases_of(y)
    assert all(before.end < after.start for before, after in pairwise(phases))
    assert all(math.isfinite(value) for phase in phases for value in (phase.first, phase.last, phase.change))


def test_the_unit_of_the_loss_moves_no_phase():
    y = noisy(straight(3, 0.5, 60) + [0.5] * 60 + straight(2, 0.5, 30) + [0.5] * 50, 3)
    places = [(phase.name, phase.start, phase.end) for phase in phases_of(y)]
    assert [(p.name, p.start, p.end) for p in phases_of([1000 * value for value in y])] == places


# --- the partition, against all others ---


def misfit(values):
    line = np.polyfit(range(len(values)), values, 1)
    return float(np.sum((values - np.polyval(line, range(len(values)))) ** 2))


def test_misfits_are_those_of_the_best_lines():
    values = np.random.default_rng(0).standard_normal(12)
    found = _misfits(values)
    for i, j in combinations(range(13), 2):
        if j - i >= 2:
            assert found[i, j] == pytest.approx(misfit(values[i:j]), abs=1e-9)


def test_a_bend_of_less_than_a_hundredth_is_not_cut():
    assert len(_lines(np.sin(np.arange(100) / 10) / 1000, shortest=5)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_other_partition_into_as_many_lines_fits_better(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([np.linspace(0, 3, 8), np.linspace(1, -2, 9), np.linspace(2, 2, 7)])
    values += 0.05 * rng.standard_normal(len(values))
    found = _lines(values, shortest=3)
    others = [
        cuts
        for cuts in combinations(range(1, 24), len(found) - 1)
        if all(b - a >= 3 for a, b in pairwise((0, *cuts, 24)))
    ]
    best = min(others, key=lambda cuts: sum(misfit(values[a:b]) for a, b in pairwise((0, *cuts, 24))))
    assert found == list(pairwise((0, *best, 24)))
    assert len(found) == 3
