"""Tables of judged rows, as the comparison shows them."""

from harness.results.records import Published
from tests.support.comparisons import page
from tests.support.samples import (
    bundle,
    grid,
    key,
    measured,
    notes,
    record,
    row,
    section,
    weights,
)

STAND_IN = "stand-in weights compare with nothing here"


SPEED, WAIT = "decode_tokens_per_s", "ttft_s"


SPEED_ROW, WAIT_ROW = "decode_tokens_per_s ↑", "ttft_s ↓"


FAST, SLOW = (40.0, 41.0, 42.0, 43.0, 44.0, 45.0), (20.0, 21.0, 22.0, 23.0, 24.0, 25.0)


def verdict_of(report, metric, title="Inference"):
    (table,) = section(report, title).tables
    (cells,) = [cells for cells in table.rows if cells[0].text == metric]
    return cells[-1]


def test_a_single_case_has_no_column_for_verdicts():
    (cells,) = grid(page(bundle(record(metrics={SPEED: measured(SPEED, *FAST)}))), "Inference")
    assert list(cells) == ["metric", "tiny/base"]


def test_what_does_not_compare_leaves_the_rest_to_be_judged():
    """A stand-in stands in the same table as a real base and its adapter: these two are judged."""
    stand_in = key(weights=weights(source="nano", sha256="f" * 64))
    cases = [
        record("inference/real/base", metrics={SPEED: measured(SPEED, *SLOW)}),
        record("inference/real/r8", metrics={SPEED: measured(SPEED, *FAST)}),
        record("inference/shrunk/base", key=stand_in, metrics={SPEED: measured(SPEED, *FAST)}),
    ]
    report = page(bundle(*cases))
    verdict = row(report, "Inference", SPEED_ROW)["verdict"]
    assert verdict.startswith("real: real/r8 is better (ratio ")
    assert notes(report, "Inference") == [f"the others are not comparable with these; {STAND_IN}"]


def test_many_cases_are_rows_and_not_columns():
    cases = [record(f"inference/m{number}/base", metrics={SPEED: measured(SPEED, *[4.0] * 6)}) for number in range(7)]
    cases_table, verdicts = section(page(bundle(*cases)), "Inference").tables
    assert cases_table.columns == ("case", SPEED_ROW)
    assert [cells[0].text for cells in cases_table.rows] == [f"m{number}/base" for number in range(7)]
    assert [[cell.text for cell in cells] for cells in verdicts.rows] == [[SPEED_ROW, "equivalent"]]


def test_equal_reasons_share_a_footnote_and_others_get_the_next():
    cases = [
        record(
            f"inference/tiny/{name}",
            metrics={
                "ttft_s": measured("ttft_s", 1.0),
                "response_s": measured("response_s", 1.0),
                "prefill_tokens_per_s": measured("prefill_tokens_per_s", *[10.0] * 6),
            },
        )
        for name in ("a", "b")
    ]
    report = page(bundle(*cases))
    (table,) = section(report, "Inference").tables
    assert [(cells[-1].text, cells[-1].notes) for cells in table.rows] == [
        ("not judged", (1,)),
        ("equivalent", ()),
        ("not judged", (1,)),
    ]
    assert table.notes == ("n=1; a verdict needs 5 processes a case",)


def test_what_is_better_nowhere_is_no_winner_of_the_cell():
    cases = [
        record("inference/a/base", metrics={WAIT: measured(WAIT, *FAST)}),
        record("inference/a/r8", metrics={WAIT: measured(WAIT, *SLOW)}),
        *(
            record(f"inference/b/{name}", key=key(device="cpu: Two"), metrics={WAIT: measured(WAIT, *[4.0] * 6)})
            for name in ("base", "r8")
        ),
    ]
    cell = verdict_of(page(bundle(*cases)), WAIT_ROW)
    assert cell.winners == ("a/r8",)
    assert cell.text.startswith("a: a/r8 is better (ratio ")
    assert cell.text.endswith("; b: equivalent")


def test_figures_that_were_read_in_a_report_are_never_judged():
    cases = [
        record(f"inference/{name}/base", metrics={"disk_bytes": measured("disk_bytes", size)})
        for name, size in (("a", 1e9), ("b", 2e9))
    ]
    read = bundle(*cases, published=Published(source="a paper", date=None))
    cell = verdict_of(page(read), "disk_bytes ↓")
    assert (cell.text, cell.winners) == ("not judged", ())
    assert notes(page(read), "Inference") == ["figures that were read in a report are not judged"]
    assert verdict_of(page(bundle(*cases)), "disk_bytes ↓").winners == ("a/base",)
