from dataclasses import replace

import pytest

from harness.analysis.judge import Design
from harness.gate.verdicts import GateVerdict, Origin, Role
from harness.gate.wording import terms
from harness.results.records import Kind
from tests.support.gate_samples import result, row, unmeasured

OPEN, WORSE = GateVerdict.INCONCLUSIVE, GateVerdict.REGRESSION
MEASURES = ("suites/inference", "--models", "tiny")
A = Origin(run="run-a", started_at="2026-11-01T10:00:00Z", commit="aaaaaaa", measures=MEASURES, path="old runs/a.json")
B = Origin(run="run-b", started_at="2026-11-02T10:00:00Z", commit="bbbbbbb", measures=MEASURES, path="~/results/run-b")
REPORT = "tunebench report 'old runs/a.json' ~/results/run-b -o compared/"
IN_TURNS = "tunebench ab git:aaaaaaa git:bbbbbbb -- suites/inference --models tiny"
EXACT = row(WORSE, kind=Kind.EXACT, ratio=None)


def after(*rows, a=A, b=B, design=Design.INDEPENDENT):
    """What comes behind the verdict and its meaning."""
    return terms.last_line(result(*rows, design=design, origins=(a, b))).partition(")")[2]


def test_a_pass_needs_nothing():
    assert after(row()) == ""


def test_a_slower_commit_is_measured_in_turns_with_the_one_before():
    assert after(row(WORSE)) == f"; next: {IN_TURNS}"


def test_what_is_no_matter_of_noise_or_was_measured_in_turns_is_looked_at():
    assert after(EXACT) == f"; next: {REPORT}"
    assert after(row(WORSE), design=Design.PAIRED) == f"; next: {REPORT}"


def test_of_one_commit_the_versions_that_differ_are_measured_in_turns():
    a, b = (replace(A, mlx=value, mlx_lm="0.31.0") for value in ("0.31.0", "0.32.0"))
    command = "tunebench ab pip:mlx==0.31.0 pip:mlx==0.32.0 -- suites/inference --models tiny"
    assert after(row(WORSE), a=a, b=b) == f"; next: {command}"


@pytest.mark.parametrize(
    "b", [replace(B, commit=None), replace(B, dirty=True), replace(B, commit="aaaaaaa"), replace(B, measures=())]
)
def test_what_a_commit_does_not_tell_is_not_measured_by_commits(b):
    assert after(row(WORSE), b=b).startswith("; next: tunebench report")


def test_open_stored_runs_are_measured_in_turns_or_else_with_as_many_processes_as_decide():
    open_ = [row(OPEN, more=7), row(OPEN, processes=(2, 6), more=3), row(OPEN, role=Role.WATCHED, more=50)]
    assert after(*open_) == f"; next: {IN_TURNS}"
    one = replace(B, commit="aaaaaaa")
    said = "; next: pytest suites/inference --models tiny --repeats 13, on both sides"
    assert after(*open_, b=one) == said
    assert after(row(OPEN, more=55), b=one) == f"; next: {REPORT}"
    assert after(row(OPEN, kind=Kind.LOSS, ratio=None)) == f"; next: {REPORT}"


ARMS = {"a": replace(A, arm="git:main"), "b": replace(B, arm="env:X=a b"), "design": Design.PAIRED}


def test_open_pairs_become_as_many_as_decide():
    command = "tunebench ab git:main 'env:X=a b' --pairs {} -- suites/inference --models tiny"
    assert after(row(OPEN, more=7), row(OPEN, more=3), **ARMS) == f"; next: {command.format(13)}"
    few = row(OPEN, ratio=None, processes=(1, 1), more=4)
    assert after(few, **ARMS) == f"; next: {command.format(10)}"


def test_more_pairs_are_called_useless_only_where_the_power_of_those_there_were_says_so():
    said = "; 60 pairs would hardly decide it; a wider tolerance would: docs/gate-policy.md"
    assert after(row(OPEN, more=None), **ARMS) == said
    assert after(row(OPEN, more=55), **ARMS) == said
    assert after(row(OPEN, ratio=None, more=None), **ARMS) == f"; next: {REPORT}"


def test_what_is_not_there_is_shown_where_it_was_read():
    assert after(unmeasured()) == "; next: tunebench show ~/results/run-b"
    assert after(unmeasured(), b=replace(B, path=None)) == ""


def test_what_cannot_be_compared_names_the_fields_once():
    fields = (("device", "settings.iters"), ("device",))
    rows = [unmeasured(GateVerdict.NOT_COMPARABLE, differing=differing) for differing in fields]
    assert after(*rows) == "; what differs: device, settings.iters"


def test_nothing_is_named_that_is_not_known():
    for value in (row(WORSE), row(OPEN), unmeasured(), EXACT):
        assert "next" not in terms.last_line(result(value))
