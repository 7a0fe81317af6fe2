from dataclasses import dataclass, replace

import pytest

from harness.report.figures.draw import draw
from harness.report.sections.training_charts import loss_curve_detailed, training_analysis
from harness.results.records import Series
from tests.support.samples import losses, measured, record

GIB = 2.0**30


@dataclass(frozen=True)
class Spike:
    onset: float = 4.0
    peak: float = 5.0
    end: float = 8.0
    peak_value: float | None = 40.0
    baseline: float | None = 2.0
    ratio: float | None = 20.0
    half_recovered: float | None = 6.0
    recovered: float | None = 8.0


@dataclass(frozen=True)
class Phase:
    name: str
    start: float
    end: float


def series(unit, *y):
    return Series(unit=unit, x_unit="iteration", x=tuple(map(float, range(1, len(y) + 1))), y=tuple(map(float, y)))


def trained(**changes):
    all_series = {
        "train_loss": series("nat/token", 5, 4, 3, 30, 40, 10, 5, 2, 2, 2),
        "val_loss": losses((0, 5.0), (5, 2.5), (10, 2.75)),
        "step_s": series("s", 4, *[0.5] * 9),
        "real_tokens": series("token", *[100] * 9, 150),
        "learning_rate": series("1", *[1e-4] * 10),
        "active_bytes": series("byte", *[2 * GIB] * 10),
        "footprint_bytes": series("byte", *[3 * GIB] * 10),
    }
    kept = {
        name: series_or_none for name, series_or_none in (all_series | changes).items() if series_or_none is not None
    }
    return record("training/tiny/qv", series=kept)


def analysis(case=None, spikes=(), phases=(), limit=None):
    return training_analysis("tiny/qv", case or trained(), spikes, phases, limit)


def detailed(case=None, spikes=(), phases=()):
    return loss_curve_detailed("tiny/qv", case or trained(), spikes, phases)


def named(panel):
    return {line.label: line for line in panel.lines}


def test_the_analysis_has_four_panels():
    chart = analysis()
    assert [panel.title for panel in chart.panels] == ["Loss", "Validation and gap", "Speed", "Memory"]
    assert (chart.name, chart.title, chart.columns) == ("training_analysis", "Training analysis of tiny/qv", 2)


def test_losses_are_on_a_logarithmic_axis_with_spikes_shaded_and_the_best_validation_marked():
    panel = analysis(spikes=[Spike()]).panels[0]
    assert panel.log_y
    assert list(named(panel)) == ["training", "validation"]
    assert named(panel)["training"].dash is not named(panel)["validation"].dash
    assert [(span.label, span.start, span.end) for span in panel.spans] == [("Spike", 4.0, 8.0)]
    assert [(mark.text, mark.x, mark.y) for mark in panel.marks] == [("best validation 2.500 at 5", 5.0, 2.5)]


def test_the_gap_is_not_given_inside_a_spike_and_not_drawn_across_one():
    val = losses((0, 3.0), (5, 2.0), (8, 2.0), (9, 2.5), (10, 4.0))
    flat = trained(train_loss=series("nat/token", *[2] * 10), val_loss=val)
    gap_before, gap_after = analysis(flat, spikes=[Spike(onset=5.0)]).panels[1].lines[1:]
    assert (gap_before.label, gap_before.x, gap_before.y) == ("gap to training", (0.0,), (1.0,))
    assert (gap_after.label, gap_after.x, gap_after.y) == ("", (9.0, 10.0), (0.5, 2.0))
    (unbroken,) = analysis(flat).panels[1].lines[1:]
    assert unbroken.x == (0.0, 5.0, 8.0, 9.0, 10.0)
    assert not analysis(flat).panels[1].log_y


def test_rates_are_over_their_median_which_the_legend_names():
    lines = named(analysis().panels[2])
    tokens, steps = lines["token/s (median 200.0)"], lines["it/s (median 2.000)"]
    assert tokens.y == (0.125, *[1.0] * 8, 1.5)
    assert steps.y == (0.125, *[1.0] * 9)


def test_rates_of_many_steps_are_smoothed():
    steps = [0.5] * 301
    steps[150] = 50.0
    many = trained(step_s=series("s", *steps), real_tokens=series("token", *[100] * 301))
    assert set(named(analysis(many).panels[2])["it/s (median 2.000)"].y) == {1.0}


def test_memory_is_in_gib_with_the_limit_where_it_is_known():
    panel = analysis(limit=16 * GIB).panels[3]
    assert {name: set(line.y) for name, line in named(panel).items()} == {"arrays in use": {2.0}, "process": {3.0}}
    assert [(rule.text, rule.y) for rule in panel.rules] == [("limit 16.00 GiB", 16.0)]
    assert analysis().panels[3].rules == ()


