"""Each outside thing has one door. Adding a second is a decision, so it fails here first."""

import ast
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "harness"
DOORS = {
    "pytest": {"plugin", "terminal"},
    "pytest_benchmark": {"dashboards"},
    "matplotlib": {"plots"},
    "jinja2": {"render", "mlxlm"},  # a chat template refuses in its words
    "msgspec": {"codec"},
    "json": {"modeldir", "jsonlines", "hubdata"},  # config.json and JSON Lines, which are others' formats
    "xml": {"junit"},
    "csv": {"hubdata", "exporting"},
    "pyarrow": {"hubdata", "exporting"},
    "tomllib": {"configs"},
    "time": {"meters"},
    "datetime": {"meters", "rules"},  # rules knows a date where a file gives one; the clock is read in meters
    "mlx_lm": {"mlxlm"},
    "mlx": {"mlxlm", "gguf", "nano", "probe"},
    "huggingface_hub": {"hub"},
    "tokenizers": {"bpe"},
    "ruptures": {"shifts"},
    "psutil": {"environment", "conditions"},
    "pynvml": {"energy"},
    "zeus_apple_silicon": {"energy"},
    "platform": {"environment", "blas"},
    "ctypes": {"blas", "memory"},
    "packaging": {"arms"},
    "argparse": {"cli"},
    "tabulate": {"terminal", "listings"},
    "threading": {"worker", "turnstile"},  # lifelines; model calls never run in a thread: streams belong to one
    "concurrent": set(),  # for the same reason
}
MODULES = sorted(HARNESS.rglob("*.py"))


def door(path):
    """What DOORS calls a module; all of the package mlxlm is one door."""
    return "mlxlm" if path.parent.name == "mlxlm" else path.stem


def imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
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
