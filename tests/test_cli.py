import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]


MODEL_LIBRARIES = {"mlx", "mlx_lm", "transformers", "tokenizers", "torch"}


def python(*arguments, **others):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, **others
    )


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
    result = python("-m", "harness", "--help", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: tunebench")
    for command in ("runs", "show", "report", "ab", "export", "models"):
        assert f"\n    {command} " in result.stdout
    refusal = python("-m", "harness", "show", "nosuch", cwd=tmp_path)
    assert (refusal.returncode, refusal.stdout) == (2, "")
    assert refusal.stderr.startswith("tunebench: unknown run 'nosuch'")


def test_no_command_on_stored_runs_imports_a_model_library(working_directory):
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


def test_help_imports_no_command():
    program = """
import sys
from harness.cli import main
try:
    main(["--help"])
finally:
    sys.stderr.write("\\n".join(sys.modules))
"""
    result = python("-c", program)
    assert result.stdout.startswith("usage: tunebench")
    imported = set(result.stderr.splitlines())
    assert "harness.cli" in imported
    assert not {name for name in imported if name.startswith("harness.commands")}


def test_every_command_explains_itself(capsys):
    for command, summary in COMMANDS.items():
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: tunebench {command} ")
        assert summary[1:] in " ".join(text.split())


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_reader_that_leaves_early_gets_no_traceback(working_directory, unbuffered):
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
