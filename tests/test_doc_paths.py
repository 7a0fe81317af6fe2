"""Every path and every module that a page of the documentation names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("harness", "suites", "fixtures", "templates", "tests", "docs", "benchmarks", "constraints", "changelog.d")
TABLE_OF_OLD_NAMES = ROOT / "docs" / "decisions" / "0023-nine-packages.md"  # lists modules that are gone
PAGES = {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")} - {TABLE_OF_OLD_NAMES}
PLACEHOLDER = re.compile(r"[A-Z]{2,}|[<>*{}$…]")


def code_spans(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return spans + [word for block in blocks for word in block.split()]


def named_paths(page):
    """Paths below the repository's folders that a page names in code, without a line number or a node id."""
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*")
    for span in code_spans(page):
        if not PLACEHOLDER.search(span) and (match := pattern.fullmatch(span.partition("::")[0].rstrip(".,:;)"))):
            yield match[0]


def named_modules(page):
    """Dotted names below `harness` that a page names in code: modules, or attributes of modules."""
    for span in code_spans(page):
        yield from re.findall(r"(?<![\w./-])harness(?:\.\w+)+", span)


def named_files(page):
    """Bare names of Python files that a page names in code, such as `units.py`."""
    for span in code_spans(page):
        if re.fullmatch(r"\w+\.py", span):
            yield span


def is_module(dotted):
    """Whether a dotted name, or the name without its last parts, is a module other than `harness` itself."""
    parts = dotted.split(".")
    paths = [ROOT.joinpath(*parts[:length]) for length in range(2, len(parts) + 1)]
    return any(path.is_dir() or path.with_suffix(".py").is_file() for path in paths)


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_a_page_names_is_there(page):
    known = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} | {"conftest.py"}
    missing = {path for path in named_paths(page) if not (ROOT / path).exists()}
    missing |= {name for name in named_modules(page) if not is_module(name)}
    missing |= {name for name in named_files(page) if name not in known}
    assert missing == set()


def test_paths_are_found_in_spans_and_in_blocks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "`harness/units.py` and `tests/test_x.py::test_y`, `fixtures/lora/NAME.toml`, `harness.units.format_value`\n"
        "`gone.py`\n```bash\npython benchmarks/gate_power.py --draws 2\n```\n"
    )
    assert list(named_paths(page)) == ["harness/units.py", "tests/test_x.py", "benchmarks/gate_power.py"]
    assert list(named_modules(page)) == ["harness.units.format_value"]
    assert list(named_files(page)) == ["gone.py"]
    assert is_module("harness.units.format_value")
    assert not is_module("harness.gone")
