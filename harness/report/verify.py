"""Whether a rendered report holds: it is made again from the stored results, and compared byte by byte.

Figures depend on the matplotlib that draws them. With another version the rest of a report is compared, and said so.
"""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import __version__
from harness.errors import BadReport, UnknownName
from harness.report import build
from harness.report.page import Provenance, Report
from harness.report.render.stamp import provenance_of
from harness.results import codec, locate
from harness.results.locate import is_run

_FORMS = {".md": "md", ".html": "html", ".json": "json"}
_PICTURE = re.compile(rb"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+")
_MOST_LINES = 60  # of a difference; the first ones tell where to look


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Where a report does not follow from the stored results, and what could not be compared."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def verify(path: Path, results_dir: Path, *, templates: Path | None = None, policy: Path | None = None) -> Verification:
    """Make a report again, and compare.

    Raises:
        BadReport: if the file is no report of this program, or a run it names is not to be found.
        BadResultFile: if such a run cannot be read.
        BadConfig: if a template of the user's is not right.
    """
    form = _form(path)
    try:
        found = path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise BadReport(f"{path}: cannot be read ({why}); give a report that tunebench wrote") from error
    its = _provenance(path, found, form)
    runs = build.read(_sources(path, its, results_dir), its.options)
    again = build.build(its.kind, runs, beside=path.parent, policy=policy, templates=templates, options=its.options)
    problems = list(_changed(its, again.provenance))
    same_look = its.matplotlib == again.provenance.matplotlib
    again = _at_the_same_place(again, its)
    for name, content in build.files(again, [form], templates=templates):
        is_page = "/" not in name
        if is_page:
            stored, made = (found, content) if same_look else map(_without_pictures, (found, content))
            problems += _differences(name, stored, made)
        elif form == "md" and same_look:  # an HTML page holds its figures
            problems += _differences(name, _read(path.parent / name), content)
    remarks = (f"figures were drawn by matplotlib {its.matplotlib} and are not compared",) if not same_look else ()
    return Verification(problems=tuple(problems), remarks=remarks)


def _without_pictures(page: bytes) -> bytes:
    return _PICTURE.sub(b"data:", page)


def _form(path: Path) -> str:
    if path.name.endswith(".comment.md"):
        return "comment"
    if path.suffix not in _FORMS:
        raise BadReport(f"{path}: not a report; give one that ends in {', '.join(_FORMS)}")
    return _FORMS[path.suffix]


def _provenance(path: Path, found: bytes, form: str) -> Provenance:
    try:
        if form == "json":
            return codec.decode(found, Report).provenance
        return provenance_of(found.decode(errors="replace"), "html" if form == "html" else "md")
    except (codec.Malformed, BadReport) as error:
        raise BadReport(f"{path}: not a report of this program ({error})") from error


def _sources(path: Path, provenance: Provenance, results_dir: Path) -> Iterator[Path]:
    """Where the runs are: beside the report as it says, else among the results."""
    for source in provenance.sources:
        if source.path.startswith(locate.PUBLISHED):
            yield locate.locate(source.path, results_dir)
            continue
        beside = Path(os.path.normpath(path.parent / source.path))
        try:
            yield beside if is_run(beside) else locate.locate(source.run, results_dir)
        except UnknownName as error:
            where = f"neither at {beside} nor in {results_dir}"
            told = f"{path}: made from the run {source.run!r}, which is {where}"
            raise BadReport(f"{told}; say where your runs are: --results-dir DIR") from error


def _at_the_same_place(report: Report, then: Provenance) -> Report:
    """The report with the ways to its runs as they were: a page that was moved says what it said."""
    sources = tuple(
        replace(now, path=before.path) for now, before in zip(report.provenance.sources, then.sources, strict=True)
    )
    return replace(report, provenance=replace(report.provenance, sources=sources, matplotlib=then.matplotlib))


def _changed(then: Provenance, now: Provenance) -> Iterator[str]:
    """What explains a difference."""
    if then.version != __version__:
        yield f"written by tunebench {then.version}; this is {__version__}"
    for before, after in zip(then.sources, now.sources, strict=True):
        if before.sha256 != after.sha256:
            yield f"the run {before.run} is no longer what the report was made from"
    if then.templates_sha256 != now.templates_sha256:
        yield "made with other templates; give those: --templates DIR"
    if then.policy_sha256 != now.policy_sha256:
        yield "made with another policy; give it: --policy FILE"


def _differences(name: str, stored: bytes | None, made: bytes) -> Sequence[str]:
    if stored == made:
        return ()
    if stored is None:
        return (f"{name}: is missing",)
    if name.endswith(".png"):
        return (f"{name}: another picture",)
    before, after = (data.decode(errors="replace").splitlines() for data in (stored, made))
    lines = list(difflib.unified_diff(before, after, f"{name} as it is", f"{name} from the results", lineterm="", n=1))
    more = [f"... and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return [*lines[:_MOST_LINES], *more]


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
