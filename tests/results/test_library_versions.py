import pytest

from harness.report.kinds.comparison import compare
from harness.results.library_versions import version_warnings
from tests.support.samples import POLICY, bundle, environment, record


def run(name, **packages):
    return bundle(record(), id=name, environment=environment(packages=packages))


def test_different_minor_versions_are_told_with_their_runs():
    runs = [run("a", **{"mlx-lm": "0.28.3", "mlx": "0.29.3"}), run("b", **{"mlx-lm": "0.31.1", "mlx": "0.29.4"})]
    assert version_warnings(runs) == (
        "different versions of mlx-lm: a 0.28.3, b 0.31.1; a difference between these runs may be the library's",
    )


@pytest.mark.parametrize("other", ["1.9.0", "0.10.0", "0.9"])
def test_a_version_is_its_first_two_numbers(other):
    assert bool(version_warnings([run("a", mlx="0.9.1"), run("b", mlx=other)])) == (other != "0.9")


def test_every_library_is_looked_at_and_every_run():
    same = {"mlx-lm": "0.31.1", "mlx": "0.31.0"}
    runs = [run("a", **same), run("b", **same), run("c", **{"mlx-lm": "0.32.0", "mlx": "0.32.0"})]
    assert [text.partition(":")[0] for text in version_warnings(runs)] == [
        "different versions of mlx-lm",
        "different versions of mlx",
    ]


@pytest.mark.parametrize("silent", [{"packages": {}}, {"packages": {"mlx": None}}, None])
def test_a_run_that_does_not_tell_is_not_taken_for_an_equal_one(silent):
    other = bundle(id="b", environment=silent and environment(**silent))
    (text,) = version_warnings([run("a", mlx="0.31.0"), other])
    assert text.startswith("different versions of mlx: a 0.31.0, b unknown;")


def test_equal_runs_and_a_run_alone_have_nothing_to_tell():
    assert version_warnings([run("a", mlx="0.31.0"), run("b", mlx="0.31.2")]) == ()
    assert version_warnings([run("a", mlx="0.31.0")]) == ()


def test_a_report_of_different_versions_has_a_banner():
    smoke = bundle(record(), id="b", environment=environment(packages={"mlx": "0.32.0"}), profile="smoke")
    other, banner = compare([run("a", mlx="0.31.0"), smoke], POLICY).banners
    assert other.startswith("SMOKE SIZE:")
    assert banner.startswith("VERSIONS DIFFER: different versions of mlx: a 0.31.0, b 0.32.0;")
