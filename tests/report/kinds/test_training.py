"""Training report, on curves whose every number is known."""

from dataclasses import replace

from harness.report.kinds.training import training
from harness.results.records import Published, Series, Status
from tests.support.samples import (
    bundle,
    failed,
    full_record,
    grid,
    key,
    losses,
    measured,
    record,
    section,
    titles,
    weights,
)

CASE, TITLE = "training/tiny/r8", "Training tiny/r8"
SETTINGS = {"iters": 40, "batch_size": 2, "seed": 42}
DATASET = {"name": "aphorisms", "sha256": "c" * 64, "rows": {"train": 8}}


def series(points, unit="nat/token"):
    x, y = zip(*points, strict=True)
    return Series(unit=unit, x_unit="iteration", x=x, y=y)


def training_record(train, val=(), metrics=None, **others):
    curves = {"train_loss": losses(*train), **({"val_loss": losses(*val)} if val else {}), **others.pop("more", {})}
    all_metrics = {"train_iterations": measured("train_iterations", 40.0), **(metrics or {})}
    return record(CASE, key=key(dataset=DATASET, settings=SETTINGS), series=curves, metrics=all_metrics, **others)


def report_of(*records, **changes):
    return training([bundle(*records, **changes)])


def figures(report):
    return {cells["figure"]: cells["value"] for cells in grid(report, TITLE) if "figure" in cells}


def conditions(report):
    return {cells["condition"]: cells["outcome"][2:] for cells in grid(report, TITLE) if "condition" in cells}


FALLING = tuple((float(i), 4.0 - i / 20) for i in range(1, 41))  # 3.95 to 2.0
VAL = ((0.0, 4.0), (20.0, 3.0), (40.0, 2.5))


def test_key_figures_are_of_the_series_and_say_of_which_iteration():
    values = figures(report_of(training_record(FALLING, VAL)))
    assert values["train loss, first"] == "3.950 nat/token"
    assert values["train loss, final"] == "2.000 nat/token"
    assert values["validation loss, best"] == "2.500 nat/token"
    assert values["validation loss, reduction"] == "37.50 %"  # 1.5 of 4
    assert values["epochs"] == "10.00"  # 40 batches of 2 of 8 rows


def test_what_was_not_measured_has_no_row():
    values = figures(report_of(training_record(FALLING)))
    assert not [name for name in values if name.startswith(("validation", "adapter", "peak", "tokens"))]


def test_throughput_end_to_end_is_all_tokens_over_the_wall_time():
    tokens = {"real_tokens": series([(float(i), 10.0) for i in range(1, 41)], unit="token")}
    metrics = {
        "train_wall_s": measured("train_wall_s", 20.0),
        "train_tokens_per_s": measured("train_tokens_per_s", 50.0),
    }
    values = figures(report_of(training_record(FALLING, metrics=metrics, more=tokens)))
    assert (values["tokens"], values["throughput"], values["throughput end to end"]) == (
        "400 token",
        "50.00 token/s",
        "20.00 token/s",
    )


def test_headroom_is_what_the_process_leaves_of_the_machine():
    labels = ("load", "train")
    metrics = {
        "peak_active_bytes": measured("peak_active_bytes", (2.0**30, 3 * 2.0**30), labels=labels),
        "peak_footprint_bytes": measured("peak_footprint_bytes", (2.0**30, 4 * 2.0**30), labels=labels),
    }
    values = figures(report_of(training_record(FALLING, metrics=metrics)))
    assert values["memory headroom"] == "50.00 %"  # 4 of 8 GiB
    assert values["training on top of the loaded model"] == "2.000 GiB"


def test_a_checklist_stands_in_place_of_a_grade():
    tested = record("evaluation/tiny/r8", data={"test": {"rows": 5, "rows_in_training": 1}})
    outcomes = conditions(report_of(training_record(FALLING, VAL), tested))
    assert outcomes["all iterations done"] == "pass"
    assert outcomes["validation loss improved"] == "pass"
    assert outcomes["best checkpoint is the final one"] == "pass"
    assert outcomes["spikes recovered"] == "pass"
    assert outcomes["test set evaluated"] == "pass"
    assert outcomes["splits apart"] == "fail"
    assert outcomes["seeds"] == "fail"
    assert outcomes["clock reconciled"] == "unknown"


def test_too_few_reports_tell_nothing_of_spikes():
    assert conditions(report_of(training_record(FALLING[:12], VAL)))["spikes recovered"] == "unknown"


def test_a_training_that_ended_early_did_not_do_all_iterations():
    early = training_record(FALLING, metrics={"train_iterations": measured("train_iterations", 39.0)})
    assert conditions(report_of(early))["all iterations done"] == "fail"


def test_a_spike_is_dated_and_its_recovery_too():
    """Level 1.0, one report of 9.0 at iteration 31, level again from 32 on."""
    flat = [(float(i), 1.0) for i in range(1, 61)]
    flat[30] = (31.0, 9.0)
    report = report_of(training_record(flat))
    (spike,) = [cells for cells in grid(report, TITLE) if "spike" in cells]
    assert (spike["onset"], spike["peak"], spike["recovered"]) == ("31", "31", "32")
    assert spike["peak over level"] == "9.000 times"
    assert conditions(report)["spikes recovered"] == "pass"


def test_a_spike_that_stays_is_not_called_recovered():
    stays = [(float(i), 1.0 if i < 31 else 9.0) for i in range(1, 61)]
    report = report_of(training_record(stays))
    (spike,) = [cells for cells in grid(report, TITLE) if "spike" in cells]
    assert spike["recovered"] == "not by the end"
    assert conditions(report)["spikes recovered"] == "fail"


