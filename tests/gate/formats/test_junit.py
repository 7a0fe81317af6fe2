from xml.etree import ElementTree as ET

import pytest

from harness.gate.formats.junit import junit
from harness.gate.verdicts import GateVerdict, Role
from tests.support.gate_samples import EVIL, every_kind, result, row, unmeasured

# junit-10.xsd: the attributes each element may have, and the children, in this order.
RULES = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        ["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), ["property"]),
    "property": ({"name", "value"}, []),
    "testcase": ({"name", "time", "classname", "group"}, ["skipped", "error", "failure", "system-out", "system-err"]),
    "skipped": ({"type", "message"}, []),
    "error": ({"type", "message"}, []),
    "failure": ({"type", "message"}, []),
}
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name", "classname"}}


def parsed(text):
    return ET.fromstring(text)  # noqa: S314 - it was written a moment ago


def problems(element):
    attributes, children = RULES[element.tag]
    found = [f"{element.tag}: {name}" for name in element.attrib.keys() - attributes]
    found += [f"{element.tag} without {name}" for name in REQUIRED.get(element.tag, set()) - element.attrib.keys()]
    places = [children.index(child.tag) if child.tag in children else -1 for child in element]
    found += [f"{element.tag}: children"] if -1 in places or places != sorted(places) else []
    return found + [problem for child in element for problem in problems(child)]


def cases(gate_result):
    """What each test case became: its name, the tag in it, and the message."""
    found = list(parsed(junit(gate_result)).iter("testcase"))
    outcomes = [[(outcome.tag, outcome.get("type"), outcome.get("message")) for outcome in case] for case in found]
    return [(case.get("classname"), case.get("name"), *value) for case, value in zip(found, outcomes, strict=True)]


def test_a_row_is_a_test_case_with_what_became_of_it():
    assert cases(every_kind()) == [
        ("inference/tiny/base", "ttft_s"),
        ("inference/tiny/base", "tpot_s"),
        (
            "inference/tiny/base",
            "first_step_s",
            ("skipped", "inconclusive", "6.2 % longer [−25.0, 12.5]; detectable ≥ 4.0 %; 7 more processes a side"),
        ),
        ("inference/tiny/base", "rating", ("error", "not-comparable", "differing: device")),
        ("inference/tiny/base", "load_s", ("error", "missing", "not there")),
        ("training/tiny/r8", "the whole case", ("error", "invalid", "oom: killed at 7.5 GiB")),
        (
            "inference/tiny/base",
            "step_s late",
            ("failure", "regression", "25.0 % longer [12.5, 50.0]; detectable ≥ 4.0 %"),
        ),
        ("inference/tiny/base", "itl_s", ("skipped", "regression", "ignored: meter broken, until 2027-01-01")),
        ("tunebench", "gate", ("failure", "regression", "regression: inference/tiny/base step_s late 25.0 % longer")),
    ]


def test_the_suite_counts_what_is_in_it():
    (suite,) = parsed(junit(every_kind()))
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "9", "failures": "2", "errors": "3", "skipped": "2"}
    facts = [(prop.get("name"), prop.get("value")) for prop in suite.iter("property")]
    assert facts == [
        ("verdict", "regression"),
        ("baseline", "run-a"),
        ("candidate", "run-b"),
        ("design", "a stored baseline"),
        ("policy", "default"),
        ("warning", "the baseline is 40 days old"),
    ]


def test_an_answer_that_does_not_pass_is_green_for_no_server():
    open_ = row(GateVerdict.INCONCLUSIVE)
    *_, (where, name, (tag, kind, said)) = cases(result(row(), open_))
    assert (where, name, tag, kind) == ("tunebench", "gate", "error", "inconclusive")
    assert said == "inconclusive: inference/tiny/base ttft_s 25.0 % longer"
    watched = row(GateVerdict.INCONCLUSIVE, role=Role.WATCHED)
    assert [name for _, name, *_ in cases(result(row(), watched))] == ["ttft_s", "ttft_s"]
    assert len(cases(result(row(GateVerdict.IMPROVED)))) == 1
    assert len(cases(result())) == 1


@pytest.mark.parametrize("run_bundle", [every_kind(), result(), result(unmeasured(case=""))])
def test_it_keeps_to_the_schema_that_ci_servers_know(run_bundle):
    assert problems(parsed(junit(run_bundle))) == []


def test_what_pytest_writes_keeps_to_the_same_rules(pytester):
    pytester.makepyfile("import pytest\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pytest.skip('x')")
    pytester.runpytest_inprocess("--junitxml=out.xml", "-p", "no:cacheprovider")
    root = parsed((pytester.path / "out.xml").read_text(encoding="utf-8"))
    assert problems(root) == []


@pytest.mark.parametrize("text", [EVIL, "".join(map(chr, range(32))), "\ufffe\uffff\ud800\U0001f600"])
def test_any_text_makes_xml(text):
    worse = row(GateVerdict.REGRESSION, text, case=text, reason=text)
    ignored = row(role=Role.IGNORED, ignored=text)
    gate_result = result(worse, unmeasured(reason=text), ignored, baseline=text, policy=text, warnings=(text,))
    assert problems(parsed(junit(gate_result))) == []
    assert len(cases(gate_result)) == 4
