import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from harness import listings
from harness.doctor import Examination, Facts, Finding, Severity
from harness.gate import GateRow, GateVerdict
from harness.plans import Chat, ModelConfig, PypiWeights, ReadyModel
from harness.records import Environment, Status
from tests.samples import bundle, failed, measured, record, small_run, weights
from tests.samples import environment as sample_environment

PROBLEM = Severity.PROBLEM
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


def facts(environment=None, **changes):
    plain = Facts(
        environment=environment or sample_environment(),
        failure=None,
        hub_problem=None,
        energy_parts=("package", "dram"),
        energy_reason=None,
        results_free_bytes=3 * 2**30,
        cache_free_bytes=None,
    )
    return replace(plain, **changes)


def examined(*findings, its=None):
    return Examination(facts=its or facts(), findings=findings, ok=all(f.severity is not PROBLEM for f in findings))


def told(its):
    """The table of facts as a mapping."""
    table = listings.doctor(its).partition("\n\n")[0]
    return dict(re.split(r" {2,}", line.rstrip(), maxsplit=1) for line in table.splitlines())


def test_a_machine_that_is_fine_ends_in_fine():
    assert listings.doctor(examined()).splitlines()[-2:] == ["", "fine"]


def test_each_finding_stands_with_its_remedy_above_the_count_of_problems():
    battery = Finding(rule="battery", severity=PROBLEM, text="on\x1b battery", remedy="plug it in")
    swap = Finding(rule="swap", severity=Severity.NOTE, text="in swap", remedy="restart")
    text = listings.doctor(examined(battery, swap))
    assert text.partition("\n\n")[2] == (
        "problem [battery]: on? battery\n  remedy: plug it in\n\n"
        "note [swap]: in swap\n  remedy: restart\n\n"
        "1 problem: numbers measured here would mislead\n"
    )
    assert listings.doctor(examined(battery, battery)).endswith("\n2 problems: numbers measured here would mislead\n")
    assert listings.doctor(examined(swap)).endswith("  remedy: restart\n\nfine\n")


def test_the_facts_of_a_machine_are_written_for_a_person():
    its = replace(
        sample_environment(),
        self_check={"ok": True},
        power={
            "load_average_1min": 0.25,
            "other_cpu_share": 0.125,
            "cpu_steal_share": 0.0,
            "memory_available_bytes": 6 * 2**30,
            "swap_used_bytes": 0,
            "on_battery": False,
            "low_power_mode": True,
            "cpu_governor": "schedutil",
            "thermal_warning": False,
            "temperature_c": 61.5,
        },
    )
    assert told(examined(its=facts(its))) == {
        "device": "gpu: One",
        "processor": "One",
        "cores, threads": "2, 4",
        "system": "Linux",
        "versions": "Python 3.12.1, mlx 0.31.0, mlx-lm unknown, numpy unknown",
        "BLAS": "openblas 1",
        "fp32 product": "MLX 2.500 GFLOP/s, NumPy 3.000 TFLOP/s",
        "self-check": "passed",
        "C++ compiler": "g++ 12",
        "memory": "6.000 GiB of 8.000 GiB free, 0 B in swap",
        "disk": "3.000 GiB free for results, unknown for the cache",
        "load": "average 0.25, other programs 12.50 %, stolen 0 %",
        "power": "mains, low power mode on, governor schedutil",
        "heat": "warning no, highest 61.50 °C",
        "model hub": "answers",
        "energy meter": "package, dram",
    }


def test_what_is_not_known_of_a_machine_is_unknown_and_never_none():
    bare = Environment(device={}, os={}, packages={}, blas={}, roofline={}, power={}, compiler=None)
    its = facts(bare, failure="it died", hub_problem="no route", energy_parts=(), energy_reason="no meter")
    shown = told(examined(its=its))
    assert "None" not in listings.doctor(examined(its=its))
    assert (shown["device"], shown["self-check"], shown["memory"]) == (
        "unknown",
        "unknown",
        "unknown of unknown free, unknown in swap",
    )
    assert (shown["C++ compiler"], shown["model hub"], shown["energy meter"]) == ("none", "cannot be reached", "none")


def test_the_registry_is_a_table_with_every_source():
    counted = {"tiny": {"total_parameters": 1234567}}
    assert lines(listings.models([TINY], counted)) == [
        ["name", "architecture", "parameters", "licence", "gated", "weights"],
        ANY,
        ["tiny", "llama", "1,234,567", "apache-2.0", "no", "hub, random, nano"],
        ["hf:ORG/REPO[@REV] and path:DIR work too."],
    ]


def test_the_registry_shows_what_an_adapter_trains_and_on_which_models_it_does_not_fit():
    odd = replace(TINY, name="odd")
    counted = {
        "tiny": {"total_parameters": 1234567, "trainable_parameters": 4096},
        "odd": {"problem": "adapter r8: 1 problem"},
    }
    assert lines(listings.models([TINY, odd], counted))[2:] == [
        ["tiny", "llama", "1,234,567", "4,096", "apache-2.0", "no", "hub, random, nano"],
        ["odd", "llama", "apache-2.0", "no", "hub, random, nano"],
        ["adapter r8: 1 problem"],
        ["hf:ORG/REPO[@REV] and path:DIR work too."],
    ]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (ModelConfig(name="a"), []),
        (ModelConfig(name="a", directory="/m"), ["path"]),
        (ModelConfig(name="a", pypi=PYPI), ["pypi"]),
        (ModelConfig(name="a", repository="o/r", pypi=PYPI, nano={"x": 1}), ["hub", "pypi", "nano"]),
        (ModelConfig(name="a", config={"model_type": "x"}), ["random"]),
    ],
)
def test_the_sources_of_a_model_are_those_it_has(config, found):
    assert listings.sources(config) == found


def test_a_model_is_shown_with_its_exact_counts():
    adapter = {"name": "r8", "kind": "dora", "rank": 8, "scale": 20.0, "layers": 16, "keys": ["q_proj", "v_proj"]}
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
    assert shown["adapter"] == "r8: dora, rank 8, scale 20"
    assert shown["adapter layers"] == "last 16"
    assert shown["adapter keys"] == "q_proj, v_proj"
    assert shown["note"] == "fewer layers than asked for"
    assert shown["gated"] == "no"


def test_a_full_fine_tune_is_shown_without_a_rank():
    adapter = {"name": "all", "kind": "full", "rank": None, "scale": None, "layers": 2, "keys": ["q_proj"]}
    counted = {"model_type": "x", "total_parameters": 9, "trainable_parameters": 3, "adapter": adapter, "note": None}
    assert dict(lines(listings.model(TINY, counted)))["adapter"] == "all: full"


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
        config=TINY,
        directory=f"{Path.home()}/cache/m",
        tokenizer="00",
        weights=weights(bytes=3 * 2**20),
        warnings=("a stand-in",),
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


def test_a_gate_says_what_to_be_wary_of_before_the_verdict():
    text = listings.gate([], GateVerdict.PASS, ["different\x1b[2J", "odd"])
    assert text.splitlines()[1:] == ["warning: different?[2J", "warning: odd", "verdict: pass"]


def test_a_gate_that_passes_lists_nothing():
    rows = [GateRow(case="a", metric="ttft_s", verdict=GateVerdict.PASS, reason="equal")]
    assert listings.gate(rows, GateVerdict.PASS) == "1 of 1 metrics pass\nverdict: pass\n"
