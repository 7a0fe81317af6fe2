"""From runs on disk to a report on disk. Needs no model library: stored results are all there is."""

from collections.abc import Sequence
from pathlib import Path

from harness import codec, comparison, store
from harness.errors import UnknownName
from harness.render import render

KINDS = (comparison.KIND,)
FORMATS = ("md", "json")


def build(runs: Sequence[Path]) -> comparison.Report:
    """Read runs and turn them into a comparison.

    Raises:
        BadResultFile: if one of them cannot be read.
    """
    return comparison.compare([store.read_run(path) for path in runs])


def text(report: comparison.Report, form: str, *, own_templates: Path | None = None) -> str:
    """Write a report as Markdown, or as the JSON a template is given.

    Raises:
        UnknownName: if there is no such format.
    """
    if form == "json":
        return codec.encode(report, indent=1).decode()
    if form == "md":
        return render(f"{comparison.KIND}.md.j2", {"report": report}, own_templates=own_templates)
    raise UnknownName("report format", form, FORMATS)


def write(report: comparison.Report, path: Path) -> Path:
    """Write the Markdown report to *path*, whole or not at all; give the path back."""
    store.write_text(path, text(report, "md"))
    return path
