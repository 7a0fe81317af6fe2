"""The whole line on a real, if tiny, model: option, worker processes, records, report. No timing is asserted."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.results import store
from harness.results.records import Status

ROOT = Path(__file__).parents[1]


def run(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One real session over two adapters of a stand-in."""
    results = tmp_path_factory.mktemp("results")
    done = run(
        *("pytest", "suites/", "--models", "gpt2", "--lora", "qv-r8,qv-r16", "--weights", "embedded"),
        *("--results-dir", str(results), "--run-id", "e2e", "-p", "no:cacheprovider"),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return results, done.stdout


def test_every_case_is_measured_and_stored(session):
    bundle = store.read_run(session[0] / "e2e")
    assert len(bundle.records) == 2 + 3 + 3
    assert {record.status for record in bundle.records} == {Status.OK}
    assert bundle.run.finished_at is not None
    assert bundle.environment.packages["mlx-lm"]


def test_training_lowers_the_loss_and_evaluation_sees_the_trained_adapter(session):
    records = {record.case: record for record in store.read_run(session[0] / "e2e").records}
    training = records["training/gpt2/qv-r8"].metrics
    assert training["val_loss_best"].samples[0][0] < training["val_loss_first"].samples[0][0]
    base, tuned = (records[f"evaluation/gpt2/{name}"].metrics["test_loss"].samples[0][0] for name in ("base", "qv-r8"))
    assert tuned < base


def test_the_two_adapters_are_those_of_their_configs(session):
    records = {record.case: record for record in store.read_run(session[0] / "e2e").records}
    trainable = [
        records[f"training/gpt2/{name}"].metrics["trainable_parameters"].samples for name in ("qv-r8", "qv-r16")
    ]
    # four layers; one matrix each, 128 in and 384 out; r (in + out) by Hu et al.
    assert trainable == [((4 * 8 * (128 + 384),),), ((4 * 16 * (128 + 384),),)]
    for record in (records["training/gpt2/qv-r8"], records["training/gpt2/qv-r16"]):
        assert any("layers asked for, the model has 4" in note for note in record.notes)
        for artifact in record.artifacts:
            assert (session[0] / "e2e" / artifact.path).stat().st_size == artifact.bytes


def test_a_line_for_every_case_and_nothing_that_moves_in_a_pipe(session):
    text = session[1]
    assert "\r" not in text
    assert "\x1b" not in text
    for case in ("training/gpt2/qv-r8", "evaluation/gpt2/base", "inference/gpt2/qv-r16"):
        assert len(re.findall(rf"^{case}  \S+", text, flags=re.MULTILINE)) >= 1
    assert "warning: gpt2: stand-in weights" in text
    assert "8 of 8 cases ok" in text


def test_the_report_on_disk_is_what_the_stored_results_give(session):
    results, _ = session
    report = results / "e2e" / "report.md"
    first = report.read_bytes()
    done = run("harness", "report", "e2e", "--results-dir", str(results), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert report.read_bytes() == first
    text = first.decode()
    assert "STAND-IN WEIGHTS (gpt2)" in text
    assert not re.search(r"is better \(ratio", text), "a stand-in's timing or loss was given a winner"


def test_every_output_is_in_the_report_s_json(session):
    results, _ = session
    done = run("harness", "export", "e2e", "--results-dir", str(results), cwd=ROOT)
    bundle = json.loads(done.stdout)
    outputs = [output for record in bundle["records"] for output in record["outputs"]]
    assert len(outputs) == 3 * 5 + 3 * 5
    assert all(output["finish_reason"] in {"stop", "length"} for output in outputs)


def test_no_stored_file_names_this_user_or_this_machine(session):
    results, _ = session
    for path in (results / "e2e").rglob("*"):
        if path.suffix in {".json", ".md"}:
            text = path.read_text(encoding="utf-8")
            assert str(Path.home()) not in text, path
            assert socket.gethostname() not in text, path


def test_two_processes_of_one_seed_train_with_equal_losses_and_the_run_says_in_which_order(tmp_path):
    done = run(
        *("pytest", "suites/training", "--models", "gpt2,qwen", "--weights", "embedded", "--repeats", "2"),
        *("--results-dir", str(tmp_path), "--run-id", "twice", "--no-report", "-p", "no:cacheprovider"),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bundle = store.read_run(tmp_path / "twice")
    for record in bundle.records:
        assert record.processes == 2
        for name in ("train_loss", "trainer_loss", "val_loss", "trainer_val_loss"):
            assert record.series[f"{name}.2"].y == record.series[name].y
    assert [turn.partition("#")[2] for turn in bundle.run.order] == ["1", "1", "2", "2"]
    assert not list((tmp_path / "twice" / "processes").iterdir())


def test_a_process_above_its_memory_limit_ends_its_case_and_the_run_can_be_gone_on_with(tmp_path):
    case = ("pytest", "suites/evaluation", "--weights", "embedded", "-k", "gpt2-base", "--no-report")
    stored = ("--results-dir", str(tmp_path), "-p", "no:cacheprovider")
    done = run(*case, *stored, "--models", "gpt2", "--memory-limit", "30MiB", "--run-id", "tight", cwd=ROOT)
    assert done.returncode == 1, done.stdout + done.stderr
    (record,) = store.read_run(tmp_path / "tight").records
    assert record.status is Status.OOM
    assert "over the limit of 30.00 MiB" in record.reason
    again = run(*case, *stored, "--resume", "tight", "--memory-limit", "8GiB", cwd=ROOT)
    assert again.returncode == 0, again.stdout + again.stderr
    (record,) = store.read_run(tmp_path / "tight").records
    assert (record.status, record.notes[-1]) == (Status.OK, "measured again: it had ended as oom")


def test_two_environments_that_are_one_are_measured_in_turns_and_stored_as_a_pair(tmp_path):
    measured = ("suites/inference", "--models", "tinyllama", "--weights", "embedded", "-k", "base")
    done = run(
        "harness", "ab", "same", "same", "--pairs", "2", "--results-dir", str(tmp_path), "--", *measured, cwd=ROOT
    )
    assert done.returncode == 3, done.stdout + done.stderr  # of two pairs nothing can be said
    a, b = (store.read_run(path) for path in sorted(tmp_path.iterdir()))
    assert (a.run.paired_with, b.run.paired_with) == (b.run.id, a.run.id)
    samples = [side_bundle.records[0].metrics["decode_tokens_per_s"].samples for side_bundle in (a, b)]
    assert [len(processes) for processes in samples] == [2, 2]
    assert len({process for processes in samples for process in processes}) == 4  # each was measured by itself
