from dataclasses import replace

import pytest

from harness.gate.provenance import found, measured, origin
from harness.gate.verdicts import Origin
from tests.support.gate_samples import result
from tests.support.samples import bundle


def told(**run):
    run_bundle = bundle()
    return replace(run_bundle, run=replace(run_bundle.run, **run))


def test_a_run_says_what_it_was_measured_with():
    run_bundle = told(
        id="r",
        command=("pytest", "suites/", "--models", "a", "--repeats", "9", "--gate=x", "--no-report"),
        git={"commit": "0123456789abcdef", "dirty": True},
        options={"ab": {"arm": "git:main"}},
    )
    packages = {"mlx": "0.31.0", "mlx-lm": "0.31.3"}
    known = origin(replace(run_bundle, environment=replace(run_bundle.environment, packages=packages)))
    assert (known.run, known.commit, known.dirty, known.arm) == ("r", "0123456", True, "git:main")
    assert (known.mlx, known.mlx_lm) == ("0.31.0", "0.31.3")
    assert known.measures == ("suites/", "--models", "a")


def test_what_is_not_known_is_none():
    source = origin(replace(told(git=None, command=(), options={}), environment=None))
    assert (
        source.commit,
        source.dirty,
        source.arm,
        source.mlx,
        source.mlx_lm,
        source.measures,
    ) == (None, False, None, None, None, ())


@pytest.mark.parametrize(
    "given", [["--repeats", "3", "a"], ["--repeats=3", "a"], ["a", "--run-id", "b"], ["a", "--resume"]]
)
def test_how_often_and_where_to_is_left_out(given):
    assert measured(given) == ("a",)


def test_how_the_sides_were_asked_for_is_added():
    a, b = (Origin(run=value, started_at="") for value in "ab")
    located = found(result(origins=(a, b)), typed=("default", None), numbers=(3, None), paths=("p", "q"))
    assert located.origins == (replace(a, typed="default", number=3, path="p"), replace(b, path="q"))
    assert found(result(), typed=(None, None), numbers=(None, None), paths=(None, None)) == result()
