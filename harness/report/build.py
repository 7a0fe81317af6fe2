"""From runs on disk to reports on disk. Needs no model library: stored results are all there is."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from harness.analysis.report_policy import Policy
from harness.errors import HarnessError, UnknownName
from harness.inputs import config_files
from harness.paths import bundled
from harness.report.figures import draw
from harness.report.figures.charts import Chart
from harness.report.kinds.base_vs_tuned import tuned
from harness.report.kinds.cards import cards, cards_report
from harness.report.kinds.comparison import compare
from harness.report.kinds.history import history
from harness.report.kinds.inference import inference
from harness.report.kinds.training import training
from harness.report.page import Report, Source
from harness.report.render.render import render
from harness.report.shorten import brief, shortened
from harness.results import atomic_write, codec, locate, store
from harness.results.records import Bundle

ALL = "all"
FORMATS = ("md", "html", "json", "comment")
# What GitHub takes: a step summary of 1 MiB is dropped whole, a comment ends at 65,536 characters.
_LIMITS = {"md": 900_000, "comment": 60_000}  # bytes, of which a text never has fewer than characters
_BUILDERS: dict[str, Callable[[Sequence[Bundle], Policy], Report]] = {
    "comparison": compare,
    "training": lambda bundles, _: training(bundles),
    "base-vs-tuned": lambda bundles, _: tuned(bundles),
    "inference": inference,
    "cards": lambda bundles, policy: cards_report(bundles, _licenses(), policy.cards),
}
KINDS = tuple(_BUILDERS)
_ABOUT = {
    "comparison": set[str](),
    "training": {"training"},
    "base-vs-tuned": {"evaluation", "inference"},
    "inference": {"inference"},
    "cards": {"training", "evaluation", "inference"},
}
_FIGURES = "figures"
_LONGEST = 100  # characters of a file's name
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that was read, and where."""

    path: Path
    bundle: Bundle


def read(paths: Iterable[Path], options: Mapping[str, str] | None = None) -> tuple[Run, ...]:
    """Read runs; with the *options* of a history, only what it is made from.

    Raises:
        BadResultFile: if one of them cannot be read.
        HarnessError: if one is named twice.
    """
    places = list(paths)
    twice = [place for place, count in Counter(place.resolve() for place in places).items() if count > 1]
    if twice:
        raise HarnessError(f"{twice[0]}: named twice; name each run once")
    if options:
        found = [(path, store.read_metric(path, options["metric"], options.get("case"))) for path in places]
        return tuple(Run(path=path, bundle=bundle) for path, its in found for bundle in its.runs)
    return tuple(Run(path=path, bundle=store.read_run(path)) for path in places)


