import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from harness.analysis.history import timelines
from harness.commands import listings
from harness.inputs.plans import Chat, ModelConfig, PypiWeights, ReadyModel
from harness.machine.doctor import DoctorFinding, DoctorSeverity, Examination, Facts
from harness.results.baselines import Replaced, Saved, Shelf
from harness.results.records import Environment, Status
from tests.support.samples import bundle, failed, key, measured, record, small_run, weights
from tests.support.samples import environment as sample_environment

PROBLEM = DoctorSeverity.PROBLEM
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
    battery = DoctorFinding(rule="battery", severity=PROBLEM, text="on\x1b battery", remedy="plug it in")
    swap = DoctorFinding(rule="swap", severity=DoctorSeverity.NOTE, text="in swap", remedy="restart")
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


# --- baselines ---


def shelf(its, **changes):
    line = Saved(
        schema=1,
        number=3,
        run=its.run.id,
        saved_at="2026-01-03T00:00:00Z",
        reason="new\x1b[2J machine of the laboratory",
        git=None,
        versions={"mlx-lm": None, "mlx": "0.31.0"},
    )
    return Shelf(**{"name": "main", "bundle": its, "saved": line, "earlier": 2, **changes})


def test_a_baseline_is_listed_with_its_age_what_it_holds_and_why():
    two = {"ttft_s": measured("ttft_s", 1.0, 1.0)}
    three = {"ttft_s": measured("ttft_s", 1.0, 1.0, 1.0)}
    stand_in = key(weights=weights(source="nano"))
    its = bundle(record(metrics=two, key=stand_in), record("inference/tiny/r8", metrics=three))
    text = listings.baselines([shelf(its)], Path("results"), "2026-01-12T15:04:05Z")
    assert lines(text)[0] == ["name", "no.", "run", "age", "cases x n", "reason"]
    assert lines(text)[2] == ["main", "3", "20260102-030405-abcd", "10 d", "2 x 2 to 3", "new?[2J machine of the…"]
    assert " ".join(text.split("\n\n")[1].split()) == (
        "main: gpu: One, weights hub, weights nano (stand-in), mlx-lm unknown, mlx 0.31.0, "
        "saved 2026-01-03T00:00:00Z, 2 earlier"
    )
    assert max(map(len, text.splitlines())) == 80


def test_a_baseline_of_one_case_says_its_processes_once_and_of_an_unknown_day_no_age():
    its = bundle(record(metrics={"ttft_s": measured("ttft_s", 1.0)}), started_at="unknown")
    cells = lines(listings.baselines([shelf(its)], Path("results"), "2026-01-12T00:00:00Z"))[2]
    assert cells[3:5] == ["unknown", "1 x 1"]


def test_where_there_are_no_baselines_it_says_how_to_make_one():
    text = listings.baselines([], Path("results"), "2026-01-12T00:00:00Z")
    assert text == "no baselines in results; make one with: tunebench baseline save RUN --reason TEXT\n"


def test_a_save_says_what_it_replaced_accepted_and_no_longer_watches():
    line = replace(
        shelf(bundle()).saved,
        replaced=Replaced(number=2, run="r1"),
        verdict="regression",
        worst="a ttft_s: slower",
        accepted=("a ttft_s: slower",),
        dropped=("b",),
    )
    assert listings.saved(line, Path("results/baseline/main")).splitlines() == [
        f"results/baseline/main/0003.json: {line.run} is the baseline 'main', in place of number 2, run r1: regression",
        "accepted: a ttft_s: slower",
        "no longer watched: b",
        "commit results/baseline/main",
    ]


UNJUDGED, WHY = "warning: it could not be judged against that one", "tunebench gate main@2 main says why"


@pytest.mark.parametrize(
    ("verdict", "worst", "said"),
    [
        ("pass", "a ttft_s: +0.5 % slower [0.0, 1.0]", "worst change: a ttft_s: +0.5 % slower [0.0, 1.0]"),
        (
            "inconclusive",
            "a ttft_s: +0.5 % slower [−9.0, 9.0]",
            f"{UNJUDGED}; worst change: a ttft_s: +0.5 % slower [−9.0, 9.0]; {WHY}",
        ),
        (
            "not-comparable",
            None,
            f"{UNJUDGED}; nothing of it could be compared; {WHY}",
        ),
    ],
)
def test_a_save_says_the_worst_change_and_warns_where_it_could_not_be_judged(verdict, worst, said):
    line = replace(shelf(bundle()).saved, replaced=Replaced(number=2, run="r1"), verdict=verdict, worst=worst)
    assert listings.saved(line, Path("results/baseline/main")).splitlines()[1:-1] == [said]


