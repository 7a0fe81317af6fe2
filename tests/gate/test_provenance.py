from dataclasses import replace

import pytest

from harness.gate.provenance import found, measured, origin
from harness.gate.verdicts import Origin
from tests.support.gate_samples import result
from tests.support.samples import bundle


def told(**run):
    its = bundle()
    return replace(its, run=replace(its.run, **run))


def test_a_run_says_what_it_was_measured_with():
    its = told(
        id="r",
        command=("pytest", "suites/", "--models", "a", "--repeats", "9", "--gate=x", "--no-report"),
        git={"commit": "0123456789abcdef", "dirty": True},
        options={"ab": {"arm": "git:main"}},
    )
    packages = {"mlx": "0.31.0", "mlx-lm": "0.31.3"}
    known = origin(replace(its, environment=replace(its.environment, packages=packages)))
    assert (known.run, known.commit, known.dirty, known.arm) == ("r", "0123456", True, "git:main")
    assert (known.mlx, known.mlx_lm) == ("0.31.0", "0.31.3")
    assert known.measures == ("suites/", "--models", "a")


def test_what_is_not_known_is_none():
    its = origin(replace(told(git=None, command=(), options={}), environment=None))
    assert (its.commit, its.dirty, its.arm, its.mlx, its.mlx_lm, its.measures) == (None, False, None, None, None, ())


@pytest.mark.parametrize(
    "given", [["--repeats", "3", "a"], ["--repeats=3", "a"], ["a", "--run-id", "b"], ["a", "--resume"]]
)
def test_how_often_and_where_to_is_left_out(given):
    assert measured(given) == ("a",)


def test_how_the_sides_were_asked_for_is_added():
    a, b = (Origin(run=its, started_at="") for its in "ab")
    its = found(result(origins=(a, b)), typed=("default", None), numbers=(3, None), paths=("p", "q"))
    assert its.origins == (replace(a, typed="default", number=3, path="p"), replace(b, path="q"))
    assert found(result(), typed=(None, None), numbers=(None, None), paths=(None, None)) == result()
