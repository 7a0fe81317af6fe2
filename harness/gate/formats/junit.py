"""A gate's answer as JUnit XML, the form that CI servers read test results in; the only module that writes XML.

A row is a test case: a regression is a failure, what cannot be judged an error, what is open or ignored is skipped;
an answer that does not pass is one more.
Attributes and children are those of junit-10.xsd (Jenkins), in its order, as pytest writes them.
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from harness.analysis.judge import Design
from harness.gate.verdicts import GateResult, GateRow, GateVerdict, Role
from harness.gate.wording import summary, terms
from harness.plain_text import visible

_SUITE = "tunebench.gate"
_TAGS = {
    GateVerdict.REGRESSION: "failure",
    GateVerdict.INVALID: "error",
    GateVerdict.MISSING: "error",
    GateVerdict.NOT_COMPARABLE: "error",
    GateVerdict.INCONCLUSIVE: "skipped",
}


def junit(result: GateResult) -> bytes:
    """Write the answer as one test suite, in UTF-8."""
    tags = [_tag(row) for row in result.rows]
    run_tag = _run_tag(result)
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite", name=_SUITE, tests=str(len(tags) + (run_tag is not None)))
    for name, counted in _COUNTED.items():
        suite.set(name, str([*tags, run_tag].count(counted)))
    properties = ET.SubElement(suite, "properties")
    for name, value in _facts(result):
        ET.SubElement(properties, "property", name=name, value=visible(value))
    for row, tag in zip(result.rows, tags, strict=True):
        _add(suite, row, tag, result.design)
    if run_tag is not None:
        case = ET.SubElement(suite, "testcase", classname="tunebench", name="gate")
        outcome = ET.SubElement(case, run_tag, type=result.verdict.value)
        outcome.set("message", visible(summary.headline(result)))
        outcome.text = visible(terms.last_line(result))
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _facts(result: GateResult) -> Iterable[tuple[str, str]]:
    yield "verdict", result.verdict.value
    yield "baseline", result.baseline
    yield "candidate", result.candidate
    yield "design", terms.DESIGN_TEXTS[result.design]
    yield "policy", result.policy
    yield from (("origin", line) for line in summary.origins(result))
    yield from (("warning", warning) for warning in result.warnings)


def _run_tag(result: GateResult) -> str | None:
    """Return the tag of the run's verdict: a server that reads only this file must not pass exit codes 1 and 3."""
    if result.exit_code == 0:
        return None
    return "failure" if result.verdict is GateVerdict.REGRESSION else "error"


def _tag(row: GateRow) -> str | None:
    return "skipped" if row.role is Role.IGNORED else _TAGS.get(row.verdict)


def _add(suite: ET.Element, row: GateRow, tag: str | None, design: Design) -> None:
    name = visible(row.title or "the whole case")
    case = ET.SubElement(suite, "testcase", classname=visible(row.case or "the run"), name=name)
    if tag is None:
        return
    outcome = ET.SubElement(case, tag, type=row.verdict.value)
    ignored = row.role is Role.IGNORED
    message = f"ignored: {row.ignored or terms.full_reason(row)}" if ignored else terms.sentence(row, design)
    outcome.set("message", visible(message))
    outcome.text = visible(terms.reason(row))
