import getpass
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import __version__
from harness.analysis.judge import Design
from harness.cli import main
from harness.errors import HarnessError
from harness.gate.verdicts import GateResult, GateRow, GateVerdict
from harness.session.ab.compare import Outcome
from harness.session.ab.pairs import Plan
from tests.support.samples import Page, bundle, environment, failed, full_record, measured, record, small_run, stored

ROOT = Path(__file__).parents[1]
MODEL_LIBRARIES = {"mlx", "mlx_lm", "transformers", "tokenizers", "torch"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with one run under results/, to stand in."""
    stored(tmp_path / "results", small_run())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here):
    return here / "results" / "20260102-030405-abcd"


def refused(capsys, *arguments):
    """Run a command that must refuse with 2; give its message, which is all it writes."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tunebench: ")
    assert "Traceback" not in captured.err
    return captured.err


def done(capsys, *arguments):
    """Run a command that must succeed in silence on stderr; give what it prints."""
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def python(*arguments, **others):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, **others
    )


# --- naming a run ---


@pytest.mark.parametrize("name", ["latest", "20260102-030405-abcd", "2026", "results/20260102-030405-abcd"])
def test_a_run_answers_to_its_id_a_prefix_its_path_and_latest(here, capsys, name):
    assert done(capsys, "show", name).startswith("run 20260102-030405-abcd, profile standard")


def test_latest_is_the_run_that_started_last_whatever_its_name(here, capsys):
    stored(here / "results", bundle(id="0-name", started_at="2027-01-01T00:00:00Z"))
    stored(here / "results", bundle(id="z-name", started_at="2025-01-01T00:00:00Z"))
    assert done(capsys, "show", "latest").startswith("run 0-name,")


@pytest.mark.parametrize("command", ["show", "report", "export"])
def test_an_unknown_run_is_refused_with_those_that_are_known(here, capsys, command):
    message = refused(capsys, command, "20250101-nothing")
    assert "unknown run '20250101-nothing'" in message
    assert "Known: 20260102-030405-abcd." in message
    assert "`tunebench runs` and `tunebench baseline list` list them" in message


def test_an_ambiguous_prefix_is_refused_and_not_guessed(here, capsys):
    stored(here / "results", bundle(id="20260102-other"))
    assert "More than one begins so" in refused(capsys, "show", "20260102")


def test_latest_of_no_runs_is_refused(tmp_path, capsys):
    assert "unknown run 'latest'. Known: none." in refused(capsys, "show", "latest", "--results-dir", tmp_path)


def test_a_run_name_of_any_length_is_refused_without_a_traceback(here, capsys):
    assert "unknown run" in refused(capsys, "show", "a" * 5000)


def test_latest_finds_a_run_whose_directory_was_renamed(run, capsys):
    run.rename(run.with_name("my-laptop"))
    assert done(capsys, "show", "latest").startswith("run 20260102-030405-abcd")


# --- runs, show ---


def test_runs_lists_what_is_there(here, capsys):
    text = done(capsys, "runs")
    assert "20260102-030405-abcd" in text
    assert "2 of 3 ok" in text


def test_runs_stand_in_the_order_they_were_started(here, capsys):
    stored(here / "results", bundle(id="a-name", started_at="2027-01-01T00:00:00Z"))
    stored(here / "results", bundle(id="z-name", started_at="2025-01-01T00:00:00Z"))
    names = [line.split()[0] for line in done(capsys, "runs").splitlines()[2:]]
    assert names == ["z-name", "20260102-030405-abcd", "a-name"]


def test_runs_of_an_empty_place_say_how_to_measure(tmp_path, capsys):
    text = done(capsys, "runs", "--results-dir", tmp_path / "nowhere")
    assert text == f"no runs in {tmp_path / 'nowhere'}; measure one with: pytest suites/\n"