def test_overfitting_is_a_finding_and_a_failed_condition():
    rising = ((0.0, 4.0), (10.0, 2.0), (20.0, 2.2), (30.0, 2.4), (40.0, 2.6))
    report = report_of(training_record(FALLING, rising))
    (finding,) = [finding for finding in section(report, TITLE).findings if finding.rule == "R8"]
    assert (finding.level, finding.numbers["since"]) == ("warning", 10.0)
    assert conditions(report)["no overfitting detected"] == "fail"
    assert conditions(report)["best checkpoint is the final one"] == "fail"


def test_a_clock_that_its_parts_do_not_add_up_to_is_a_finding():
    metrics = {
        "train_wall_s": measured("train_wall_s", 100.0),
        "wall_part_s": measured("wall_part_s", (50.0, 30.0), labels=("steady", "validation")),
    }
    report = report_of(training_record(FALLING, metrics=metrics))
    (finding,) = [finding for finding in section(report, TITLE).findings if finding.rule == "R14"]
    assert finding.text == "20.00 % of the wall time is not in any measured part"
    assert conditions(report)["clock reconciled"] == "fail"


def test_the_headline_says_what_became_of_the_validation_loss():
    assert report_of(training_record(FALLING, VAL)).headline[1] == (
        "tiny/r8: validation loss 4.000 at first, 2.500 at best (iteration 40), 2.500 in the end."
    )


def test_the_trajectory_has_every_validation_and_the_ends_of_both():
    rows = [cells for cells in grid(report_of(training_record(FALLING, VAL)), TITLE) if "tokens" in cells]
    assert [
        (cells["iteration"], cells["validation loss, nat/token"])
        for cells in rows
        if cells["iteration"] in {"0", "20", "40"}
    ] == [
        ("0", "4.000"),
        ("20", "3.000"),
        ("40", "2.500"),
    ]


def test_a_long_training_is_read_in_windows_of_ten():
    long = [(float(i), 2.0 if i % 2 else 4.0) for i in range(1, 301)]
    report = report_of(training_record(long))
    assert figures(report)["train loss, final"] == "3.000 nat/token"  # of 2 and 4
    assert section(report, TITLE).text.startswith("Train loss in windows of 10 iterations. ")


def test_commands_for_what_it_left_have_the_paths_as_they_are():
    case = full_record()
    artifact = case.artifacts[0]
    saved = replace(artifact, path="artifacts/training/tiny/r8/best/adapters.safetensors")
    report = report_of(training_record(FALLING, artifacts=(saved,)))
    (listing,) = section(report, TITLE).listings
    assert "mlx_lm.generate --model org/tiny --adapter-path artifacts/training/tiny/r8/best --prompt" in listing.text


def test_a_training_without_a_series_is_in_the_tables_and_not_told():
    report = report_of(failed(CASE, reason="no room"))
    assert TITLE not in titles(report)
    assert grid(report, "Cases without a result")[0]["reason"] == "no room"


def test_several_trainings_have_figures_of_their_own_names():
    first, second = training_record(FALLING, VAL), training_record(FALLING, VAL)
    report = training([bundle(first, replace(second, case="training/small/r8"))])
    names = [chart.name for section_of_report in report.sections for chart in section_of_report.figures]
    assert len(names) == len(set(names))
    assert "training_analysis-1-tiny/r8" in names


def test_a_loss_that_was_no_longer_a_number_is_a_failed_condition():
    lost = training_record(FALLING, VAL, status=Status.DIVERGED, reason="a loss of nan at iteration 41")
    rows = {cells["condition"]: cells for cells in grid(report_of(lost), f"{TITLE}, diverged") if "condition" in cells}
    assert rows["losses finite"]["outcome"] == "✗ fail"
    assert rows["losses finite"]["numbers"] == "a loss of nan at iteration 41"


def test_what_is_left_of_the_wall_time_is_no_part_of_it():
    """ "other" is what the named parts do not hold: to count it would reconcile any clock."""
    metrics = {
        "train_wall_s": measured("train_wall_s", 100.0),
        "wall_part_s": measured("wall_part_s", (50.0, 50.0), labels=("steady", "other")),
    }
    assert conditions(report_of(training_record(FALLING, metrics=metrics)))["clock reconciled"] == "fail"


def test_what_our_words_say_of_a_figure_is_not_said_of_a_printed_one():
    report = report_of(training_record(FALLING, VAL), published=Published(source="a paper", date=None))
    assert {cells["of"] for cells in grid(report, TITLE) if "figure" in cells} == {
        "as printed, or from what is printed"
    }


def test_losses_of_stand_ins_pass_no_condition():
    nano = key(dataset=DATASET, settings=SETTINGS, weights=weights(source="nano"))
    outcomes = conditions(report_of(replace(training_record(FALLING, VAL), key=nano)))
    assert (outcomes["validation loss improved"], outcomes["all iterations done"]) == ("unknown", "pass")


def test_losses_without_iterations_are_a_row_and_no_curve():
    case = record(CASE, series={"val_loss_points": losses((1, 2.652), (2, 1.143), (3, 1.076))})
    report = report_of(case)
    assert TITLE not in titles(report)
    assert [tuple(row.values()) for row in grid(report, "Losses in the order printed")] == [
        ("tiny/r8", "val loss", "2.652 → 1.143 → 1.076")
    ]