def build(
    kind: str,
    runs: Sequence[Run],
    *,
    beside: Path,
    policy: Path | None = None,
    templates: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> Report:
    """Turn runs into one kind of report that will lie in the directory *beside*. *options* are those of a history.

    Raises:
        UnknownName: if there is no such kind.
        BadConfig: if the policy is not right.
    """
    if options:
        return _with_provenance(history([run.bundle for run in runs], **options), runs, beside, templates=templates)
    if kind not in _BUILDERS:
        raise UnknownName("report kind", kind, (*KINDS, ALL))
    if not suits(kind, runs):
        held = ", ".join(dict.fromkeys(record.suite for run in runs for record in run.bundle.records)) or "no case"
        raise HarnessError(f"--kind {kind}: the runs hold {held}, and nothing for it; --kind comparison shows that")
    its = config_files.read_policy(policy)
    made = _BUILDERS[kind]([run.bundle for run in runs], its)
    return _with_provenance(
        made, runs, beside, templates=templates, policy_sha256=None if policy is None else its.sha256
    )


def _with_provenance(
    made: Report, runs: Sequence[Run], beside: Path, *, templates: Path | None, policy_sha256: str | None = None
) -> Report:
    provenance = replace(
        made.provenance,
        sources=tuple(_source(run, beside) for run in runs),
        policy_sha256=policy_sha256,
        templates_sha256=None if templates is None else _templates_sha256(templates),
        matplotlib=draw.VERSION if _charts(made) else None,
    )
    return replace(made, provenance=provenance)


def suits(kind: str, runs: Sequence[Run]) -> bool:
    """Whether the runs hold a case that this kind of report is about; the comparison is about any, and none."""
    suites = {record.suite for run in runs for record in run.bundle.records}
    return not _ABOUT[kind] or bool(suites & _ABOUT[kind])


def _source(run: Run, beside: Path) -> Source:
    return Source(
        run=run.bundle.run.id,
        path=_way_to(run.path, beside),
        schema=run.bundle.schema,
        sha256=sha256(codec.encode(run.bundle)).hexdigest(),
    )


def _way_to(path: Path, beside: Path) -> str:
    """How the report's directory leads to a run: a published one by its name, any other by a relative path."""
    if path.parent == bundled("published"):
        return f"{locate.PUBLISHED}{path.stem}"
    way = Path(os.path.relpath(path, beside)).as_posix()
    return way.encode(errors="replace").decode()  # half a character cannot stand in a page


def _templates_sha256(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file():
            continue
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def files(report: Report, forms: Sequence[str], *, templates: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Every file a report consists of: its name, relative to the report's directory, and its content.

    Raises:
        UnknownName: if there is no such format.
        BadConfig: if a template of the user's is not right.
    """
    if unknown := [form for form in forms if form not in FORMATS]:
        raise UnknownName("report format", unknown[0], FORMATS)
    svgs: dict[str, bytes] = {}
    names: dict[str, str] = {}
    if {"md", "html"} & set(forms):
        for chart in _charts(report):
            pictures = draw.draw(chart, ("svg", "png"))
            svgs[chart.name] = pictures["svg"]
            names[chart.name] = f"{_FIGURES}/{_file_name(chart.name)}"
            yield from ((f"{names[chart.name]}.{form}", picture) for form, picture in pictures.items())
    paths = {name: f"{its}.svg" for name, its in names.items()}
    stem = stem_of(report.kind)
    for form in forms:
        name = f"{stem}.comment.md" if form == "comment" else f"{stem}.{form}"
        if form == "json":
            yield name, codec.encode(report, indent=1)
        elif form == "html":
            yield name, render(report, "html", pictures=svgs, own_templates=templates).encode()
        else:
            pictures_of = paths if form == "md" else {}
            yield name, _short(report, form, pictures_of, templates).encode()


def _file_name(name: str) -> str:
    """A name that any file system takes; the start of a chart's name tells figures apart."""
    return _ODD.sub("-", name)[:_LONGEST].strip("-.") or "figure"


def _short(report: Report, form: str, pictures: Mapping[str, str], templates: Path | None) -> str:
    def text(its: Report) -> str:
        return render(its, "md", pictures=pictures, own_templates=templates)

    whole = f"{stem_of(report.kind)}.html, or tunebench report RUN --kind {report.kind} --format html"
    its = brief(report, whole=whole) if form == "comment" else report
    return text(shortened(its, size=lambda its: len(text(its).encode()), limit=_LIMITS[form], whole=whole))


def card_files(runs: Sequence[Run], *, policy: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Each model card and data card as the file that the hub takes: its name, and its content."""
    said = config_files.read_policy(policy).cards
    for card in cards([run.bundle for run in runs], _licenses(), said):
        yield f"cards/{card.file_name}", card.text.encode()


def _licenses() -> dict[str, str | None]:
    """The licence of each model of the registry."""
    return {name: config_files.read_model(name).license for name in config_files.known("models")}


def stem_of(kind: str) -> str:
    """What a kind's files are called: the comparison is *the* report."""
    return store.REPORT if kind == "comparison" else f"{store.REPORT}-{kind}"


def write(report: Report, directory: Path, forms: Sequence[str], *, templates: Path | None = None) -> list[Path]:
    """Write a report's files, each whole or not at all; give the paths of the pages.

    Raises:
        UnknownName: if there is no such format.
        BadConfig: if a template of the user's is not right.
        Unwritable: if a file cannot be written.
    """
    written = []
    for name, content in list(files(report, forms, templates=templates)):  # all of it is made before any is written
        atomic_write.write_bytes(directory / name, content)
        if not name.startswith(_FIGURES):
            written.append(directory / name)
    return written


def _charts(report: Report) -> list[Chart]:
    return [chart for section in report.sections for chart in section.figures]
