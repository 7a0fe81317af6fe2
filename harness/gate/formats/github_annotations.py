"""A gate's answer as workflow commands of GitHub Actions: lines that it shows beside a change.

GitHub shows ten of a level a step; where there are more, the last of ten counts those left out.

Source: GitHub Docs, Workflow commands for GitHub Actions; actions/toolkit, packages/core, for the escaping.
"""

from collections.abc import Iterable, Sequence

from harness.gate.verdicts import GateResult
from harness.gate.wording import summary, terms
from harness.plain_text import visible

_MOST = 10
_TITLE = "tunebench"


def annotations(result: GateResult) -> list[str]:
    """Write the lines: regressions as errors, rows that block a verdict as warnings, the rest as one notice."""
    rows, design = result.rows, result.design
    worse, folded = summary.regressions(result)
    errors = [(f"regression in {row.case}", f"{row.title}: {terms.sentence(row, design)}") for row in worse]
    errors += [(_TITLE, line) for line in summary.watched_too(folded)]
    warnings = [
        *(
            (f"{fold.row.verdict.value}: {fold.where}", f"{terms.names(fold.titles)}: {terms.why(fold.row, design)}")
            for fold in terms.unjudged(result)
        ),
        *(
            (f"{row.verdict.value}: {row.case}", f"{row.title}: {terms.sentence(row, design)}")
            for row in terms.measured(terms.undecided(result)[0])
        ),
        *((_TITLE, warning) for warning in result.warnings),
    ]
    notices = [(_TITLE, f"{terms.last_line(result)} - {terms.tally(rows)}")]
    return [*_lines("error", errors), *_lines("warning", warnings), *_lines("notice", notices)]


def _lines(level: str, messages: Sequence[tuple[str, str]]) -> Iterable[str]:
    shortened = (
        list(messages) if len(messages) <= _MOST else [*messages[: _MOST - 1], (_TITLE, _rest(level, len(messages)))]
    )
    return [f"::{level} title={_property(title)}::{_message(text)}" for title, text in shortened]


def _rest(level: str, count: int) -> str:
    return f"{count - _MOST + 1} more {level}s are not shown here; the summary and the JSON have all"


def _message(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
