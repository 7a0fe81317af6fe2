"""A gate's answer to files, and to what GitHub Actions reads. Each file is written whole or not at all."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.errors import BadConfig, Unwritable
from harness.gate.formats.github_annotations import annotations
from harness.gate.formats.json_answer import as_json
from harness.gate.formats.junit import junit
from harness.gate.verdicts import GateResult, GateVerdict
from harness.gate.wording import terms
from harness.report.kinds.gate import gate_report
from harness.report.page import Report
from harness.report.render.render import render
from harness.report.shorten_for_github import shortened
from harness.results import atomic_write

# What GitHub takes: a comment ends at 65,536 characters, a step summary of 1 MiB is dropped whole.
_COMMENT_BYTES, _SUMMARY_BYTES = 60_000, 1_000_000
_SUMMARY, _OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an answer is to go besides the terminal: files (`STDOUT` for standard output), and *github*.

    *github* are the variables of a workflow's step; None where that is not asked for.
    """

    json: Path | None = None
    md: Path | None = None
    junit: Path | None = None
    github: Mapping[str, str] | None = None

    @property
    def on_stdout(self) -> bool:
        """Whether a file takes the place of the listing."""
        return STDOUT in {self.json, self.md, self.junit}


def check(places: Places) -> None:
    """Refuse places that nothing can be written to, before anything is measured; no folder is made.

    Raises:
        BadConfig: naming all of them.
    """
    wanted = [
        (f"--{name}", path)
        for name, path in (("json", places.json), ("md", places.md), ("junit", places.junit))
        if path is not None
    ]
    problems = [problem for name, path in wanted if path != STDOUT and (problem := _unfit(name, path))]
    for place in dict.fromkeys(path for _, path in wanted):
        if len(names := [name for name, path in wanted if path == place]) > 1:
            where = "standard output takes one of them" if place == STDOUT else f"{place} can hold one of them"
            problems.append(f"{' and '.join(names)} go to one place; {where}")
    if problems:
        raise BadConfig("places of the answer", problems)


def _unfit(option: str, path: Path) -> str | None:
    if path.is_dir():
        return f"{option} {path}: is a folder; name a file in it"
    if not path.parent.is_dir():
        return f"{option} {path}: there is no folder {path.parent}; make it first"
    return None if os.access(path.parent, os.W_OK) else f"{option} {path}: nothing may be written to {path.parent}"


def lines(result: GateResult, places: Places) -> str:
    """What GitHub Actions is to read on standard output; "" where it was not asked for."""
    if places.github is None:
        return ""
    said = annotations(result)
    if not places.github.get(_SUMMARY):
        said.append(f"no step summary: {_SUMMARY} is not set, as it is in a step of GitHub Actions")
    return "".join(f"{line}\n" for line in said)


def write(result: GateResult, places: Places, out: Callable[[str], object]) -> None:
    """Write every file that was asked for; what goes to standard output is handed to *out*.

    Raises:
        Unwritable: naming every file that could not be written, after the others were.
    """
    problems = []
    for job in _jobs(result, places, out):
        try:
            job()
        except Unwritable as error:
            problems.append(str(error))
    if problems:
        raise Unwritable("\n  ".join(problems))


def _jobs(result: GateResult, places: Places, out: Callable[[str], object]) -> Iterator[Callable[[], object]]:
    made: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
        (places.json, lambda: as_json(result)),
        (places.md, lambda: markdown(result, _COMMENT_BYTES)),
        (places.junit, lambda: junit(result)),
    )
    for path, content in made:
        if path == STDOUT:
            yield partial(lambda content: out(content().decode()), content)
        elif path is not None:
            yield partial(lambda path, content: atomic_write.write_bytes(path, content()), path, content)
    variables = places.github or {}
    if summary := variables.get(_SUMMARY):
        yield lambda: _summarise(result, Path(summary))
    if output := variables.get(_OUTPUT):
        yield lambda: _append(Path(output), _outputs(result))


def markdown(result: GateResult, limit: int = _COMMENT_BYTES) -> bytes:
    """The page in at most *limit* bytes, of which a text never has fewer than characters; 50,000 hold any."""

    def page(report: Report) -> bytes:
        return render(report, "md", pictures={}).encode()

    return page(
        shortened(
            gate_report(result), size=lambda its: len(page(its)), limit=limit, full_report="tunebench gate with --json"
        )
    )


def _summarise(result: GateResult, path: Path) -> None:
    room = _SUMMARY_BYTES - (path.stat().st_size if path.is_file() else 0)
    if room < _COMMENT_BYTES:
        raise Unwritable(f"{path}: the summary is full, and GitHub drops one above 1 MiB; use a step of its own")
    _append(path, markdown(result, room))


def _outputs(result: GateResult) -> bytes:
    regressions = len(terms.counting(result.rows, GateVerdict.REGRESSION))
    its = {"verdict": result.verdict.value, "exit-code": result.exit_code, "regressions": regressions}
    return "".join(f"{name}={value}\n" for name, value in its.items()).encode()


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as stream:
            stream.write(data)
    except OSError as error:
        raise Unwritable(f"{path}: {error.strerror or error}; choose another place, or make room") from error
