"""Losses of several trainings, in the chart and as the comparison shows them."""

from harness.report.figures.charts import Dash
from harness.report.sections.training_losses import losses_over_tokens
from tests.support.comparisons import lines_of, page, training
from tests.support.samples import bundle, full_record, grid, losses, record


def test_losses_are_over_the_tokens_seen():
    a = training([(1, 5.0), (2, 3.0)], val=[(0, 5.5), (2, 3.5)])
    chart = losses_over_tokens([("a", a), ("b", training([(1, 4.0)], tokens=25.0))])
    assert lines_of(chart) == {
        "a, training": ((10.0, 20.0), (5.0, 3.0)),
        "a, validation": ((0.0, 20.0), (5.5, 3.5)),
        "b, training": ((25.0,), (4.0,)),
    }
    assert [line.color for line in chart.panels[0].lines] == [0, 0, 1]
    assert [line.dash is Dash.DASHED for line in chart.panels[0].lines] == [False, True, False]
    assert chart.alt == (
        "Training loss of a falls from 5.000 to 3.000, from iteration 1 to 2. Best validation loss of a 3.500. "
        "Training loss of b is 4.000 at iteration 1."
    )
    assert chart.caption == "nat/token."


def test_long_losses_are_smoothed_and_the_caption_says_so():
    points = [(float(i), 2.0) for i in range(1, 302)]
    points[150] = (151.0, 90.0)
    chart = losses_over_tokens([("a", training(points))])
    assert set(chart.panels[0].lines[0].y) == {2.0}
    assert "running medians" in chart.caption


def test_a_training_without_tokens_is_not_over_tokens():
    assert losses_over_tokens([("a", record("training/tiny/qv", series={"train_loss": losses((1, 2.0))}))]) is None


def test_the_loss_trajectory_has_what_was_read_and_a_dash_where_nothing_was():
    rows = [list(cells.values()) for cells in grid(page(bundle(full_record())), "Loss trajectory")]
    assert rows == [["0", "–", "4.000"], ["1", "3.500", "–"], ["10", "2.750", "2.500"]]


def test_the_loss_trajectory_runs_forward():
    """As a set of floats these come out as 1024, 9, 5."""
    series = {"train_loss": losses((5, 3.0), (1024, 1.0)), "val_loss": losses((5, 3.5), (9, 2.5), (1024, 1.5))}
    rows = grid(page(bundle(full_record(series=series))), "Loss trajectory")
    assert [cells["iteration"] for cells in rows] == ["5", "9", "1,024"]


def test_a_validation_loss_alone_is_a_trajectory():
    case = full_record(series={"val_loss": losses((0, 4.0), (10, 2.5))})
    assert [cells["tiny/r8 val"] for cells in grid(page(bundle(case)), "Loss trajectory")] == ["4.000", "2.500"]
