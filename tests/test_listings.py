import re
from pathlib import Path

import pytest

from harness import listings
from harness.gate import GateRow, GateVerdict
from harness.plans import Chat, ModelConfig, PypiWeights, ReadyModel
from harness.records import Status
from tests.samples import bundle, failed, measured, record, small_run, weights

RESULTS = Path("results")
TINY = ModelConfig(
    name="tiny",
    repository="org/tiny",
    license="apache-2.0",
    config={"model_type": "llama"},
    chat=Chat(family="plain", eos="</s>", pad="</s>"),
    nano={"layers": 2},
)
PYPI = PypiWeights(distribution="d", version="1", wheel="w", wheel_sha256="0", member="m", origin_quantization="q4_1")


def lines(text):
    """The cells of a listing: columns stand two spaces apart or more."""
    return [re.split(r" {2,}", line.rstrip()) for line in text.splitlines()]


def test_a_run_is_a_line_with_what_ended_well():
    assert lines(listings.runs([small_run()], RESULTS))[2:] == [
        ["20260102-030405-abcd", "2026-01-02T03:04:05Z", "standard", "tiny", "2 of 3 ok"]
    ]


def test_runs_keep_their_order():
    first, second = bundle(id="later-name"), bundle(id="a-name")
    assert [line[0] for line in lines(listings.runs([first, second], RESULTS))[2:]] == ["later-name", "a-name"]


def test_a_run_that_did_not_end_is_marked():
    assert lines(listings.runs([bundle(finished_at=None)], RESULTS))[2][-2:] == ["0 of 0 ok", "not finished"]


def test_no_runs_say_how_to_make_one():
    assert listings.runs([], RESULTS) == "no runs in results; measure one with: pytest suites/\n"


def test_a_run_id_that_looks_like_a_number_stays_as_it_is():
    assert lines(listings.runs([bundle(id="1e5")], RESULTS))[2][0] == "1e5"


def test_a_run_shows_each_case_with_its_headline_or_its_reason():
    shown = lines(listings.run(small_run()))
    assert shown[0] == [
        "run 20260102-030405-abcd, profile standard, started 2026-01-02T03:04:05Z, finished 2026-01-02T03:05:00Z"
    ]
    assert shown[4:] == [
        ["evaluation/tiny/base", "oom: killed at 7.5 GiB | of 8"],
        ["inference/tiny/base", "TTFT 500.0 ms, prefill not measured, decode 11.00 token/s, peak not measured"],
        ["inference/tiny/r8", "TTFT 500.0 ms, prefill not measured, decode 22.00 token/s, peak not measured"],
    ]


def test_a_runs_warnings_and_missing_end_stand_above_its_cases():
    head = listings.run(bundle(finished_at=None, warnings=("slow BLAS", "stand-in"))).splitlines()
    assert head[0].endswith(", not finished")
    assert head[1:3] == ["warning: slow BLAS", "warning: stand-in"]


def test_nothing_stored_steers_the_terminal():
    evil = "\x1b[2J\x07\u202e\r"
    its = bundle(failed(status=Status.CRASHED, reason=evil), id=evil, warnings=(evil,), profile=evil)
    for text in (listings.run(its), listings.runs([its], RESULTS)):
        assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert "crashed: ?[2J???" in listings.run(its)


def test_a_reason_of_several_lines_stays_on_one():
    rows = listings.run(bundle(failed(reason="one\ntwo"))).splitlines()
    assert rows[-1].endswith("failed: one?two")


def test_a_missing_figure_is_not_measured_and_never_0():
    shown = listings.run(bundle(record(metrics={"ttft_s": measured("ttft_s", reason="no clock")})))
    assert "TTFT not measured" in shown
    assert "None" not in shown


def test_the_registry_is_a_table_with_every_source():
    assert lines(listings.models([TINY]))[2:] == [
        ["tiny", "llama", "org/tiny", "apache-2.0", "no", "hub, nano"],
        ["hf:ORG/REPO[@REV] and path:DIR work too."],
    ]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (ModelConfig(name="a"), []),
        (ModelConfig(name="a", directory="/m"), ["path"]),
        (ModelConfig(name="a", pypi=PYPI), ["pypi"]),
        (ModelConfig(name="a", repository="o/r", pypi=PYPI, nano={"x": 1}), ["hub", "pypi", "nano"]),
    ],
)
def test_the_sources_of_a_model_are_those_it_has(config, found):
    assert listings.sources(config) == found


def test_a_model_is_shown_with_its_exact_counts():
    adapter = {"name": "r8", "rank": 8, "scale": 20.0, "layers": 16, "keys": ["q_proj", "v_proj"]}
    counted = {
        "model_type": "llama",
        "total_parameters": 134515008,
        "trainable_parameters": 245760,
        "adapter": adapter,
        "note": "fewer layers than asked for",
    }
    shown = dict(line for line in lines(listings.model(TINY, counted)))
    assert shown["parameters"] == "134,515,008"
    assert shown["trainable"] == "245,760 (0.1827 % of all)"  # 245760 / 134515008 = 0.00182701
    assert shown["adapter"] == "r8: rank 8, scale 20"
    assert shown["adapter layers"] == "last 16"
    assert shown["adapter keys"] == "q_proj, v_proj"
    assert shown["note"] == "fewer layers than asked for"
    assert shown["gated"] == "no"


def test_a_model_without_an_adapter_has_no_line_on_one():
    shown = listings.model(TINY, {"model_type": "llama", "total_parameters": 7})
    assert "adapter" not in shown
    assert "trainable" not in shown


def test_what_is_not_known_of_a_model_has_words_for_it():
    shown = dict(
        lines(listings.model(ModelConfig(name="path:/m", directory="/m"), {"model_type": "x", "total_parameters": 1}))
    )
    assert (shown["repository"], shown["licence"]) == ("none", "unknown")
    assert shown["chat family"] == shown["end of turn"] == "the tokenizer's own"


def test_fetched_weights_are_shown_without_the_users_name():
    ready = ReadyModel(
        config=TINY, directory=f"{Path.home()}/cache/m", weights=weights(bytes=3 * 2**20), warnings=("a stand-in",)
    )
    where = "/root/cache/m" if str(Path.home()) == "/" else "~/cache/m"
    assert listings.ready(ready) == f"tiny: hub, 3.000 MiB, in {where}\na stand-in\n"


def test_a_record_of_another_suite_is_shown():
    assert "other/tiny/base" in listings.run(bundle(record("other/tiny/base")))


def test_a_gate_lists_what_is_no_pass_and_counts_the_rest():
    rows = [
        GateRow(case="a", metric="ttft_s", verdict=GateVerdict.PASS, reason="equal"),
        GateRow(case="a", metric="load_s", verdict=GateVerdict.REGRESSION, reason="slower\x1b[2J"),
    ]
    text = listings.gate(rows, GateVerdict.REGRESSION)
    assert lines(text)[2:] == [
        ["regression", "a", "load_s", "slower?[2J"],
        [""],
        ["1 of 2 metrics pass"],
        ["verdict: regression"],
    ]


def test_a_gate_that_passes_lists_nothing():
    rows = [GateRow(case="a", metric="ttft_s", verdict=GateVerdict.PASS, reason="equal")]
    assert listings.gate(rows, GateVerdict.PASS) == "1 of 1 metrics pass\nverdict: pass\n"
