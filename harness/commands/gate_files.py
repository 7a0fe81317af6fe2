"""A gate's answer as files and for GitHub Actions. A file is written completely or not at all."""

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

# GitHub rejects a comment above 65,536 characters, and drops a whole step summary above 1 MiB.
_MAX_COMMENT_BYTES, _MAX_SUMMARY_BYTES = 60_000, 1_000_000
_SUMMARY_VARIABLE, _OUTPUT_VARIABLE = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Destinations of an answer besides the terminal: files, `STDOUT` for standard output, and GitHub Actions.

    *github* holds the environment variables of a workflow's step; None if GitHub Actions gets nothing.
    """

    json: Path | None = None
    md: Path | None = None
    junit: Path | None = None
    github: Mapping[str, str] | None = None

    @property
    def on_stdout(self) -> bool:
        """True if one of the files goes to standard output, in place of the terminal's text."""
        return STDOUT in {self.json, self.md, self.junit}


def check(destinations: Destinations) -> None:
    """Reject destinations that cannot be written, before anything is measured. No folder is made.

    Raises:
        BadConfig: naming all of them.
    """
    options = {"--json": destinations.json, "--md": destinations.md, "--junit": destinations.junit}
    paths = {option: path for option, path in options.items() if path is not None}
    problems = [problem for option, path in paths.items() if path != STDOUT and (problem := _problem(option, path))]
    for path in dict.fromkeys(paths.values()):
        sharing = [option for option, other_path in paths.items() if other_path == path]
        if len(sharing) > 1:
            limit = "standard output takes one of them" if path == STDOUT else f"{path} can hold one of them"
            problems.append(f"{' and '.join(sharing)} go to one place; {limit}")
    if problems:
        raise BadConfig("places of the answer", problems)


def _problem(option: str, path: Path) -> str | None:
    if path.is_dir():
        return f"{option} {path}: is a folder; name a file in it"
    if not path.parent.is_dir():
        return f"{option} {path}: there is no folder {path.parent}; make it first"
    return None if os.access(path.parent, os.W_OK) else f"{option} {path}: nothing may be written to {path.parent}"


def workflow_commands(result: GateResult, destinations: Destinations) -> str:
    """Return the lines that GitHub Actions reads from standard output; "" if GitHub Actions gets nothing."""
    if destinations.github is None:
        return ""
    lines = annotations(result)
    if not destinations.github.get(_SUMMARY_VARIABLE):
        lines.append(f"no step summary: {_SUMMARY_VARIABLE} is not set, as it is in a step of GitHub Actions")
    return "".join(f"{line}\n" for line in lines)


def write(result: GateResult, destinations: Destinations, write_stdout: Callable[[str], object]) -> None:
    """Write every file asked for; pass the text for standard output to *write_stdout*.

    Raises:
        Unwritable: naming every file that could not be written, after the others were.
    """
    problems = []
    for write_one in _writers(result, destinations, write_stdout):
        try:
            write_one()
        except Unwritable as error:
            problems.append(str(error))
    if problems:
        raise Unwritable("\n  ".join(problems))


def _writers(
    result: GateResult, destinations: Destinations, write_stdout: Callable[[str], object]
) -> Iterator[Callable[[], object]]:
    formats: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
        (destinations.json, lambda: as_json(result)),
        (destinations.md, lambda: markdown(result, _MAX_COMMENT_BYTES)),
        (destinations.junit, lambda: junit(result)),
    )
    for path, content in formats:
        if path == STDOUT:
            yield partial(lambda content: write_stdout(content().decode()), content)
        elif path is not None:
            yield partial(lambda path, content: atomic_write.write_bytes(path, content()), path, content)
    variables = destinations.github or {}
    if summary := variables.get(_SUMMARY_VARIABLE):
        yield lambda: _append_summary(result, Path(summary))
    if output := variables.get(_OUTPUT_VARIABLE):
        yield lambda: _append(Path(output), _step_outputs(result))


def markdown(result: GateResult, limit_bytes: int = _MAX_COMMENT_BYTES) -> bytes:
    """Return the page in at most *limit_bytes*, shortened if need be; 50,000 bytes hold any answer's shortest page.

    A UTF-8 text never has fewer bytes than characters, so GitHub's limit on characters holds too.
    """

    def encode(report: Report) -> bytes:
        return render(report, "md", pictures={}).encode()

    complete_page = "tunebench gate with --json"
    report = shortened(
        gate_report(result), size=lambda report: len(encode(report)), limit=limit_bytes, full_report=complete_page
    )
    return encode(report)


def _append_summary(result: GateResult, path: Path) -> None:
    free_bytes = _MAX_SUMMARY_BYTES - (path.stat().st_size if path.is_file() else 0)
    if free_bytes < _MAX_COMMENT_BYTES:
        raise Unwritable(f"{path}: the summary is full, and GitHub drops one above 1 MiB; use a step of its own")
    _append(path, markdown(result, free_bytes))


def _step_outputs(result: GateResult) -> bytes:
    regressions = len(terms.counting(result.rows, GateVerdict.REGRESSION))
    outputs = {"verdict": result.verdict.value, "exit-code": result.exit_code, "regressions": regressions}
    return "".join(f"{name}={value}\n" for name, value in outputs.items()).encode()


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as stream:
            stream.write(data)
    except OSError as error:
        raise Unwritable(f"{path}: {error.strerror or error}; choose another place, or make room") from error
