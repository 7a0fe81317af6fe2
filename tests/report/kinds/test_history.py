import pytest

from harness.report.kinds.history import history
from tests.support.samples import bundle, environment, grid, key, markdown, measured, record, section, titles, weights

SPEED = "decode_tokens_per_s"


def runs(*values, versions=("0.31.0",), **changes):
    """A run a value, a day apart; the versions of MLX share the days evenly."""
    return [
        bundle(
            record(metrics={SPEED: measured(SPEED, value)}, **changes),
            id=f"r{day}",
            started_at=f"2026-01-{day:02d}T00:00:00Z",
            environment=environment(packages={"mlx": versions[(day - 1) * len(versions) // len(values)]}),
        )
        for day, value in enumerate(values, start=1)
    ]


STEP = (100.0,) * 10 + (92.0,) * 10


def test_a_change_point_stands_with_the_runs_it_lies_between_and_its_direction():
    (row,) = grid(history(runs(*STEP), SPEED), "Change points")
    assert row["series"] == "inference/tiny/base"
    assert (row["last run before"], row["run"], row["from"]) == ("r10", "r11", "2026-01-11T00:00:00Z")
    assert (row["before"], row["after"]) == ("100.0", "92.00")
    assert (row["change"], row["direction"]) == ("−8.0 %", "worse")


def test_the_newest_change_comes_first():
    changes = grid(history(runs(*(100.0,) * 8, *(50.0,) * 8, *(100.0,) * 8), SPEED), "Change points")
    assert [(row["run"], row["direction"]) for row in changes] == [("r17", "better"), ("r9", "worse")]


def test_every_run_is_a_row_and_the_change_is_marked_at_its_first_run():
    rows = grid(history(runs(*STEP), SPEED), "inference/tiny/base")
    assert len(rows) == 20
    assert rows[0]["value"] == "100.0 token/s"
    assert rows[0]["versions"] == "mlx-lm unknown, mlx 0.31.0"
    assert [row["run"] for row in rows if row["change point"]] == ["r11"]
    assert rows[10]["change point"] == "−8.0 %, worse"


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        (STEP, "20 runs, 1 change point; the newest: −8.0 %, worse from 2026-01-11T00:00:00Z on."),
        ((100.0,) * 12, "12 runs, no change point."),
        ((1.0,), "1 run; change points were not looked for: 1 of 10 points that a change point needs."),
    ],
)
def test_the_headline_says_what_became_of_each_series(values, summary):
    assert history(runs(*values), SPEED).headline == (f"inference/tiny/base: {summary}",)


def test_the_figure_shows_runs_levels_changes_and_versions():
    series = section(history(runs(*STEP, versions=("0.31.0", "0.32.0")), SPEED), "inference/tiny/base")
    ((panel,),) = (chart.panels for chart in series.figures)
    values, level_before, level_after = panel.lines
    assert (values.x[0], values.x[-1], values.y[10]) == (1.0, 20.0, 92.0)
    assert [(line.x, line.y) for line in (level_before, level_after)] == [
        ((1.0, 10.0), (100.0, 100.0)),
        ((11.0, 20.0), (92.0, 92.0)),
    ]
    assert [(mark.text, mark.x, mark.y) for mark in panel.marks] == [("−8.0 %, worse", 11.0, 92.0)]
    assert [(span.label, span.start, span.end) for span in panel.spans] == [
        ("mlx-lm unknown, mlx 0.31.0", 0.5, 10.5),
        ("mlx-lm unknown, mlx 0.32.0", 10.5, 20.5),
    ]
    assert panel.y_label == "token/s"


def test_one_version_is_not_shaded_and_too_many_are_not_either():
    for versions in (("1",), tuple(map(str, range(9)))):
        (chart,) = section(history(runs(*STEP, versions=versions), SPEED), "inference/tiny/base").figures
        assert chart.panels[0].spans == ()
        assert "Shaded" not in chart.caption


def several(count, *, changed=()):
    """Twenty runs of *count* cases; those *changed* lost some speed after the tenth."""
    return [
        bundle(
            *(
                record(
                    f"inference/tiny/c{place:02}",
                    metrics={SPEED: measured(SPEED, STEP[day - 1] if place in changed else 100.0)},
                )
                for place in range(count)
            ),
            id=f"r{day}",
            started_at=f"2026-01-{day:02d}T00:00:00Z",
        )
        for day in range(1, 21)
    ]


def test_many_series_begin_with_a_table_of_all_the_changed_ones_first():
    report = history(several(14, changed=(13,)), SPEED)
    assert titles(report) == ["All series", "Change points", "Figures", "Every run"]
    first, second, *_ = grid(report, "All series")
    assert first == {
        "case": "inference/tiny/c13",
        "part": "",
        "runs": "20",
        "newest value": "92.00 token/s",
        "change points": "1, the newest −8.0 %, worse",
    }
    assert (second["case"], second["change points"]) == ("inference/tiny/c00", "none")
    assert report.headline == (
        "14 series, 1 changed, 1 of them for the worse at last.",
        "inference/tiny/c13: 20 runs, 1 change point; the newest: −8.0 %, worse from 2026-01-11T00:00:00Z on.",
    )


def test_of_many_series_twelve_are_drawn_the_changed_ones_first():
    figures = section(history(several(14, changed=(13,)), SPEED), "Figures")
    assert [chart.title for chart in figures.figures] == [f"inference/tiny/c{place:02}" for place in (13, *range(11))]
    assert figures.text.startswith("12 of 14 series are drawn, those with the newest change points first; --case")
    assert section(history(several(12), SPEED), "Figures").text == ""


def test_of_many_series_every_run_is_in_a_table_of_its_series():
    tables = section(history(several(3, changed=(2,)), SPEED), "Every run").tables
    assert [(table.caption, len(table.rows)) for table in tables] == [
        (f"inference/tiny/c{at:02}", 20) for at in (2, 0, 1)
    ]


def test_the_headline_of_many_changed_series_names_five():
    report = history(several(8, changed=range(7)), SPEED)
    assert len(report.headline) == 6
    assert report.headline[0] == "8 series, 7 changed, 7 of them for the worse at last."


def test_runs_that_were_left_out_are_counted_and_stay_counted():
    report = history(runs(1.0), SPEED, left_out="4")
    assert report.headline[-1] == "Runs left out: 4, which were sides of a comparison or a gate's second look."
    assert report.provenance.options == {"metric": SPEED, "left_out": "4"}


def test_a_single_run_has_no_figure_and_without_changes_there_is_no_table_of_them():
    report = history(runs(1.0), SPEED)
    assert titles(report) == ["inference/tiny/base"]
    assert section(report, "inference/tiny/base").figures == ()


def test_stand_ins_are_named_on_top():
    report = history(runs(1.0, key=key(weights=weights(source="nano"))), SPEED)
    assert report.banners[0].startswith("STAND-IN WEIGHTS (tiny)")


def test_the_page_is_made_again_from_metric_and_case():
    assert history(runs(1.0), SPEED).provenance.options == {"metric": SPEED}
    report = history(runs(1.0), SPEED, "inference/tiny/base")
    assert report.provenance.options == {"metric": SPEED, "case": "inference/tiny/base"}
    assert report.title == "decode_tokens_per_s, inference/tiny/base"
    assert "inference/tiny/base" in markdown(report)
