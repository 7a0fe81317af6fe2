"""Build reports from stored runs and write them. This needs no model library."""

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
from harness.report.shorten_for_github import brief, shortened
from harness.results import atomic_write, codec, locate, store
from harness.results.records import Bundle

ALL = "all"
FORMATS = ("md", "html", "json", "comment")
# GitHub's limits: it drops a step summary above 1 MiB, and a comment holds at most 65,536 characters.
_LIMITS = {"md": 900_000, "comment": 60_000}  # bytes; a text never has more characters than bytes
_BUILDERS: dict[str, Callable[[Sequence[Bundle], Policy], Report]] = {
    "comparison": compare,
    "training": lambda bundles, _: training(bundles),
    "base-vs-tuned": lambda bundles, _: tuned(bundles),
    "inference": inference,
    "cards": lambda bundles, policy: cards_report(bundles, _licenses(), policy.cards),
}
KINDS = tuple(_BUILDERS)
_SUITES_OF_KIND = {
    "comparison": set[str](),
    "training": {"training"},
    "base-vs-tuned": {"evaluation", "inference"},
    "inference": {"inference"},
    "cards": {"training", "evaluation", "inference"},
}
_FIGURES = "figures"
_MOST_LETTERS = 100  # characters of a file's name
_UNSAFE_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run and the path it was read from."""

    path: Path
    bundle: Bundle


def read(paths: Iterable[Path], options: Mapping[str, str] | None = None) -> tuple[Run, ...]:
    """Read runs; for the *options* of a history, read only the metric and the cases that it needs.

    Raises:
        BadResultFile: if one of them cannot be read.
        HarnessError: if one is named twice.
    """
    places = list(paths)
    named_twice = [place for place, count in Counter(place.resolve() for place in places).items() if count > 1]
    if named_twice:
        raise HarnessError(f"{named_twice[0]}: named twice; name each run once")
    if options:
        metrics_read = [(path, store.read_metric(path, options["metric"], options.get("case"))) for path in places]
        return tuple(Run(path=path, bundle=bundle) for path, stored in metrics_read for bundle in stored.runs)
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
    """Build a report of one kind from runs; the links in it are relative to the directory *beside*.

    With *options*, those of a history, the report is a history.

    Raises:
        UnknownName: if there is no such kind.
        HarnessError: if the runs hold no case that the kind is about.
        BadConfig: if the policy is not valid.
    """
    if options:
        return _with_provenance(history([run.bundle for run in runs], **options), runs, beside, templates=templates)
    if kind not in _BUILDERS:
        raise UnknownName("report kind", kind, (*KINDS, ALL))
    if not suits(kind, runs):
        suites_held = (
            ", ".join(dict.fromkeys(record.suite for run in runs for record in run.bundle.records)) or "no case"
        )
        raise HarnessError(
            f"--kind {kind}: the runs hold {suites_held}, and nothing for it; --kind comparison shows that"
        )
    policy_used = config_files.read_policy(policy)
    made = _BUILDERS[kind]([run.bundle for run in runs], policy_used)
    return _with_provenance(
        made, runs, beside, templates=templates, policy_sha256=None if policy is None else policy_used.sha256
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
    """Return True if the runs hold a case that this kind of report is about. A comparison suits any runs."""
    suites = {record.suite for run in runs for record in run.bundle.records}
    return not _SUITES_OF_KIND[kind] or bool(suites & _SUITES_OF_KIND[kind])


def _source(run: Run, beside: Path) -> Source:
    return Source(
        run=run.bundle.run.id,
        path=_path_from(run.path, beside),
        schema=run.bundle.schema,
        sha256=sha256(codec.encode(run.bundle)).hexdigest(),
    )


def _path_from(path: Path, beside: Path) -> str:
    """Return the name of a published run, or the path of any other run relative to the report's directory."""
    if path.parent == bundled("published"):
        return f"{locate.PUBLISHED}{path.stem}"
    relative = Path(os.path.relpath(path, beside)).as_posix()
    return relative.encode(errors="replace").decode()  # half a character cannot stand in a page


def _templates_sha256(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file():
            continue
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def files(report: Report, forms: Sequence[str], *, templates: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Make every file of a report; yield its name, relative to the report's directory, and its content.

    Raises:
        UnknownName: if there is no such format.
        BadConfig: if one of the user's templates is not valid.
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
    paths = {name: f"{stem_of_chart}.svg" for name, stem_of_chart in names.items()}
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
    """Turn a chart's name into a file name for any file system; the first characters suffice to tell figures apart."""
    return _UNSAFE_CHARACTERS.sub("-", name)[:_MOST_LETTERS].strip("-.") or "figure"


def _short(report: Report, form: str, pictures: Mapping[str, str], templates: Path | None) -> str:
    def text(page: Report) -> str:
        return render(page, "md", pictures=pictures, own_templates=templates)

    full_report = f"{stem_of(report.kind)}.html, or tunebench report RUN --kind {report.kind} --format html"
    report_shown = brief(report, full_report=full_report) if form == "comment" else report
    return text(
        shortened(
            report_shown, size=lambda page: len(text(page).encode()), limit=_LIMITS[form], full_report=full_report
        )
    )


def card_files(runs: Sequence[Run], *, policy: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Make each model card and data card for the hub; yield its file name and its content."""
    cards_policy = config_files.read_policy(policy).cards
    for card in cards([run.bundle for run in runs], _licenses(), cards_policy):
        yield f"cards/{card.file_name}", card.text.encode()


def _licenses() -> dict[str, str | None]:
    """Map each model of the registry to its license."""
    return {name: config_files.read_model(name).license for name in config_files.known("models")}


def stem_of(kind: str) -> str:
    """Return the file name of a report kind without its ending; the comparison is simply called "report"."""
    return store.REPORT if kind == "comparison" else f"{store.REPORT}-{kind}"


def write(report: Report, directory: Path, forms: Sequence[str], *, templates: Path | None = None) -> list[Path]:
    """Write a report's files, each whole or not at all; return the paths of the pages, without the figures.

    Raises:
        UnknownName: if there is no such format.
        BadConfig: if one of the user's templates is not valid.
        Unwritable: if a file cannot be written.
    """
    written = []
    for name, content in list(
        files(report, forms, templates=templates)
    ):  # every file is made before the first is written
        atomic_write.write_bytes(directory / name, content)
        if not name.startswith(_FIGURES):
            written.append(directory / name)
    return written


def _charts(report: Report) -> list[Chart]:
    return [chart for section in report.sections for chart in section.figures]