def test_a_first_save_was_held_against_nothing():
    assert len(listings.saved(shelf(bundle()).saved, Path("results/baseline/main")).splitlines()) == 2


# --- history ---


def series(*rates):
    return timelines(
        [
            bundle(
                record(metrics={"ttft_s": measured("ttft_s", rate)}), id=f"r{number:02}", started_at=f"2026-{number:02}"
            )
            for number, rate in enumerate(rates)
        ],
        "ttft_s",
    )


def test_a_history_is_a_sentence_and_a_line_a_run():
    text = lines(listings.history(series(0.5, 0.25)))
    assert text[0][0].startswith("inference/tiny/base: 2 runs; change points were not looked for")
    assert text[1] == ["started", "run", "commit", "mlx-lm", "mlx", "value", "processes", "change point"]
    assert text[3:] == [
        ["2026-00", "r00", "01234567", "unknown", "0.31.0", "500.0 ms", "1"],
        ["2026-01", "r01", "01234567", "unknown", "0.31.0", "250.0 ms", "1"],
    ]


def test_of_a_long_history_the_newest_runs_and_every_change_are_shown():
    text = lines(listings.history(series(*[1.0] * 10, *[2.0] * 40)))
    rows = [line for line in text if line[0].startswith("2026-")]
    assert len(rows) == 31
    assert (rows[0][1], rows[0][-1], rows[1][1]) == ("r10", "+100.0 %, worse", "r20")
    assert text[-1] == ["19 earlier runs are left out here; --format md has all"]


def many(**levels):
    """A series a name: that level for ten runs, and twice of it for ten more where the name begins with "up"."""
    return timelines(
        [
            bundle(
                *(
                    record(
                        f"inference/tiny/{name}",
                        metrics={"ttft_s": measured("ttft_s", level * (2 if name.startswith("up") and at > 9 else 1))},
                    )
                    for name, level in levels.items()
                ),
                id=f"r{at:02}",
                started_at=f"2026-{at:02}",
            )
            for at in range(20)
        ],
        "ttft_s",
    )


def test_of_many_series_each_is_a_line_and_only_what_changed_is_shown():
    text = listings.history(many(a=0.5, b=1.0, up=1.0), left_out=3)
    assert text.splitlines()[0] == "3 series, 1 changed, 1 of them for the worse at last"
    assert lines(text)[2] == ["case", "part", "runs", "newest value", "change points"]
    assert lines(text)[4] == ["inference/tiny/up", "20", "2.000 s", "1, the newest +100.0 %, worse"]
    assert lines(text)[5] == ["inference/tiny/a", "20", "500.0 ms", "none"]
    assert text.count("started") == 1
    assert text.splitlines()[-3:] == [
        "the runs of the 2 series not shown here: --case with a case from above",
        "",
        "Runs left out: 3, which were sides of a comparison or a gate's second look; --all-runs takes them",
    ]


def test_of_series_that_did_not_change_there_is_the_table_alone():
    text = listings.history(many(a=0.5, b=1.0))
    assert text.splitlines()[0] == "2 series, none changed"
    assert len(text.splitlines()) == 8
    assert "started" not in text


def test_what_was_not_looked_at_is_told_once_for_all():
    short = [replace(its, shifts=(), why_not="too few") for its in many(a=0.5, b=1.0)]
    text = listings.history(short)
    assert text.splitlines()[:2] == [
        "2 series, none looked at for change points",
        "2 series: change points were not looked for: too few.",
    ]
    both = listings.history([*short, *many(c=1.0)])
    assert both.splitlines()[0] == "3 series, 1 looked at for change points, none changed"


def test_all_parts_of_a_case_that_was_asked_for_are_shown():
    parts = [replace(its, case="x", label=its.case[-1]) for its in many(a=0.5, b=1.0)]
    assert listings.history(parts, case="x").count("started") == 2
    assert listings.history(parts).count("started") == 0
    assert listings.history(many(a=0.5, b=1.0), case="*").count("started") == 0


# --- ab ---


def test_a_comparison_says_what_was_measured_why_it_ended_and_where_it_is():
    text = listings.comparison((Path("r/x-a"), Path("r/x-b")), {"c": 3, "d": 2}, "the budget\x1b is spent")
    assert text == "pairs: 3 of c, 2 of d; the budget? is spent\nA: r/x-a\nB: r/x-b\n"
