import pytest

from harness.analysis.history import timelines
from harness.analysis.stats.change_points import Shift
from harness.results.records import Better, Published, Status
from tests.support.samples import bundle, environment, failed, key, measured, record, weights

SPEED = "decode_tokens_per_s"


def run(number, *values, case_key=None, metric=SPEED, case="inference/tiny/base", **changes):
    """A run of one case, the *number* telling when it was."""
    metrics = {metric: measured(metric, *values)}
    head = {"id": f"r{number}", "started_at": f"2026-01-{number:02d}T00:00:00Z"}
    return bundle(record(case, metrics=metrics, key=case_key or key()), **{**head, **changes})


def one(bundles, metric=SPEED):
    (line,) = timelines(bundles, metric)
    return line


def test_a_point_is_the_median_of_the_processes_medians_with_commit_and_versions():
    (point,) = one([run(1, (1.0, 2.0, 9.0), (4.0, 4.0, 4.0), (30.0, 30.0, 30.0))]).points
    assert (point.run, point.value, point.processes) == ("r1", 4.0, 3)
    assert (point.commit, point.versions) == ("01234567", {"mlx-lm": None, "mlx": "0.31.0"})


@pytest.mark.parametrize(
    ("git", "commit"),
    [(None, "unknown"), ({"commit": "abcdef0123", "dirty": True}, "abcdef01+"), ({"dirty": True}, "unknown")],
)
def test_a_commit_is_short_and_says_whether_there_were_changes(git, commit):
    assert one([run(1, 1.0, git=git)]).points[0].commit == commit


def test_points_stand_in_the_order_of_their_start():
    line = one([run(3, 3.0), run(1, 1.0), run(2, 2.0)])
    assert [point.value for point in line.points] == [1.0, 2.0, 3.0]
    assert line.differs == ""
    assert line.why_not == "3 of 10 points that a change point needs"


def test_scenarios_are_series_of_their_own():
    metric = measured(SPEED, (1.0, 2.0), labels=("short", "long"))
    lines = timelines([bundle(record(metrics={SPEED: metric}))], SPEED)
    assert [(line.label, line.points[0].value, line.name) for line in lines] == [
        ("long", 2.0, "inference/tiny/base long"),
        ("short", 1.0, "inference/tiny/base short"),
    ]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"case_key": key(settings={"output_tokens": 9})}, ["settings.output_tokens 8", "settings.output_tokens 9"]),
        ({"case_key": key(dtype="bfloat16")}, ["dtype float32", "dtype bfloat16"]),
        ({"case_key": key(weights=weights(sha256="c" * 64))}, ["weights.sha256 aaaaaaaa", "weights.sha256 cccccccc"]),
        ({"case_key": key(tokenizer="other")}, [f"tokenizer {'b' * 40}", "tokenizer other"]),
        ({"case_key": key(adapter={"rank": 8})}, ["adapter None", "adapter {'rank': 8}"]),
        (
            {"environment": environment(os={**environment().os, "cores": 8})},
            ["machine.cores 2", "machine.cores 8"],
        ),
    ],
)
def test_runs_that_do_not_compare_are_series_named_by_what_differs(changes, names):
    lines = timelines([run(1, 1.0), run(2, 2.0, **changes), run(3, 3.0)], SPEED)
    assert [line.differs for line in lines] == names
    assert [len(line.points) for line in lines] == [2, 1]
    assert lines[0].name == f"inference/tiny/base ({names[0]})"


@pytest.mark.parametrize(("metric", "series"), [("response_s", 2), ("load_s", 1)])
def test_what_is_of_so_many_tokens_needs_one_tokenizer(metric, series):
    other = run(2, 1.0, metric=metric, case_key=key(tokenizer="other"))
    assert len(timelines([run(1, 1.0, metric=metric), other], metric)) == series


def test_some_pages_of_memory_more_or_less_are_the_same_machine():
    more = environment(os={**environment().os, "memory_bytes": 8 * 2**30 + 4096})
    assert len(one([run(1, 1.0), run(2, 1.0, environment=more)]).points) == 2


def test_a_run_without_an_environment_is_a_machine_nobody_knows():
    assert len(timelines([run(1, 1.0), run(2, 1.0, environment=None)], SPEED)) == 2


def test_cases_that_are_not_ok_and_published_figures_are_no_points():
    out = failed(key=key(), metrics={SPEED: measured(SPEED, 1.0)}, status=Status.INVALID, reason="too fast")
    published = run(2, 1.0, published=Published(source="S2", date=None))
    assert timelines([bundle(out), published], SPEED) == []


@pytest.mark.parametrize(
    ("metric", "later", "worse"),
    [(SPEED, 50.0, True), (SPEED, 200.0, False), ("ttft_s", 200.0, True), ("ttft_s", 50.0, False)],
)
def test_a_change_is_for_the_worse_or_the_better_by_what_the_metric_means(metric, later, worse):
    bundles = [run(day, 100.0 if day <= 10 else later, metric=metric) for day in range(1, 21)]
    line = one(bundles, metric)
    assert line.shifts == (Shift(at=10, before=100.0, after=later),)
    assert line.worse(line.shifts[0]) is worse
    assert line.worsened is worse


def test_what_got_worse_and_then_better_again_is_not_worsened():
    rates = [100.0] * 8 + [50.0] * 8 + [100.0] * 8
    line = one([run(day, rate) for day, rate in enumerate(rates, start=1)])
    assert [line.worse(shift) for shift in line.shifts] == [True, False]
    assert not line.worsened


def test_a_metric_of_which_more_is_not_better_changes_neither_way():
    bundles = [run(day, 10.0 if day <= 10 else 20.0, metric="total_parameters") for day in range(1, 21)]
    line = one(bundles, "total_parameters")
    assert line.better is Better.NONE
    assert line.worse(line.shifts[0]) is None
    assert not line.worsened


def test_stand_ins_have_a_history_of_speed_and_only_points_of_loss():
    stand_in_key = key(weights=weights(source="nano"))
    speeds = one([run(day, 100.0 if day <= 10 else 50.0, case_key=stand_in_key) for day in range(1, 21)])
    assert len(speeds.shifts) == 1
    losses = one(
        [run(day, 1.0 if day <= 10 else 2.0, case_key=stand_in_key, metric="test_loss") for day in range(1, 21)],
        "test_loss",
    )
    assert len(losses.points) == 20
    assert losses.shifts == ()
    assert losses.why_not.startswith("stand-in weights")


def test_memory_is_judged_by_its_own_tolerance():
    rates = [1000.0] * 10 + [1015.0] * 10
    metric = "adapter_bytes"
    exact = one([run(day, rate, metric=metric) for day, rate in enumerate(rates, start=1)], metric)
    timing = one([run(day, rate) for day, rate in enumerate(rates, start=1)])
    assert (len(exact.shifts), len(timing.shifts)) == (1, 0)
