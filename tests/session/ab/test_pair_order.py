from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from harness.session.ab.pair_order import pair_orders


@given(pairs=st.integers(1, 50), seed=st.integers(0, 2**32))
def test_of_two_pairs_each_side_is_first_once(pairs, seed):
    orders = pair_orders(pairs, seed, "x")
    assert len(orders) == pairs
    for block in zip(orders[::2], orders[1::2], strict=False):
        assert set(block) == {"AB", "BA"}


def test_which_side_is_first_is_drawn_anew_in_every_block_and_for_every_case():
    counts = Counter(pair_orders(2, seed, "x")[0] for seed in range(400))
    assert 140 < counts["AB"] < 260  # 200 of 400 by chance: six standard deviations either way
    assert len({tuple(pair_orders(20, 1, case)) for case in "abcdefgh"}) == 8
    firsts = pair_orders(400, 1, "x")[::2]
    assert 60 < firsts.count("AB") < 140


def test_the_order_within_pairs_comes_of_the_seed_alone():
    assert pair_orders(20, 7, "x") == pair_orders(20, 7, "x")
    assert pair_orders(20, 7, "x") != pair_orders(20, 8, "x")
    assert pair_orders(20, 7, "x")[:6] == pair_orders(6, 7, "x")
