from dataclasses import replace

from harness.report.kinds.base_vs_tuned import tuned
from tests.support.samples import bundle, failed, grid, key, measured, notes, record, row, section, titles, weights

SPEED, LOSS = "decode_tokens_per_s", "test_loss"
R8 = {"name": "r8", "rank": 8}
SLOW, FAST = (10.0, 10.0, 10.0, 11.0, 11.0, 11.0), (20.0, 20.0, 20.0, 22.0, 22.0, 22.0)


def pair(base=SLOW, adapted=FAST, **adapted_key):
    return (
        record("inference/tiny/base", metrics={SPEED: measured(SPEED, *base)}),
        record("inference/tiny/r8", key=key(adapter=R8, **adapted_key), metrics={SPEED: measured(SPEED, *adapted)}),
    )


def test_the_change_is_tuned_over_base_and_the_verdict_on_tuned():
    cells = row(tuned([bundle(*pair())]), "tiny/r8 against base", f"{SPEED} ↑")
    assert cells["base"].startswith("10.50 [")
    assert cells["tuned"].startswith("21.00 [")
    assert cells["change against base"] == "+100.0 % [+81.8 %, +120.0 %]"
    assert cells["verdict on tuned"] == "better"


def test_the_other_way_round_the_verdict_is_mirrored():
    cells = row(tuned([bundle(*pair(FAST, SLOW))]), "tiny/r8 against base", f"{SPEED} ↑")
    assert cells["change against base"] == "−50.0 % [−54.5 %, −45.0 %]"
    assert cells["verdict on tuned"] == "worse"


def test_few_processes_have_a_change_and_no_verdict():
    report = tuned([bundle(*pair((10.0,), (15.0,)))])
    cells = row(report, "tiny/r8 against base", f"{SPEED} ↑")
    assert (cells["change against base"], cells["verdict on tuned"]) == ("+50.0 % (no interval: n=1)", "not judged")
    assert notes(report, "tiny/r8 against base") == ["n=1; a verdict needs 5 processes a case"]


def test_a_base_of_other_conditions_is_no_base():
    """A base for each quantization: the adapter is set against the one it was measured like."""
    eight = {"bits": 8}
    base8 = record("inference/tiny/base-8bit", key=key(quantization=eight), metrics={SPEED: measured(SPEED, *FAST)})
    report = tuned([bundle(*pair(quantization=eight), base8)])
    (title,) = [title for title in titles(report) if "against" in title]
    assert title == "tiny/r8 against base-8bit"
    alone = tuned([bundle(*pair(quantization=eight))])
    assert not [title for title in titles(alone) if "against" in title]
    assert "Without a base measured under the same conditions: tiny/r8." in alone.headline


def test_each_run_has_its_own_base():
    first, second = (bundle(*pair(), id=name) for name in ("one", "two"))
    report = tuned([first, bundle(*pair((20.0,) * 6, (20.0,) * 6), id="two")])
    assert row(report, "tiny/r8 (two) against base", f"{SPEED} ↑")["verdict on tuned"] == "equivalent"
    pair_titles = [title for title in titles(tuned([first, second])) if "against" in title]
    assert pair_titles == ["tiny/r8 (one) against base", "tiny/r8 (two) against base"]


def test_scenarios_are_one_row_by_their_geometric_mean():
    labels = ("short", "long")
    base = record("inference/tiny/base", metrics={SPEED: measured(SPEED, *[(10.0, 40.0)] * 5, labels=labels)})
    adapted = replace(
        base, case="inference/tiny/r8", metrics={SPEED: measured(SPEED, *[(20.0, 80.0)] * 5, labels=labels)}
    )
    (cells,) = grid(tuned([bundle(base, adapted)]), "tiny/r8 against base")
    assert cells["metric"] == f"{SPEED} geometric mean ↑"
    assert (cells["base"], cells["tuned"]) == (
        "20.00 [20.00, 20.00] token/s (n=5)",
        "40.00 [40.00, 40.00] token/s (n=5)",
    )


def test_losses_of_stand_ins_are_not_compared():
    stand_in = weights(source="nano")
    cases = [
        record(
            f"evaluation/tiny/{name}",
            key=key(weights=stand_in, adapter=adapter),
            metrics={LOSS: measured(LOSS, *[2.0] * 5)},
        )
        for name, adapter in (("base", None), ("r8", R8))
    ]
    report = tuned([bundle(*cases)])
    assert row(report, "tiny/r8 against base", f"{LOSS} ↓")["verdict on tuned"] == "not comparable"
    assert report.headline[-1] == "tiny/r8 against base: not comparable in 1 of 1 rows."


def test_a_case_that_failed_is_shown_and_not_judged():
    base, _ = pair()
    lost = failed("inference/tiny/r8", key=key(adapter=R8), metrics={SPEED: measured(SPEED, *FAST)})
    report = tuned([bundle(base, lost)])
    (title,) = [title for title in titles(report) if "against" in title]
    (cells,) = grid(report, title)
    assert cells["verdict on tuned"] == "not judged"
    assert section(report, title).tables[0].notes == ("tiny/r8, failed ended failed",)
