"""Each outside thing has one door. Adding a second is a decision, so it fails here first."""

import ast
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "harness"
DOORS = {
    "pytest": {"plugin", "terminal"},
    "pytest_benchmark": {"report.export.benchmark_formats"},
    "matplotlib": {"report.figures.draw", "report.figures.draw_panel"},
    "jinja2": {"report.render.render", "worker.mlxlm"},  # a chat template refuses with an exception of Jinja's
    "msgspec": {"results.codec"},
    # config.json and JSON Lines are formats of other programs
    "json": {"inputs.model_dir", "inputs.jsonl", "inputs.hub_datasets"},
    "xml": {"gate.formats.junit"},
    "csv": {"inputs.hub_datasets", "report.export.export"},
    "pyarrow": {"inputs.hub_datasets", "report.export.export"},
    "tomllib": {"inputs.config_files"},
    "time": {"machine.clock"},
    # config_rules checks dates that a file gives; the clock itself is read in machine.clock
    "datetime": {"machine.clock", "inputs.config_rules"},
    "mlx_lm": {"worker.mlxlm"},
    "mlx": {"worker.mlxlm", "worker.gguf", "worker.stand_ins", "worker.probe"},
    "huggingface_hub": {"inputs.hub"},
    "tokenizers": {"worker.bpe"},
    "ruptures": {"analysis.stats.change_points"},
    "psutil": {"machine.environment", "machine.load"},
    "pynvml": {"machine.energy"},
    "zeus_apple_silicon": {"machine.energy"},
    "platform": {"machine.environment", "worker.blas_shim"},
    "ctypes": {"worker.blas_shim", "machine.memory"},
    "packaging": {"session.ab.arms"},
    # arguments names the types and options that all commands share
    "argparse": {"cli", "commands.arguments"},
    "tabulate": {"terminal", "commands.table"},
    # lifelines; model calls never run in a thread: streams belong to one
    "threading": {"worker.main", "session.ab.turnstile"},
    "concurrent": set(),  # for the same reason
}
MODULES = sorted(HARNESS.rglob("*.py"))


def door(path):
    """The dotted name that DOORS gives a module; the package worker.mlxlm is one door."""
    parts = path.relative_to(HARNESS).with_suffix("").parts
    return "worker.mlxlm" if parts[:2] == ("worker", "mlxlm") else ".".join(parts)


def imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=door)
def test_outside_things_enter_by_their_door(path):
    wrong = {thing for thing, doors in DOORS.items() if thing in imported(path) and door(path) not in doors}
    assert not wrong, f"{path.name} imports {wrong}; see DOORS"


@pytest.mark.parametrize("thing", DOORS)
def test_every_door_is_in_use(thing):
    users = {door(path) for path in MODULES if thing in imported(path)}
    assert users == DOORS[thing]


def test_suites_hold_no_paths_statistics_or_thresholds():
    allowed = {"math", "pytest"}
    for path in sorted((HARNESS.parent / "suites").rglob("*.py")):
        assert imported(path) <= allowed, f"{path} imports more than it needs to measure and assert"
