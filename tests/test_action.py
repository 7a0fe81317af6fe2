"""Tests of the action and the workflow to copy: valid, pinned, with few permissions, safe from hostile inputs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION, WORKFLOW = ROOT / "action.yml", ROOT / "docs" / "examples" / "tunebench.yml"
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
OURS = "YOUR-ORGANISATION/tunebench@FULL-COMMIT-HASH"


def steps():
    return [*action["runs"]["steps"], *(step for job in workflow["jobs"].values() for step in job["steps"])]


def script(name):
    (script,) = [step["run"] for step in action["runs"]["steps"] if step["name"] == name]
    return script


@pytest.mark.parametrize(("path", "schema"), [(ACTION, "vendor.github-actions"), (WORKFLOW, "vendor.github-workflows")])
def test_it_holds_to_github_s_own_schema(path, schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_no_expression_becomes_part_of_a_script():
    texts = [text for step in steps() for text in (step.get("run"), step.get("with", {}).get("script")) if text]
    assert len(texts) == 6
    assert not [text for text in texts if "${{" in text]


def test_every_action_of_others_is_pinned_to_a_commit():
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) >= 6
    assert not [
        action for action in used if action != OURS and not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)
    ]


def test_the_workflow_may_do_as_little_as_it_can():
    assert workflow["permissions"] == {}
    assert set(workflow[True]) == {"pull_request"}  # YAML 1.1 reads `on` so; never pull_request_target
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]


def test_code_of_a_fork_does_not_reach_a_machine_of_one_s_own():
    for job in workflow["jobs"].values():
        if "self-hosted" in job["runs-on"]:
            assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"


def test_the_workflow_gives_the_action_what_it_takes():
    step_inputs = [step["with"] for step in steps() if step.get("uses") == OURS]
    assert len(step_inputs) == 2
    assert {name for inputs in step_inputs for name in inputs} <= set(action["inputs"])
    assert {inputs["name"] for inputs in step_inputs} == {"exact", "timing"}


def test_every_input_reaches_a_step_and_the_documentation():
    text = ACTION.read_text(encoding="utf-8")
    for name in action["inputs"]:
        assert re.search(rf"inputs\.{name}\b", text), name
        assert f"`{name}`" in PAGE, name
    for name in action["outputs"]:
        assert f"`{name}`" in PAGE, name


STUB = """#!/bin/sh
for its in "$(basename "$0")" "$@"; do printf '%s\\n' "$its"; done >> "$SEEN"
echo ---- >> "$SEEN"
exit "${STUB_CODE:-0}"
"""


@pytest.fixture
def judged(tmp_path):
    """Run the step that judges, with programs that write down what they are given; give those, and the outputs."""

    def run(**extra_variables):
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("tunebench", "pytest"):
            (programs / name).write_text(STUB, encoding="utf-8")
            (programs / name).chmod(0o755)
        plain = {"BASELINE": "", "CANDIDATE": "", "A": "", "B": "", "PAIRS": "", "BUDGET": "", "POLICY": "default"}
        variables = {
            **os.environ,
            **plain,
            "PYTEST_ARGS": "suites/ --models a,b",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SEEN": str(tmp_path / "seen"),
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "1",
            **extra_variables,
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script("Measure and judge")]
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr
        calls = (tmp_path / "seen").read_text(encoding="utf-8").split("----\n")[:-1]
        output = dict(line.split("=", 1) for line in (tmp_path / "output").read_text(encoding="utf-8").splitlines())
        return [call.splitlines() for call in calls], output

    return run


def test_a_candidate_is_judged_against_a_baseline(judged):
    (command,), output = judged(BASELINE="ci", CANDIDATE="run", STUB_CODE="3")
    files = output["files"]
    assert command == [
        *("tunebench", "gate", "--policy", "default", "--json", f"{files}/gate.json", "--md", f"{files}/gate.md"),
        *("--junit", f"{files}/gate.xml", "--github", "--", "ci", "run"),
    ]
    assert output["code"] == "3"


def test_a_candidate_that_is_not_there_is_measured_and_judged_whatever_becomes_of_it(judged):
    (measured, command), output = judged(BASELINE="ci", STUB_CODE="1")
    assert measured[:-1] == ["pytest", "suites/", "--models", "a,b", "--run-id"]
    assert measured[-1].startswith("ci-7-1-")
    assert command[-2:] == ["ci", measured[-1]]
    assert output["code"] == "1"


def test_two_environments_are_measured_in_turns(judged):
    (command,), _ = judged(A="git:main", B="git:HEAD", PAIRS="9", POLICY="timing")
    assert command[:6] == ["tunebench", "ab", "git:main", "git:HEAD", "--policy", "timing"]
    assert command[-7:] == ["--github", "--pairs", "9", "--", "suites/", "--models", "a,b"]


def test_a_budget_and_arguments_on_several_lines_arrive(judged):
    (command,), _ = judged(A="same", B="same", BUDGET="90", PYTEST_ARGS="suites/inference\n  --models tiny\n")
    assert command[-6:] == ["--budget", "90", "--", "suites/inference", "--models", "tiny"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "nothing to compare with"),
        ({"CANDIDATE": "run"}, "nothing to compare with"),
        ({"A": "same"}, "a and b go together"),
        ({"A": "same", "B": "same", "BASELINE": "ci"}, "two comparisons at once"),
        ({"BASELINE": "ci", "BUDGET": "9"}, "pairs and budget are for a and b"),
        ({"BASELINE": "ci", "INCONCLUSIVE": "pass"}, "inconclusive takes fail or warn"),
        ({"BASELINE": "ci", "CANDIDATE": "run"}, None),
        ({"A": "same", "B": "same", "PAIRS": "9", "BUDGET": "9"}, None),
    ],
)
def test_inputs_that_say_nothing_are_refused_before_anything_is_installed(inputs, message):
    assert action["runs"]["steps"][0]["name"] == "Check the inputs"
    plain = dict.fromkeys(("BASELINE", "CANDIDATE", "A", "B", "PAIRS", "BUDGET"), "")
    variables = {**os.environ, **plain, "INCONCLUSIVE": "fail", **inputs}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script("Check the inputs")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == (2 if message else 0)
    assert message is None or done.stdout.startswith(f"::error title=tunebench::{message}")


def test_the_workflow_compares_with_what_the_branch_began_from():
    steps = workflow["jobs"]["timing"]["steps"]
    (base,) = [step for step in steps if step.get("id") == "base"]
    assert "git merge-base" in base["run"]
    assert steps[0]["with"]["fetch-depth"] == 0
    assert steps[-1]["with"]["a"] == "git:${{ steps.base.outputs.commit }}"


def test_what_is_given_is_never_run(judged, tmp_path):
    evil = '"; touch pwned; $(touch pwned) `touch pwned` *'
    (command,), _ = judged(BASELINE=evil, CANDIDATE=evil, POLICY=evil)
    assert command[-2:] == [evil, evil]
    assert command[3] == evil
    assert not (tmp_path / "pwned").exists()


def test_what_pytest_is_given_is_words_and_nothing_more(judged, tmp_path):
    (command,), _ = judged(A="same", B="same", PYTEST_ARGS="suites/ ;touch $(touch pwned) *")
    assert command[command.index("--") + 1 :] == ["suites/", ";touch", "$(touch", "pwned)", "*"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("code", "inconclusive", "ends"),
    [("0", "fail", 0), ("1", "warn", 1), ("2", "warn", 2), ("3", "fail", 3), ("3", "warn", 0), ("", "warn", 2)],
)
def test_the_last_step_ends_as_the_gate_did(code, inconclusive, ends):
    variables = {**os.environ, "CODE": code, "INCONCLUSIVE": inconclusive}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script("Verdict")]
    assert subprocess.run(command, env=variables, capture_output=True, check=False, timeout=30).returncode == ends
