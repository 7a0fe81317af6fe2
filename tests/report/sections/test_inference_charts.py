from dataclasses import replace

import pytest

from harness.report.figures.draw import draw
from harness.report.sections.inference_charts import (
    context_scaling,
    memory_by_phase,
    quality_against_speed,
    speed_by_scenario,
)
from harness.report.sections.training_losses import losses_over_tokens
from tests.support.comparisons import lines_of, training
from tests.support.samples import key, measured, record, weights

GIB = 2.0**30
SCENARIOS = ("short", "long")


def speeds(*processes, labels=SCENARIOS, metric="decode_tokens_per_s", **changes):
    return record(metrics={metric: measured(metric, *processes, labels=labels)}, **changes)


def other_tokenizer(case):
    return replace(case, key=key(tokenizer="c" * 64))


def test_each_scenario_has_the_median_and_what_every_process_read():
    chart = speed_by_scenario([("a", speeds((10, 20), (12, 22), (30, 24)))])
    assert lines_of(chart) == {"a": ((0.0, 1.0), (12, 22))}
    (dots,) = chart.panels[0].dots
    assert (dots.x, dots.y) == ((0.0,) * 3 + (1.0,) * 3, (10, 12, 30, 20, 22, 24))
    assert chart.panels[0].categories == SCENARIOS
    assert "n = 3 processes" in chart.caption
    assert chart.alt == "a: from 12.00 (short) to 22.00 token/s (long)."


def test_one_process_has_no_dots_beside_its_median():
    chart = speed_by_scenario([("a", speeds((10, 20)))])
    assert chart.panels[0].dots == ()
    assert "n = 1 process;" in chart.caption


def test_readings_of_one_process_are_first_its_median():
    chart = speed_by_scenario([("a", speeds((10, 20, 60), labels=("short",) * 3))])
    assert lines_of(chart) == {"a": ((0.0,), (20,))}


def test_cases_stand_beside_one_another_at_the_scenario_they_share():
    chart = speed_by_scenario([("a", speeds((10, 20))), ("b", speeds((5, 6), labels=("long", "code")))])
    assert chart.panels[0].categories == ("short", "long", "code")
    assert lines_of(chart) == {"a": ((-0.125, 0.875), (10, 20)), "b": ((1.125, 2.125), (5, 6))}


@pytest.mark.parametrize(("lowest", "log"), [(2.0, False), (1.9, True), (0.0, False)])
def test_speeds_more_than_ten_times_apart_are_on_a_logarithmic_axis(lowest, log):
    chart = speed_by_scenario([("a", speeds((lowest, 20.0)))])
    assert chart.panels[0].log_y is log
    assert ("logarithmic" in chart.caption) is log


def test_context_is_a_number_of_tokens():
    deep = speeds((30, 10, 20), labels=("depth 1024", "depth 0", "depth 64"), metric="context_decode_tokens_per_s")
    chart = context_scaling([("a", deep), ("none", record())])
    assert lines_of(chart) == {"a": ((0.0, 64.0, 1024.0), (10, 20, 30))}
    assert chart.alt == "a: from 10.00 (depth 0) to 30.00 token/s (depth 1024)."


def test_memory_is_by_phase_without_those_of_the_measuring():
    peaks = measured(
        "peak_active_bytes", (GIB, 9 * GIB, 2 * GIB, 9 * GIB), labels=("load", "probe", "train", "process")
    )
    other = measured("peak_active_bytes", (3 * GIB,), (5 * GIB,), labels=("load",))
    chart = memory_by_phase(
        [("a", record(metrics={"peak_active_bytes": peaks})), ("b", record(metrics={"peak_active_bytes": other}))]
    )
    assert chart.panels[0].categories == ("load", "train")
    assert [(bar.label, bar.heights) for bar in chart.panels[0].bars] == [("a", (1.0, 2.0)), ("b", (4.0, None))]
    assert chart.alt == "a takes most in the phase train, 2.000 GiB. b takes most in the phase load, 4.000 GiB."
    assert "n = 1 to 2 processes" in chart.caption


def test_memory_of_the_measuring_alone_is_no_figure():
    probed = measured("peak_active_bytes", (GIB,), labels=("probe",))
    assert memory_by_phase([("a", record(metrics={"peak_active_bytes": probed}))]) is None


def evaluated(bits, **changes):
    return record("evaluation/tiny/base", metrics={"bits_per_byte": measured("bits_per_byte", *bits)}, **changes)


def test_quality_and_speed_of_one_name_make_a_dot():
    chart = quality_against_speed(
        [
            ("a", speeds((10, 20), (30, 40))),
            ("b", speeds((1, 1))),
            ("a", evaluated((1.5, 1.7, 1.6))),
            ("c", evaluated((1,))),
        ]
    )
    (dots,) = chart.panels[0].dots
    assert (dots.x, dots.y, dots.texts) == ((25.0,), (1.6,), ("a",))
    assert chart.alt == "a: 1.600 bit/B at 25.00 token/s."
    assert "n = 2 to 3 processes" in chart.caption


@pytest.mark.parametrize("source", ["nano", "random"])
def test_stand_ins_say_nothing_of_quality(source):
    stand_in = key(weights=weights(source=source))
    assert quality_against_speed([("a", speeds((1, 2), key=stand_in)), ("a", evaluated((1,), key=stand_in))]) is None
    assert quality_against_speed([("a", speeds((1, 2), key=stand_in)), ("a", evaluated((1,)))]) is None


def test_tokens_of_different_tokenizers_are_not_compared_without_a_word():
    a, b = speeds((1, 2)), other_tokenizer(speeds((1, 2)))
    assert "different tokenizers" in speed_by_scenario([("a", a), ("b", b)]).caption
    assert "different tokenizers" not in speed_by_scenario([("a", a), ("b", a)]).caption
    t = training([(1, 5.0)])
    assert "different tokenizers" in losses_over_tokens([("a", t), ("b", other_tokenizer(t))]).caption


@pytest.mark.parametrize(
    "build", [losses_over_tokens, speed_by_scenario, context_scaling, memory_by_phase, quality_against_speed]
)
def test_where_nothing_was_measured_there_is_no_figure(build):
    nothing = record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", reason="no model")})
    assert build([]) is None
    assert build([("a", record()), ("b", nothing)]) is None


def test_all_can_be_drawn_with_hostile_names():
    name = "_$x$<b>\x1b"
    context = speeds((1, 2), labels=("depth 0", "depth 9"), metric="context_decode_tokens_per_s")
    peaks = record(metrics={"peak_active_bytes": measured("peak_active_bytes", (GIB,), labels=("load",))})
    charts = [
        losses_over_tokens([(name, training([(1, 5.0)], val=[(0, 4.0)]))]),
        speed_by_scenario([(name, speeds((1, 2), (3, 4))), (name, speeds((1, 2)))]),
        context_scaling([(name, context), ("b", context)]),
        memory_by_phase([(name, peaks), ("b", peaks)]),
        quality_against_speed([(name, speeds((1, 2))), (name, evaluated((1,)))]),
    ]
    for chart in charts:
        assert "_$x$&lt;b&gt;�" in draw(chart, ["svg"])["svg"].decode()
