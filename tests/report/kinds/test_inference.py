from harness.report.kinds.inference import inference
from tests.support.samples import POLICY, bundle, grid, measured, record, section, titles

SPEED, DEPTH, ITL = "decode_tokens_per_s", "context_decode_tokens_per_s", "itl_s"


def report(**metrics):
    return inference(
        [
            bundle(
                record(
                    metrics={name: measured(name, *arguments[0], **arguments[1]) for name, arguments in metrics.items()}
                )
            )
        ],
        POLICY,
    )


def test_every_scenario_has_a_row_and_all_of_them_their_geometric_mean():
    page = report(decode_tokens_per_s=([(10.0, 40.0)], {"labels": ("short", "long")}))
    assert [tuple(row.values()) for row in grid(page, "Speed by scenario")] == [
        (f"{SPEED} short ↑", "10.00 token/s (n=1)"),
        (f"{SPEED} long ↑", "40.00 token/s (n=1)"),
        (f"{SPEED} geometric mean ↑", "20.00 token/s (n=1)"),
    ]
    assert [chart.name for chart in section(page, "Speed by scenario").figures] == ["speed_by_scenario"]


def test_what_is_no_scenario_has_no_mean():
    page = report(response_s=([(1.0, 4.0)], {"labels": ("mean", "median")}))
    assert len(grid(page, "Latency of a response")) == 2


def test_a_long_context_is_set_against_the_shortest():
    labels = ("depth 0", "depth 512")
    page = report(context_decode_tokens_per_s=([(10.0, 8.0)] * 6, {"labels": labels}))
    first, second = grid(page, "Context scaling")
    assert first["change against the shortest"] == "–"
    assert second["change against the shortest"] == "−20.0 % [−20.0 %, −20.0 %]"


def test_peak_is_a_percentile_of_the_speed_and_sustained_the_second_half_of_an_answer():
    """Twenty intervals of 0.5 s, then twenty of 0.25 s, and a single lucky one of 0.01 s."""
    readings = (*(0.5,) * 20, *(0.25,) * 19, 0.01)
    page = report(itl_s=([readings], {"labels": ("short",) * 40}))
    (row,) = grid(page, "Peak and sustained throughput")
    assert row["peak (95th percentile)"] == "4.000 token/s"
    assert row["sustained (second half)"] == "4.000 token/s"
    slow = report(itl_s=([tuple(reversed(readings))], {"labels": ("short",) * 40}))
    assert grid(slow, "Peak and sustained throughput")[0]["sustained (second half)"] == "2.000 token/s"


def test_only_what_belongs_to_inference_is_listed_as_not_measured():
    page = report(ttft_s=([0.5], {}))
    assert "train_wall_s" not in page.not_measured
    assert SPEED in page.not_measured
    assert "ttft_s" not in page.not_measured


def test_nothing_measured_is_a_page_of_facts():
    assert titles(inference([bundle()], POLICY)) == ["Runs", "Environment"]


def test_the_shortest_context_is_the_base_in_whatever_order_they_are_stored():
    labels = ("depth 512", "depth 0")
    page = report(context_decode_tokens_per_s=([(8.0, 10.0)] * 6, {"labels": labels}))
    first, second = grid(page, "Context scaling")
    assert (first["tokens before"], first["change against the shortest"]) == ("depth 0", "–")
    assert second["change against the shortest"] == "−20.0 % [−20.0 %, −20.0 %]"