@pytest.mark.parametrize(
    ("missing", "number", "reason"),
    [
        (("train_loss", "val_loss"), 0, "not measured: no losses"),
        (("val_loss",), 1, "not measured: no validation"),
        (("step_s",), 2, "not measured: no step times"),
        (("active_bytes", "footprint_bytes"), 3, "not measured: no memory after steps"),
    ],
)
def test_a_panel_without_its_series_says_so(missing, number, reason):
    panel = analysis(trained(**dict.fromkeys(missing))).panels[number]
    assert (panel.lines, panel.dots, panel.empty) == ((), (), reason)


def test_steps_that_took_no_time_have_no_rate():
    assert analysis(trained(step_s=series("s", *[0] * 10))).panels[2].lines == ()


def test_without_any_series_there_is_no_figure():
    assert analysis(record("training/tiny/qv")) is None
    assert detailed(record("training/tiny/qv")) is None
    assert detailed(trained(train_loss=None, val_loss=None)) is None


def test_the_detailed_curve_names_phases_and_every_way_of_a_spike():
    phases = [Phase("Initial descent", 1, 3), Phase("Spike 1", 4, 5), Phase("Recovery 1", 5, 8)]
    loss, rate = detailed(spikes=[Spike()], phases=phases).panels
    assert [(span.label, span.start, span.end) for span in loss.spans] == [
        (phase.name, phase.start, phase.end) for phase in phases
    ]
    assert len({span.color for span in loss.spans}) == 3
    assert [(mark.text, mark.x, mark.y) for mark in loss.marks] == [
        ("onset at 4", 4.0, 10.0),
        ("peak 40.00 at 5", 5.0, 40.0),
        ("half recovered at 6", 6.0, 10.0),
        ("recovered at 8", 8.0, 2.0),
        ("best validation 2.500 at 5", 5.0, 2.5),
    ]
    assert loss.log_y
    assert not rate.log_y
    assert rate.lines[0].y == (1e-4,) * 10


def test_where_phases_are_not_known_spikes_are_shaded():
    assert [span.label for span in detailed(spikes=[Spike(), Spike(onset=9.0)]).panels[0].spans] == [
        "Spike 1",
        "Spike 2",
    ]


def test_what_a_spike_has_not_is_not_marked():
    gone = Spike(peak_value=None, ratio=None, half_recovered=None, recovered=None)
    chart = detailed(trained(val_loss=None), spikes=[gone])
    assert [mark.text for mark in chart.panels[0].marks] == ["onset at 4"]
    assert "A spike begins at iteration 4." in chart.alt


def test_of_many_spikes_the_highest_are_described_and_the_caption_says_so():
    many = [Spike(ratio=float(ratio)) for ratio in (9, 2, 8, 7)]
    chart = detailed(spikes=many)
    onsets = [mark.text for mark in chart.panels[0].marks if "onset" in mark.text]
    assert onsets == ["spike 1 onset at 4", "spike 3 onset at 4", "spike 4 onset at 4"]
    assert "Of 4 spikes the 3 highest are described." in chart.caption
    assert "highest" not in detailed(spikes=many[:3]).caption


def test_equal_spikes_are_not_described_more_often_than_said():
    onsets = [mark.text for mark in detailed(spikes=[Spike()] * 5).panels[0].marks if "onset" in mark.text]
    assert len(onsets) == 3


def test_a_rate_that_was_not_recorded_is_said_to_be_missing():
    panel = detailed(trained(learning_rate=None)).panels[1]
    assert (panel.lines, panel.empty) == ((), "the learning rate was not recorded")


def test_the_description_tells_the_course_in_numbers():
    assert analysis(spikes=[Spike()], phases=[Phase("Plateau", 9, 1500)]).alt == (
        "Training loss falls from 5.000 to 2.000, from iteration 1 to 10. Best validation loss 2.500 at iteration 5. "
        "A spike begins at iteration 4 and peaks at iteration 5 with 40.00 nat/token, 20.00 times the level before; "
        "recovered at iteration 8. Phases: Plateau (9 to 1,500)."
    )
    assert "not recovered by the end." in analysis(spikes=[Spike(recovered=None)]).alt


def test_the_caption_says_of_which_process_the_series_are():
    several = replace(trained(), metrics={"train_tokens_per_s": measured("train_tokens_per_s", 1, 2, 3)})
    for draw_one in (analysis, detailed):
        assert draw_one(several).caption.endswith("Process 1 of 3.")
        assert draw_one(trained()).caption.endswith("n = 1 process.")


def test_both_can_be_drawn():
    phases = [Phase("Initial descent", 1, 3), Phase("Spike 1", 4, 5)]
    for chart in (analysis(spikes=[Spike()], limit=GIB), detailed(spikes=[Spike()], phases=phases)):
        assert b"best validation 2.500 at 5" in draw(chart, ["svg"])["svg"]
