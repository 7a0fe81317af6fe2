"""Verify a report: make it again from the stored results and compare it byte for byte.

Figures depend on the version of matplotlib. If it differs, only the rest of the report is compared, and a remark
states that.
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
    """Differences between a report and the stored results, and remarks on parts that were not compared."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def verify(path: Path, results_dir: Path, *, templates: Path | None = None, policy: Path | None = None) -> Verification:
    """Make the report at *path* again and compare the two.

    Raises:
        BadReport: if the file is not a report of this program, or one of its runs cannot be found.
        BadResultFile: if one of its runs cannot be read.
        BadConfig: if one of the user's templates is not valid.
    """
    form = _form(path)
    try:
        page = path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise BadReport(f"{path}: cannot be read ({why}); give a report that tunebench wrote") from error
    provenance = _provenance(path, page, form)
    runs = build.read(_sources(path, provenance, results_dir), provenance.options)
    again = build.build(
        provenance.kind, runs, beside=path.parent, policy=policy, templates=templates, options=provenance.options
    )
    problems = list(_changed(provenance, again.provenance))
    same_look = provenance.matplotlib == again.provenance.matplotlib
    again = _at_the_same_place(again, provenance)
    for name, content in build.files(again, [form], templates=templates):
        is_page = "/" not in name
        if is_page:
            stored, made = (page, content) if same_look else map(_without_pictures, (page, content))
            problems += _differences(name, stored, made)
        elif form == "md" and same_look:  # an HTML page holds its figures
            problems += _differences(name, _read(path.parent / name), content)
    remarks = (
        (f"figures were drawn by matplotlib {provenance.matplotlib} and are not compared",) if not same_look else ()
    )
    return Verification(problems=tuple(problems), remarks=remarks)


def _without_pictures(page: bytes) -> bytes:
    return _PICTURE.sub(b"data:", page)


def _form(path: Path) -> str:
    if path.name.endswith(".comment.md"):
        return "comment"
    if path.suffix not in _FORMS:
        raise BadReport(f"{path}: not a report; give one that ends in {', '.join(_FORMS)}")
    return _FORMS[path.suffix]


def _provenance(path: Path, page: bytes, form: str) -> Provenance:
    try:
        if form == "json":
            return codec.decode(page, Report).provenance
        return provenance_of(page.decode(errors="replace"), "html" if form == "html" else "md")
    except (codec.Malformed, BadReport) as error:
        raise BadReport(f"{path}: not a report of this program ({error})") from error


def _sources(path: Path, provenance: Provenance, results_dir: Path) -> Iterator[Path]:
    """Find the report's runs: at the path relative to the report, else by id in *results_dir*."""
    for source in provenance.sources:
        if source.path.startswith(locate.PUBLISHED):
            yield locate.locate(source.path, results_dir)
            continue
        beside = Path(os.path.normpath(path.parent / source.path))
        try:
            yield beside if is_run(beside) else locate.locate(source.run, results_dir)
        except UnknownName as error:
            places = f"neither at {beside} nor in {results_dir}"
            problem = f"{path}: made from the run {source.run!r}, which is {places}"
            raise BadReport(f"{problem}; say where your runs are: --results-dir DIR") from error


def _at_the_same_place(report: Report, then: Provenance) -> Report:
    """Put the original paths of the runs into *report*, so that a page that was moved still compares equal."""
    sources = tuple(
        replace(current, path=stored.path)
        for current, stored in zip(report.provenance.sources, then.sources, strict=True)
    )
    return replace(report, provenance=replace(report.provenance, sources=sources, matplotlib=then.matplotlib))


def _changed(then: Provenance, now: Provenance) -> Iterator[str]:
    """Explain a difference: another version, a changed run, other templates or another policy."""
    if then.version != __version__:
        yield f"written by tunebench {then.version}; this is {__version__}"
    for stored, current in zip(then.sources, now.sources, strict=True):
        if stored.sha256 != current.sha256:
            yield f"the run {stored.run} is no longer what the report was made from"
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
    stored_lines, made_lines = (data.decode(errors="replace").splitlines() for data in (stored, made))
    lines = list(
        difflib.unified_diff(stored_lines, made_lines, f"{name} as it is", f"{name} from the results", lineterm="", n=1)
    )
    remaining = [f"... and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return [*lines[:_MOST_LINES], *remaining]


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