@pytest.mark.parametrize("name", ["run.json", "inference+tiny+r8.json"])
@pytest.mark.parametrize("rest", [b"", b'{"schema": 1, "run', b"\xff\xfe", b"[]", b"null"])
def test_a_torn_file_is_named_and_skipped_by_runs_and_refused_by_the_others(here, run, capsys, name, rest):
    stored(here / "results", bundle(id="whole"))
    (run / name).write_bytes(rest)
    assert main(["runs"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert captured.err.count("\n") == 1
    assert str(Path("results", run.name, name)) in captured.err
    assert "whole" in captured.out
    for command in ("report", "show", "export"):
        assert name in refused(capsys, command, run)
    assert not (run / "report.md").exists()


def test_a_torn_bundle_is_refused(here, capsys):
    Path("torn.json").write_text('{"schema": 1, "run": {"id"', encoding="utf-8")
    message = refused(capsys, "report", "torn.json")
    assert message.startswith("tunebench: torn.json: not a result of this program")
    assert "move it away or measure again" in message


def test_a_file_of_a_later_schema_is_refused_with_what_to_do(run, capsys):
    head = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**head, "schema": 99}), encoding="utf-8")
    assert "schema 99; this version reads 1. Update tunebench." in refused(capsys, "report", run)


# --- report ---


def test_a_report_goes_beside_the_run_and_its_path_is_printed(run, capsys):
    assert done(capsys, "report", "latest") == f"{Path('results', run.name, 'report.md')}\n"
    assert (run / "report.md").read_text(encoding="utf-8").startswith("# Comparison: tiny\n")


def test_a_report_goes_where_it_is_told_in_every_format_asked_for(here, run, capsys):
    assert done(capsys, "report", "latest", "--format", "md,json", "-o", "out") == "out/report.md\nout/report.json\n"
    assert json.loads(Path("out/report.json").read_text(encoding="utf-8"))["title"] == "tiny"
    assert not (run / "report.md").exists()


def test_a_report_is_the_same_when_it_is_made_again(run, capsys):
    done(capsys, "report", "latest")
    first = (run / "report.md").read_bytes()
    done(capsys, "report", "latest")
    assert (run / "report.md").read_bytes() == first


def test_two_runs_make_one_report(here, capsys):
    stored(here / "results", bundle(record(), id="other"))
    done(capsys, "report", "20260102-030405-abcd", "other", "-o", "out")
    (runs, *_) = Page(Path("out/report.md").read_text(encoding="utf-8")).tables
    assert [line[0] for line in runs] == ["run", "20260102-030405-abcd", "other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "compairson"), "unknown report kind 'compairson'. Did you mean 'comparison'?"),
        (("--format", "pdf"), "unknown report format 'pdf'. Known: comment, html, json, md."),
        (("--format", "md,pdf"), "unknown report format 'pdf'. Known: comment, html, json, md."),
        (("--format", ""), "unknown report format ''. Known: comment, html, json, md."),
        (("--templates", "nowhere"), "nowhere: 1 problem\n  no such folder"),
    ],
)
def test_a_report_asked_for_wrongly_is_refused_and_not_written(run, capsys, arguments, message):
    assert message in refused(capsys, "report", "latest", *arguments)
    assert not (run / "report.md").exists()


def test_a_users_template_makes_the_report(here, run, capsys):
    Path("own").mkdir()
    Path("own/comparison.md.j2").write_text("# Mine: {{ report.title }}\n", encoding="utf-8")
    done(capsys, "report", "latest", "--templates", "own")
    assert (run / "report.md").read_text(encoding="utf-8") == "# Mine: tiny\n"


def test_a_misspelt_name_in_a_template_is_refused_with_file_and_name(here, run, capsys):
    Path("own").mkdir()
    Path("own/comparison.md.j2").write_text("{{ report.titel }}", encoding="utf-8")
    message = refused(capsys, "report", "latest", "--templates", "own")
    assert message.startswith("tunebench: own/comparison.md.j2: 1 problem\n")
    assert "'titel'" in message
    assert not (run / "report.md").exists()


def test_a_report_that_cannot_be_written_is_refused_with_the_place(here, capsys):
    Path("file").write_text("", encoding="utf-8")
    message = refused(capsys, "report", "latest", "-o", "file")
    assert message.startswith("tunebench: file/")
    assert "choose another place" in message


