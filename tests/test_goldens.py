"""Every kind of report and every form of a gate's answer, as committed pages that a reviewer reads.

`TUNEBENCH_UPDATE_GOLDENS=1 pytest tests/test_goldens.py` writes the goldens anew; read their diff line by line.
The pages are the examples `golden/*` of `corpus.py`, which calls `harness.cli.main` alone.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GOLDENS = HERE / "golden" / "corpus"
REPORT = "golden/report/out/report"
KINDS = ("", "-training", "-base-vs-tuned", "-inference", "-cards")
GATES = ("gate", "gate-same", "gate-worse", "gate-few", "gate-missing", "gate-elsewhere", "gate-turns")
PAGES = (
    "golden/report/transcript.txt",
    *(f"{REPORT}{kind}.md" for kind in KINDS),
    "golden/report/out/cards/data-card-aphorisms.md",
    "golden/report/out/cards/model-card-tiny-r8.md",
    "golden/history/transcript.txt",
    "golden/history/out/report-history.md",
    *(f"golden/{gate}/transcript.txt" for gate in GATES),
    *(f"golden/gate/{file}" for file in ("answer.json", "answer.md", "answer.xml", "output.txt")),
)
VERSIONS = re.compile(
    r"(?<=Made by tunebench )\S+"
    r'|(?<="version":")[^"]+'
    r'|(?<="matplotlib":")[^"]+'
    r'|(?<="tunebench": ")[^"]+'
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder with the pages as the program makes them now."""
    out = tmp_path_factory.mktemp("goldens") / "out"
    subprocess.run([sys.executable, HERE / "corpus.py", out, "--only", "golden/*"], check=True)
    if os.environ.get("TUNEBENCH_UPDATE_GOLDENS"):
        shutil.rmtree(GOLDENS, ignore_errors=True)
        for page in PAGES:
            golden = GOLDENS / page.removeprefix("golden/")
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(readable(out / page), encoding="utf-8")
    return out


def readable(path):
    """A page without versions, which change by themselves; one element of XML on each line."""
    text = path.read_text(encoding="utf-8")
    text = VERSIONS.sub("VERSION", text)
    return text.replace("><", ">\n<") if path.suffix == ".xml" else text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_the_one_that_was_read_and_approved(made, page):
    assert readable(made / page) == (GOLDENS / page.removeprefix("golden/")).read_text(encoding="utf-8")


def test_every_page_has_a_golden_and_every_golden_a_page(made):
    figures = {".svg", ".png"}
    written = {path.relative_to(made).as_posix() for path in (made / "golden").rglob("*") if path.is_file()}
    assert {path for path in written if Path(path).suffix not in figures} == {*PAGES, "golden/gate/summary.md"}
    goldens = {f"golden/{path.relative_to(GOLDENS).as_posix()}" for path in GOLDENS.rglob("*") if path.is_file()}
    assert goldens == set(PAGES)


def test_the_step_summary_is_the_page_for_a_comment(made):
    assert (made / "golden/gate/summary.md").read_bytes() == (made / "golden/gate/answer.md").read_bytes()
