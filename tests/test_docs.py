"""Tests of the documentation: its commands run, its options and links exist, and every option is documented."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.inputs import config_files
from harness.report import build

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTIONS = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")


def commands_that_run():
    blocks = re.findall(r"<!-- runs in a test -->\n```bash\n(.*?)```", README, flags=re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


def help_text(*command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", commands_that_run(), ids=" ".join)
def test_the_readme_s_commands_run(command, tmp_path):
    program, *arguments = command
    assert program == "tunebench"
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_has_commands_that_run():
    assert len(commands_that_run()) >= 3


def test_ci_calls_exactly_the_readme_s_test_command():
    (command,) = re.findall(r"^(python3 -m pip install tox && python3 -m tox -e tests)\b", README, flags=re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_pytest_option_is_documented():
    text = help_text("pytest", "suites/", "--help")
    ours = text[text.index("benchmarks of language models") :].partition("\n\n")[0]
    options = set(re.findall(r"^  (--[a-z-]+)", ours, flags=re.MULTILINE))
    assert options >= {"--models", "--lora", "--profile", "--weights", "--repeats", "--results-dir", "--run-id"}
    assert {option for option in options if f"`{option}" not in OPTIONS} == set()


def test_every_command_and_its_options_are_documented():
    parser = cli._parser()
    commands = next(
        action for action in parser._actions if action.dest != "help" and hasattr(action, "choices") and action.choices
    )
    for name, command in commands.choices.items():
        assert f"`{name}" in OPTIONS, name
        for action in command._actions:
            for option in action.option_strings:
                if option not in {"-h", "--help"}:
                    assert f"`{option}" in OPTIONS, f"{name} {option}"


@pytest.mark.parametrize("kind", ["models", "lora", "profiles"])
def test_a_name_in_the_readme_s_examples_exists(kind):
    flag = {"models": "--models", "lora": "--lora", "profiles": "--profile"}[kind]
    named = {name for names in re.findall(rf"{flag} ([\w,.:/-]+)", README) for name in names.split(",")}
    assert named
    ours = {name for name in named if ":" not in name and name != "CONFIG" and not name.endswith(".toml")}
    assert ours <= set(config_files.known(kind))


def test_links_in_the_docs_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def sections_of_published_reports():
    names = set()
    for path in sorted((ROOT / "results" / "published").glob("*.json")):
        runs = build.read([path])
        for kind in build.KINDS:
            if build.suits(kind, runs):
                names |= {section.name for section in build.build(kind, runs, beside=ROOT).sections}
    return names


def test_sections_that_give_a_published_table_exist():
    text = (ROOT / "docs" / "reference-reports.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[-2] for line in text.splitlines() if line.startswith("| ") and line.split("|")[3].strip() != "–"
    ]
    named = {name for row in rows for name in re.findall(r"`([a-z][a-z0-9-]+)`", row)}
    of_own_runs = {"artifacts", "throughput", "context"}
    assert named - sections_of_published_reports() - of_own_runs <= {"rating"}  # a metric
    assert len(named) > 12


def test_every_section_of_a_report_is_documented():
    text = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    names = {re.sub(r"-[0-9]+$", "-1", name) for name in sections_of_published_reports()}
    assert {name for name in names if f"`{name}`" not in text} == set()