# --- gate ---


def speed(run_id, *values):
    metrics = {"decode_tokens_per_s": measured("decode_tokens_per_s", *values)}
    return bundle(record("inference/tiny/base", metrics=metrics), id=run_id)


@pytest.mark.parametrize(
    ("candidate", "code", "verdict"),
    [
        ((20.0,) * 6, 0, "pass"),
        ((40.0,) * 6, 0, "improved"),
        ((10.0,) * 6, 1, "regression"),
        ((10.0,), 3, "inconclusive"),
    ],
)
def test_a_gate_exits_with_what_it_found(here, capsys, candidate, code, verdict):
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *candidate))
    assert main(["gate", "before", "after"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines()[-1].startswith(f"verdict: {verdict} (exit {code}: ")


def test_a_gate_between_versions_of_a_library_says_so(here, capsys):
    newer = replace(speed("after", *(20.0,) * 6), environment=environment(packages={"mlx": "0.32.0"}))
    stored(here / "results", speed("before", *(20.0,) * 6), newer)
    assert main(["gate", "before", "after"]) == 0
    assert "warning: versions differ: mlx: 0.31.0 -> 0.32.0" in capsys.readouterr().out


def test_a_gate_judges_by_the_policy_that_is_asked_for(here, capsys):
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--policy", "deterministic"]) == 3
    assert "1 ignored: times need a machine of their own" in capsys.readouterr().out
    assert "unknown" in refused(capsys, "gate", "before", "after", "--policy", "strict")


def test_a_gate_s_answer_goes_where_it_was_asked_to(here, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary")
    monkeypatch.setenv("GITHUB_OUTPUT", "output")
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--json", "a", "--md", "b", "--junit", "c", "--github"]) == 1
    beginnings = {name: Path(name).read_text(encoding="utf-8")[:20] for name in ("a", "b", "c", "summary", "output")}
    assert beginnings == {
        "a": '{\n "schema": 1,\n "tu',
        "b": "<!-- tunebench-gate ",
        "c": "<?xml version='1.0' ",
        "summary": "<!-- tunebench-gate ",
        "output": "verdict=regression\ne",
    }
    assert "\n::error title=regression in inference/tiny/base::" in capsys.readouterr().out


def test_without_being_asked_for_a_gate_says_nothing_to_github(here, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary")
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after"]) == 1
    assert "::error" not in capsys.readouterr().out
    assert not Path("summary").exists()


def test_a_file_on_standard_output_stands_there_alone(here, capsys):
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    assert main(["gate", "before", "after", "--json", "-"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == 1
    assert "verdict: regression" in captured.err


def test_a_gate_whose_file_cannot_be_written_still_says_its_verdict(here, capsys, monkeypatch):
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    Path("file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GITHUB_OUTPUT", "file/x")
    assert main(["gate", "before", "after", "--github"]) == 2
    captured = capsys.readouterr()
    assert "verdict: regression" in captured.out
    assert captured.err.startswith("tunebench: file/x: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("places", [["--json", "-", "--md", "-"], ["--md", "no/x"]])
def test_an_answer_that_cannot_go_where_it_was_asked_to_is_refused_before_anything_is_read(here, capsys, places):
    assert "places of the answer: 1 problem" in refused(capsys, "gate", "nosuch", "nosuch", *places)
    assert not Path("no").exists()


def test_a_gate_names_the_baseline_as_it_was_asked_for_and_where_it_lies(here, capsys):
    stored(here / "results", speed("before", *(20.0,) * 6), speed("after", *(10.0,) * 6))
    done(capsys, "baseline", "save", "before", "--reason", "the first")
    assert main(["gate", "default", "after", "--json", "-"]) == 1
    a, b = json.loads(capsys.readouterr().out)["origins"]
    assert (a["typed"], a["number"], a["path"]) == ("default", 1, "results/baseline/default/0001.json")
    assert (b["typed"], b["number"], b["path"]) == ("after", None, "results/after")


def test_a_gate_without_a_baseline_is_refused_and_no_pass(here, capsys):
    assert "unknown run 'before'" in refused(capsys, "gate", "before", "latest")


# --- export ---


@pytest.mark.parametrize("form", ["md", "json"])
def test_an_exported_run_gives_the_same_report(here, run, capsys, form):
    stored(here / "results", bundle(full_record(), failed("inference/tiny/r8"), id="full", started_at="2027"))
    assert done(capsys, "export", "latest", "-o", "f.json") == ""
    done(capsys, "report", "latest", "--format", form, "-o", "from-run")
    done(capsys, "report", "f.json", "--format", form, "-o", "from-bundle")
    made = [Path(place, f"report.{form}").read_text(encoding="utf-8") for place in ("from-run", "from-bundle")]
    assert len(made[0]) > 1000
    one, other = (text.replace(path, "PATH") for text, path in zip(made, ("../results/full", "../f.json"), strict=True))
    assert one == other


def test_an_export_to_standard_output_is_the_bundle(here, capsys):
    found = json.loads(done(capsys, "export", "latest"))
    assert found["schema"] == 1
    assert found["run"]["id"] == "20260102-030405-abcd"
    assert [its["case"] for its in found["records"]] == [
        "evaluation/tiny/base",
        "inference/tiny/base",
        "inference/tiny/r8",
    ]
    assert found["records"][2]["metrics"]["decode_tokens_per_s"]["samples"] == [[20], [22], [24], [20], [22], [24]]


def test_a_bundle_can_be_shown(here, capsys):
    done(capsys, "export", "latest", "-o", "f.json")
    assert done(capsys, "show", "f.json") == done(capsys, "show", "latest")


def test_a_bundles_report_goes_to_where_one_stands(here, capsys):
    done(capsys, "export", "latest", "-o", "sub/f.json")
    assert done(capsys, "report", "sub/f.json") == "report.md\n"
    assert Path("report.md").is_file()


def test_an_unknown_export_format_is_refused(here, capsys):
    assert "unknown export format 'xml'. Known: csv, " in refused(capsys, "export", "latest", "--format", "xml")


def test_an_export_that_cannot_be_written_is_refused_with_the_place(here, capsys):
    message = refused(capsys, "export", "latest", "-o", "results")
    assert message.startswith("tunebench: results: ")
    assert "choose another place" in message


# --- models ---


def test_the_registry_is_listed(capsys):
    text = done(capsys, "models")
    assert {line.split()[0] for line in text.splitlines()} >= {"smollm2", "tinyllama", "qwen", "gpt2"}


@pytest.mark.parametrize("action", ["show", "fetch"])
def test_an_unknown_model_is_refused_with_a_guess(capsys, action):
    message = refused(capsys, "models", action, "smolm2")
    assert "unknown model 'smolm2'. Did you mean 'smollm2'?" in message
    assert "hf:ORG/REPO and path:DIR work too." in message


def test_an_unknown_adapter_is_refused_with_a_guess(capsys):
    message = refused(capsys, "models", "show", "smollm2", "--lora", "qv-r6")
    assert "unknown adapter config 'qv-r6'. Did you mean" in message
    assert "A path to a .toml file works too." in message


def test_a_path_without_a_model_is_refused(tmp_path, capsys):
    assert "holds no config.json" in refused(capsys, "models", "show", f"path:{tmp_path}")


def test_an_unknown_source_of_weights_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(
        "harness.session.worker_requests.fetch", lambda model, source: pytest.fail(f"asked for {source}")
    )
    try:
        message = refused(capsys, "models", "fetch", "smollm2", "--weights", "hubb")
    except pytest.fail.Exception as error:
        raise AssertionError(str(error)) from error
    assert "hubb" in message


# --- doctor ---


@pytest.fixture
def machine(monkeypatch):
    """A machine that is fine: its environment, which a test may change, and where disk was looked for."""
    looked = []
    its = {
        "device": {"name": "cpu: One", "type": "cpu"},
        "roofline": {"gemm_flops_per_s": 9e10, "numpy_gemm_flops_per_s": 1e11},
        "packages": {"mlx-lm": "1"},
    }
    monkeypatch.setattr("harness.machine.environment.load_and_power", lambda: {"load_average_1min": 0.1})
    monkeypatch.setattr("harness.session.worker_requests.examine", lambda: environment(**its))
    monkeypatch.setattr("harness.inputs.hub.unreachable", lambda: "no route")
    monkeypatch.setattr("harness.machine.system.free_bytes", lambda path: looked.append(path) or 9 << 30)
    return SimpleNamespace(its=its, looked=looked)


def test_a_fine_machine_exits_with_0_and_notes_do_not_change_that(machine, capsys, tmp_path):
    text = done(capsys, "doctor", "--results-dir", tmp_path / "elsewhere")
    assert "note [hub]: no model hub can be reached (no route)" in text
    assert text.endswith("\nfine\n")
    assert machine.looked[0] == tmp_path / "elsewhere"


def test_a_machine_whose_numbers_mislead_exits_with_1_and_the_remedy(machine, capsys):
    machine.its["blas"] = {"library": "stock", "fast": False, "problem": "TUNEBENCH_BLAS=stock was set"}
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "problem [blas-stock]: MLX uses the BLAS of its wheel (TUNEBENCH_BLAS=stock was set)" in text
    assert "remedy: unset TUNEBENCH_BLAS" in text
    assert text.endswith("\n1 problem: numbers measured here would mislead\n")


def test_a_machine_without_a_working_mlx_gets_a_finding_and_no_traceback(machine, monkeypatch, capsys):
    def refuse():
        raise HarnessError("ImportError: libmlx.so: cannot open shared object file")

    monkeypatch.setattr("harness.session.worker_requests.examine", refuse)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "problem [worker]: nothing can be measured: ImportError: libmlx.so" in captured.out
    assert captured.err == ""


def test_the_real_machine_is_described_in_strict_json_that_names_nobody(capsys):
    """With a real worker: what it says of this machine depends on the machine, but never on who owns it."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    code = main(["doctor", "--json"])
    text = capsys.readouterr().out
    its = json.loads(text, parse_constant=refuse)
    assert code == (0 if its["ok"] else 1)
    assert its["ok"] == all(finding["severity"] == "note" for finding in its["findings"])
    seen = its["facts"]["environment"]
    assert its["facts"]["failure"] is None
    assert seen["device"]["name"]
    assert re.fullmatch("[0-9a-f]{64}", seen["code"])
    values = {str(value) for part in seen.values() if isinstance(part, dict) for value in part.values()}
    assert not {getpass.getuser(), socket.gethostname()} & values
    assert str(Path.home()) == "/" or str(Path.home()) not in text


# --- ab ---


@pytest.fixture
def comparison(here, monkeypatch):
    """Comparisons end as *outcome* says; what they were asked for is kept."""
    asked = SimpleNamespace(outcome={"ended": "the verdict is clear"}, verdict=GateVerdict.PASS)

    def compare(arms, arguments, plan, *, results_dir, gate, say):
        asked.arms, asked.arguments, asked.plan, asked.results_dir = arms, arguments, plan, results_dir
        say("pair 1 of 3")
        row = GateRow(case="c", metric="m", verdict=asked.verdict, reason="because")
        result = GateResult(baseline="a", candidate="b", design=Design.PAIRED, rows=(row,))
        runs = tuple(results_dir.iterdir()) * 2
        return Outcome(**({"result": result, "directories": runs, "pairs": {"c": 3}} | asked.outcome))

    monkeypatch.setattr("harness.session.ab.compare.compare", compare)
    return asked


@pytest.mark.parametrize(
    ("verdict", "code"), [(GateVerdict.PASS, 0), (GateVerdict.REGRESSION, 1), (GateVerdict.INCONCLUSIVE, 3)]
)
def test_a_comparison_exits_with_its_verdict_and_says_where_it_is(comparison, capsys, verdict, code):
    comparison.verdict = verdict
    arguments = ["ab", "same", "env:X=1", "--pairs", "3", "--seed", "7", "--", "suites", "-k", "a", "--", "b"]
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err == "pair 1 of 3\n"
    assert captured.out.startswith("pairs: 3 of c; the verdict is clear\nA: results/")
    assert f"\nverdict: {verdict.value} (exit {code}" in captured.out
    assert comparison.arguments == ["suites", "-k", "a", "--", "b"]
    assert comparison.plan == Plan(pairs=3, budget_s=None, seed=7)
    assert [arm.text for arm in comparison.arms] == ["same", "env:X=1"]
    assert comparison.results_dir == Path("results")


def test_an_interrupted_comparison_exits_as_a_shell_says_it(comparison, capsys):
    comparison.outcome = {"ended": "interrupted"}
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert "verdict: pass" in capsys.readouterr().out
    comparison.outcome = {"ended": "interrupted", "result": None, "pairs": {}}
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert "nothing is stored" in capsys.readouterr().err


def test_a_comparison_that_is_interrupted_twice_ends_without_a_traceback(comparison, monkeypatch, capsys):
    def compare(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.session.ab.compare.compare", compare)
    assert main(["ab", "same", "same", "--", "suites"]) == 130
    assert capsys.readouterr().err == "tunebench: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ab", "same", "same"], "nothing is to be measured"),
        (["ab", "same", "same", "--"], "nothing is to be measured"),
        (["ab", "same", "same", "--", "suites", "--resume=x"], "'--resume=x' is set by the comparison itself"),
        (["ab", "same", "same", "--pairs", "0", "--", "suites"], "--pairs 0"),
        (["ab", "same", "svn:1", "--", "suites"], "'svn:1': unknown form"),
    ],
)
def test_a_comparison_of_nothing_is_refused_before_anything_is_made(comparison, capsys, arguments, message):
    assert message in refused(capsys, *arguments)
    assert not hasattr(comparison, "arms")


@pytest.mark.parametrize("places", [["--json", "-", "--md", "-"], ["--junit", "no/x"]])
def test_a_comparison_whose_answer_has_no_place_is_not_begun(comparison, capsys, places):
    assert "places of the answer: 1 problem" in refused(capsys, "ab", "same", "same", *places, "--", "suites")
    assert not hasattr(comparison, "arms")


def test_a_comparison_says_where_the_two_dashes_belong(comparison, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["ab", "same", "env:X=a b", "suites/inference"])
    assert stop.value.code == 2
    assert "put -- before what is for pytest" in (said := capsys.readouterr().err)
    assert "tunebench ab same 'env:X=a b' -- suites/inference" in said


# --- usage ---


@pytest.mark.parametrize(
    "arguments", [[], ["nosuch"], ["report"], ["show"], ["export"], ["runs", "--nosuch"], ["models", "show"]]
)
def test_wrong_usage_exits_with_2_and_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: tunebench")


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tunebench {__version__}\n"


def test_python_dash_m_harness_is_tunebench(tmp_path):
    shown = python("-m", "harness", "--help", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: tunebench")
    for command in ("runs", "show", "report", "ab", "export", "models"):
        assert f"\n    {command} " in shown.stdout
    refusal = python("-m", "harness", "show", "nosuch", cwd=tmp_path)
    assert (refusal.returncode, refusal.stdout) == (2, "")
    assert refusal.stderr.startswith("tunebench: unknown run 'nosuch'")


def test_no_command_on_stored_runs_imports_a_model_library(here):
    program = """
import sys
from harness.cli import main
commands = ["runs", "show latest", "export latest -o f.json", "report f.json latest --format md,json -o out", "models"]
assert [main(command.split()) for command in commands] == [0] * len(commands)
assert main(["report", "nosuch"]) == 2
sys.stderr.write("\\n".join(sys.modules))
"""
    result = python("-c", program)
    assert result.returncode == 0, result.stderr
    imported = {name.partition(".")[0] for name in result.stderr.splitlines()}
    assert "jinja2" in imported
    assert not imported & MODEL_LIBRARIES


def test_help_imports_no_more_than_it_needs():
    program = "import sys\nfrom harness.cli import _parser\n_parser().format_help()\nprint('\\n'.join(sys.modules))"
    imported = {name.partition(".")[0] for name in python("-c", program).stdout.splitlines()}
    assert "argparse" in imported
    assert not imported & {*MODEL_LIBRARIES, "jinja2", "msgspec", "numpy", "tabulate", "pytest"}


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_reader_that_leaves_early_gets_no_traceback(here, unbuffered):
    writer = subprocess.Popen(
        [sys.executable, "-m", "harness", "runs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
    )
    with writer:
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 0


# --- results of others ---


@pytest.mark.parametrize(
    ("part", "fields", "command", "code"),
    [
        ("records", {"case": "odd"}, "report", 2),
        ("records", {"case": "other/tiny/base"}, "show", 2),
        ("records", {"case": "inference/tiny/base/more"}, "show", 2),
        ("records", {"case": "other/tiny/base", "suite": "other"}, "show", 0),
        ("records", {"case": "other/tiny/base", "suite": "other"}, "report", 0),
        ("run", {"git": {}}, "report", 0),
        ("run", {"options": {"repeats": None}}, "report", 0),
        ("environment", {"os": {"memory_bytes": "lots"}}, "report", 0),
        ("environment", {"roofline": {"copy_bytes_per_s": "fast"}}, "report", 0),
    ],
)
def test_a_file_with_odd_facts_is_shown_or_refused_but_gives_no_traceback(here, capsys, part, fields, command, code):
    done(capsys, "export", "latest", "-o", "f.json")
    its = json.loads(Path("f.json").read_text(encoding="utf-8"))
    (its["records"][1] if part == "records" else its[part]).update(fields)
    Path("f.json").write_text(json.dumps(its), encoding="utf-8")
    assert main([command, "f.json"]) == code
    assert ("tunebench: f.json: " in capsys.readouterr().err) == (code == 2)
    if command == "report" and code == 0:
        assert "None" not in Path("report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("models", [None, 5])
def test_a_run_with_odd_options_is_listed(here, capsys, models):
    stored(here / "results", bundle(id="odd", options={"models": models}))
    assert "odd" in done(capsys, "runs")


# --- baselines ---


def test_a_run_becomes_a_baseline_that_gate_show_and_report_take_by_name(here, capsys):
    good = replace(small_run(), records=small_run().records[1:])
    stored(here / "results", replace(good, run=replace(good.run, id="good")))
    assert "0001.json: good is the baseline 'default'" in done(
        capsys, "baseline", "save", "good", "--reason", "the first"
    )
    assert done(capsys, "show", "default").startswith("run good,")
    assert done(capsys, "report", "default", "-o", "out") == "out/report.md\n"
    assert main(["gate", "default", "good"]) in {0, 3}
    listed = done(capsys, "baseline", "list")
    assert "the first" in listed
    assert "good" in listed


def test_a_run_that_failed_is_refused_with_1_and_one_message(here, capsys):
    assert main(["baseline", "save", "latest", "--reason", "why not"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "evaluation/tiny/base: oom: killed" in captured.err
    assert not (here / "results" / "baseline").exists()


def test_a_slower_run_needs_to_be_accepted(here, capsys):
    for run_id, rate in [("fast", 100.0), ("slow", 50.0)]:
        speeds = measured("decode_tokens_per_s", *[rate + step / 10 for step in range(7)])
        stored(here / "results", bundle(record(metrics={"decode_tokens_per_s": speeds}), id=run_id))
    done(capsys, "baseline", "save", "fast", "--reason", "first", "--name", "main")
    again = ["baseline", "save", "slow", "--reason", "second", "--name", "main"]
    assert main(again) == 1
    assert "a regression against number 1, run fast" in capsys.readouterr().err
    assert "accepted: inference/tiny/base decode_tokens_per_s" in done(capsys, *again, "--accept-regression")


def test_the_run_that_is_the_baseline_already_is_refused_with_1(here, capsys):
    stored(here / "results", bundle(record(), id="good"))
    again = ["baseline", "save", "good", "--reason", "first"]
    done(capsys, *again)
    assert main(again) == 1
    assert "it is that already, number 1" in capsys.readouterr().err


def test_an_empty_reason_is_wrong_usage(here, capsys):
    assert "--reason: 1 problem" in refused(capsys, "baseline", "save", "latest", "--reason", " ")


def test_a_torn_baseline_is_named_and_skipped(here, capsys):
    speeds = {"ttft_s": measured("ttft_s", 1.0)}
    stored(here / "results", bundle(record(metrics=speeds), id="good"))
    done(capsys, "baseline", "save", "good", "--reason", "first")
    (here / "results" / "baseline" / "default" / "0001.json").write_text("{")
    assert main(["baseline", "list"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert captured.out.startswith("no baselines in results")


# --- history ---


def days(results, *rates):
    for day, rate in enumerate(rates, start=1):
        speeds = {"decode_tokens_per_s": measured("decode_tokens_per_s", rate)}
        stored(results, bundle(record(metrics=speeds), id=f"d{day}", started_at=f"2025-01-{day:02d}T00:00:00Z"))


@pytest.mark.parametrize(("later", "code", "word"), [(92.0, 1, "worse"), (110.0, 0, "better"), (100.0, 0, "no change")])
def test_a_history_exits_with_1_if_its_newest_change_is_for_the_worse(tmp_path, capsys, later, code, word):
    days(tmp_path / "r", *[100.0] * 10, *[later] * 10)
    assert main(["history", "decode_tokens_per_s", "--results-dir", str(tmp_path / "r")]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert word in captured.out.splitlines()[0]


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_the_page_of_a_history_holds_when_it_is_made_again(tmp_path, capsys, form):
    results = tmp_path / "r"
    days(results, *[100.0] * 10, *[110.0] * 10)
    here = ["--results-dir", results]
    case = ["--case", "inference/tiny/base"]
    page = tmp_path / "out" / f"report-history.{form}"
    assert (
        done(capsys, "history", "decode_tokens_per_s", *case, "--format", form, "-o", page.parent, *here) == f"{page}\n"
    )
    assert done(capsys, "verify", page, *here) == f"{page}: holds\n"
    days(results, 101.0)
    assert main(["verify", str(page), "--results-dir", str(results)]) == 1
    assert "d1 is no longer what" in capsys.readouterr().out


def test_a_history_leaves_out_what_judged_something_else_unless_asked_and_its_page_holds(tmp_path, capsys):
    results = tmp_path / "r"
    days(results, 100.0, 101.0)
    side = bundle(record(metrics={"decode_tokens_per_s": measured("decode_tokens_per_s", 50.0)}), id="side")
    stored(results, replace(side, run=replace(side.run, options={"ab": {"pairs": 1}})))
    asked = ["history", "decode_tokens_per_s", "--results-dir", results]
    shown = done(capsys, *asked)
    assert "side" not in shown.split("Runs left out: 1")[0]
    assert "Runs left out: 1" in shown
    every = done(capsys, *asked, "--all-runs")
    assert "side" in every
    assert "left out" not in every
    for more, counted in ([], True), (["--all-runs"], False):
        page = done(capsys, *asked, *more, "--format", "md", "-o", tmp_path / "out").strip()
        assert ("Runs left out: 1" in Path(page).read_text()) is counted
        assert done(capsys, "verify", page, "--results-dir", results) == f"{page}: holds\n"


def test_a_history_of_nothing_is_refused(here, capsys):
    assert "unknown metric 'speed'" in refused(capsys, "history", "speed")
    assert "no stored run holds energy_j_per_token" in refused(capsys, "history", "energy_j_per_token")


def test_a_history_names_what_it_could_not_read(tmp_path, capsys):
    days(tmp_path / "r", 1.0, 2.0)
    (tmp_path / "r" / "d1" / "run.json").write_text("{")
    assert main(["history", "decode_tokens_per_s", "--results-dir", str(tmp_path / "r")]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert "1 run;" in captured.out
